"""4DME (Li et al. 2022): grey frontal video at 60 fps, 267 clips; "4DME_Labelling_Micro_release v1.xlsx" and
gray_micro/<sub>/<fold_name>/. Emotions are one-hot and may be several; units marked (k) are doubtful and left out.

In release v1 the action units of the 145th and 146th data row have changed places; they are put back and noted.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder
from .emotions import canonical
from .frames import child
from .sheet import Row, first_sheet

FPS = 60.0
KINDS = ("Positive", "Negative", "Surprise", "Repression", "Others")
#: Data rows of release v1, from 0, whose action units have changed places.
SWAPPED = (144, 145)


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"4dme_labell?ing_micro.*\.(xlsx|xls|csv)",), 'the sheet "4DME_Labelling_Micro_release v1.xlsx"')
    images = need_folder(root, ("gray_micro", "gray_micro_crop"), "gray_micro")
    c = Collector("4dme", root, FPS, corrections, cut=True)
    rows = first_sheet(path, c.name(path)).table("sub_ID", "fold_name", "Onset", "Apex", "Offset", "Emotion")
    swap = "v1" in path.stem.lower() and len(rows) > max(SWAPPED)
    for k, row in enumerate(rows):
        subject, clip = row.get("sub_ID"), row.get("fold_name")
        aus = row.get("AUs")
        if swap and k in SWAPPED:
            aus = rows[sum(SWAPPED) - k].get("AUs")
            c.note(clip, row.file, row.number, "AUs", "release v1 has two rows changed", f"{aus!r} of the other row is taken")
        c.add(
            row, subject, clip, _emotion(c, row, clip), child(child(images, subject), clip), f"{c.name(images)}/{subject}/{clip}",
            onset=row.get("Onset"), apex=row.get("Apex"), offset=row.get("Offset"), aus=aus, columns=("Onset", "Apex", "Offset"),
        )  # fmt: skip
    return c.inventory


def _emotion(c: Collector, row: Row, clip: str) -> str:
    """Of the one-hot columns; the text column is compared with them, and used when there are none."""
    text = canonical(row.get("Emotion"))
    marked = [k for k in KINDS if row.get(k) in ("1", "True", "true")]
    if not any(row.get(k) for k in KINDS):
        return text
    hot = canonical("+".join(marked))
    if hot != text:
        c.note(
            clip, row.file, row.number, "Emotion", f"is {text!r}, the columns {', '.join(KINDS)} say {hot!r}", f"{hot or text!r} is taken"
        )
    return hot or text
