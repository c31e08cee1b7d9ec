"""SAMM (Davison et al. 2018): 200 fps, grey, 159 clips; SAMM_Micro_FACS_Codes_v2.xlsx and SAMM/006/006_1_2/006_05562.jpg.

The sheet begins with free text, its header stands in row 14. Frame numbers are those of the long video, in the sheet
as in the file names. An apex of -1 is not known.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder, padded
from .emotions import canonical
from .frames import child, find_folder
from .sheet import first_sheet

FPS = 200.0


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"samm.*micro.*facs.*\.(xlsx|xls|csv)",), "the sheet SAMM_Micro_FACS_Codes_v2.xlsx")
    c = Collector("samm", root, FPS, corrections, cut=True)
    rows = first_sheet(path, c.name(path)).table("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")
    images = _images(root, [padded(r.get("Subject"), 3) for r in rows])
    for row in rows:
        subject, clip = padded(row.get("Subject"), 3), row.get("Filename")
        c.add(
            row, subject, clip, canonical(row.get("Estimated Emotion")), child(child(images, subject), clip),
            f"{c.name(images)}/{subject}/{clip}", onset=row.get("Onset Frame"), apex=row.get("Apex Frame"),
            offset=row.get("Offset Frame"), aus=row.get("Action Units"), columns=("Onset Frame", "Apex Frame", "Offset Frame"),
        )  # fmt: skip
    return c.inventory


def _images(root: Path, subjects: list[str]) -> Path:
    """The folder of the subjects' folders: SAMM inside SAMM, or the root itself."""
    for name in ("SAMM", "SAMM_CROP"):
        outer = find_folder(root, (name,))
        for folder in (child(outer, name), outer):
            if folder and any((folder / s).is_dir() for s in subjects):
                return folder
    return root if any((root / s).is_dir() for s in subjects) else need_folder(root, ("SAMM",), "SAMM (with 006/006_1_2 in it)")
