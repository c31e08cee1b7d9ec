"""MMEW (Ben et al. 2022): 90 fps, 300 micro-expressions; MMEW_Micro_Exp.xlsx and Micro_Expression/<emotion>/<Filename>/1.jpg.

The emotion's folder and the sheet do not always agree ("others", repression): the sheet is believed. In 16 rows apex
and offset are wrong; what lies outside the folder's frames is taken from the folder.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder, padded
from .emotions import canonical
from .frames import child, subfolders
from .sheet import first_sheet

FPS = 90.0


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"mmew_micro.*\.(xlsx|xls|csv)",), "the sheet MMEW_Micro_Exp.xlsx")
    images = need_folder(root, ("Micro_Expression",), "Micro_Expression")
    c = Collector("mmew", root, FPS, corrections, cut=True)
    kinds = {canonical(p.name): p for p in subfolders(images)}
    needed = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
    for row in first_sheet(path, c.name(path)).table(*needed):
        emotion, clip = canonical(row.get("Estimated Emotion")), row.get("Filename")
        own = kinds.get(emotion)
        folder = child(own, clip)
        if folder is None:
            folder = next((f for p in kinds.values() if (f := child(p, clip))), None)
            if folder:
                c.note(
                    clip,
                    row.file,
                    row.number,
                    "Estimated Emotion",
                    f"{emotion}, but the clip lies in {c.name(folder)}",
                    f"{emotion} is taken",
                )
        c.add(
            row, padded(row.get("Subject"), 2), clip, emotion, folder, f"{c.name(images)}/{own.name if own else emotion}/{clip}",
            onset=row.get("OnsetFrame"), apex=row.get("ApexFrame"), offset=row.get("OffsetFrame"), aus=row.get("Action Units"),
            columns=("OnsetFrame", "ApexFrame", "OffsetFrame"),
        )  # fmt: skip
    return c.inventory
