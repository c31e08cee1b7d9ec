"""Loaders of micro-expression databases in the layouts in which they are handed out (docs/guide/datasets.md).

`load(name, root)` gives an `Inventory`: the clips that can be used, those left out with the reason, and every
inconsistency with file, row, column and mend. Nothing is dropped without being listed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import casme, casme2, casme_cubed, casme_squared, dfme, fourdme, megc2019, mmew, own, samm, smic
from .clips import Clip, Corrections, DatasetError, Excluded, Finding, Inventory
from .emotions import SCHEMES, label_of

Loader = Callable[[Path, Corrections], Inventory]

#: Every database by the name that `--dataset` takes.
DATASETS: dict[str, Loader] = {
    "casme": casme.load,
    "casme2": casme2.load,
    "samm": samm.load,
    "smic-hs": lambda root, c: smic.load(root, c, "HS"),
    "smic-vis": lambda root, c: smic.load(root, c, "VIS"),
    "smic-nir": lambda root, c: smic.load(root, c, "NIR"),
    "cas-me-2": casme_squared.load,
    "cas-me-3": casme_cubed.load,
    "mmew": mmew.load,
    "4dme": fourdme.load,
    "dfme": dfme.load,
    "megc2019": megc2019.load,
    "own": own.load,
}


def load(name: str, root: Path, corrections: Corrections | None = None) -> Inventory:
    """What there is of the database `name` in the folder `root`."""
    if name not in DATASETS:
        raise DatasetError(f"unknown dataset {name!r}; known are {', '.join(DATASETS)}")
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: there is no such folder; --root names the folder into which {name} was unpacked")
    corrections = corrections or Corrections()
    inventory = DATASETS[name](root, corrections)
    corrections.check_used(inventory)
    return inventory


__all__ = ["DATASETS", "SCHEMES", "Clip", "Corrections", "DatasetError", "Excluded", "Finding", "Inventory", "label_of", "load"]
