"""CASME II (Yan et al. 2014): 200 fps, 255 clips; CASME2-coding-*.xlsx and CASME2_RAW_selected/sub01/EP02_01f/img46.jpg.

ApexFrame is "/" in 21 rows: the frame midway stands in. CASME2-RAW holds whole videos, the other folders just the clips.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder, padded
from .emotions import canonical
from .frames import child
from .sheet import first_sheet

FPS = 200.0
SHEETS = (r"casme2-coding-updated\.(xlsx|csv)", r"casme2-coding.*\.(xlsx|xls|csv)", r"casme2_label.*\.(xlsx|xls|csv)")
FOLDERS = ("CASME2_RAW_selected", "CASME2-RAW", "CASME2_RAW", "Cropped", "Cropped_original")


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, SHEETS, "the sheet CASME2-coding-20140508.xlsx (or a later one)")
    images = need_folder(root, FOLDERS, "CASME2_RAW_selected")
    whole = images.name.lower() in ("casme2-raw", "casme2_raw")
    c = Collector("casme2", root, FPS, corrections, cut=not whole)
    needed = ("Subject", "Filename", "OnsetFrame", ("ApexFrame", "ApexFrame1"), "OffsetFrame", ("Estimated Emotion", "Emotion"))
    for row in first_sheet(path, c.name(path)).table(*needed):
        subject, clip = padded(row.get("Subject"), 2), row.get("Filename")
        c.add(
            row, subject, clip, canonical(row.get("Estimated Emotion", "Emotion")), child(child(images, f"sub{subject}"), clip),
            f"{c.name(images)}/sub{subject}/{clip}", onset=row.get("OnsetFrame"), apex=row.get("ApexFrame", "ApexFrame1"),
            offset=row.get("OffsetFrame"), aus=row.get("Action Units", "AUs"), columns=("OnsetFrame", "ApexFrame", "OffsetFrame"),
        )  # fmt: skip
    return c.inventory
