"""Clips of your own: `clips.csv` at the root, one line per clip, and for each a folder of numbered pictures or a file
that `mercam extract --out FILE.csv` has written.

Columns: subject, clip, folder (folder or file below the root; default: the clip's name), onset, apex, offset (frame numbers of the file
names; empty: the folder's first, midway, its last), fps, emotion, aus. Emotion "none" is for what is no micro-expression.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, DatasetError, Inventory
from .common import need_file
from .emotions import canonical
from .sheet import first_sheet


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"clips\.(csv|xlsx)",), "the list clips.csv", 0)
    c = Collector("own", root, 0, corrections, cut=False)
    for row in first_sheet(path, c.name(path)).table("subject", "clip", "fps", "emotion"):
        subject, clip = row.get("subject"), row.get("clip")
        try:
            fps = float(row.get("fps"))
        except ValueError:
            fps = 0.0
        if not 0 < fps <= 10_000:
            raise DatasetError(f"{c.name(path)}, row {row.number}, column fps: {row.get('fps')!r}; write the frames per second, as in 60")
        place = root / (row.get("folder") or clip)
        c.add(
            row, subject, clip, canonical(row.get("emotion")), place if clip and (place.is_dir() or place.suffix == ".csv" and place.is_file()) else None, str(row.get("folder") or clip),
            onset=row.get("onset"), apex=row.get("apex"), offset=row.get("offset"), aus=row.get("aus"), fps=fps, whole=True,
        )  # fmt: skip
    return c.inventory
