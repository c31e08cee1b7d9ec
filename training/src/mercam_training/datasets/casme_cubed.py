"""CAS(ME)^3 part A (Li et al. 2022): 30 fps, 860 micro-expressions; cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx and
spNO.1/b/color/175.jpg. Every cell is text; one Filename may hold several clips, so a clip is named "b@175" by its onset.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, DatasetError, Inventory
from .common import need_file
from .emotions import canonical
from .frames import child, subfolders, walk
from .sheet import first_sheet

FPS = 30.0


def load(root: Path, corrections: Corrections) -> Inventory:
    what = "the sheet cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx (the one with emotions; CAS(ME)3_part_A_v2.xls has none)"
    path = need_file(root, (r"cas\(?me\)?\^?3_part_a_me_label.*\.(xlsx|xls|csv)",), what, 3)
    images = next((p for p in walk(root, 4) if any(s.name.lower().startswith("spno.") for s in subfolders(p))), None)
    if images is None:
        raise DatasetError(f"{root}: no folder with spNO.1, spNO.2, ... is here nor 4 levels below; unpack part A there")
    c = Collector("cas-me-3", root, FPS, corrections, cut=False)
    for row in first_sheet(path, c.name(path)).table("Subject", "Filename", "Onset", "Apex", "Offset", "emotion"):
        subject, name = row.get("Subject"), row.get("Filename")
        clip = f"{name}@{row.get('Onset')}"
        video = child(child(images, subject), name)
        c.add(
            row, subject, clip, canonical(row.get("emotion")), child(video, "color") or video, f"{c.name(images)}/{subject}/{name}/color",
            onset=row.get("Onset"), apex=row.get("Apex"), offset=row.get("Offset"), aus=row.get("AU", "Action Units"),
            columns=("Onset", "Apex", "Offset"),
        )  # fmt: skip
    return c.inventory
