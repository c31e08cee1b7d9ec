"""CASME (Yan et al. 2013): 60 fps, 189 clips; casme.xlsx and CASME_raw_selected/sub01/EP01_5/*.jpg."""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder, padded
from .emotions import canonical
from .frames import child
from .sheet import first_sheet

FPS = 60.0


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"casme\.(xlsx|xls|csv)", r"casme(?!.?2).*\.(xlsx|xls)"), "the sheet casme.xlsx")
    images = need_folder(root, ("CASME_raw_selected", "Cropped"), "CASME_raw_selected")
    c = Collector("casme", root, FPS, corrections, cut=True)
    for row in first_sheet(path, c.name(path)).table("Subject", "Filename", "OnsetF", ("ApexF1", "ApexF"), "OffsetF", "Emotion"):
        subject, clip = padded(row.get("Subject"), 2), row.get("Filename")
        c.add(
            row, subject, clip, canonical(row.get("Emotion")), child(child(images, f"sub{subject}"), clip),
            f"{c.name(images)}/sub{subject}/{clip}", onset=row.get("OnsetF"), apex=row.get("ApexF1", "ApexF"),
            offset=row.get("OffsetF"), aus=row.get("AUs", "AU", "Action Units"), columns=("OnsetF", "ApexF1", "OffsetF"),
        )  # fmt: skip
    return c.inventory
