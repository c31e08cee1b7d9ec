"""DFME (Zhao et al. 2023): up to 500 fps; training/testA/testB*.xlsx with Subject, Filename, OnsetFrame, ApexFrame,
OffsetFrame, Emotion, EmotionId, Fps, AU. The clips' folders are found by their names anywhere below the root.
"""

from __future__ import annotations

from pathlib import Path

from .clips import Collector, Corrections, DatasetError, Inventory
from .emotions import canonical
from .frames import find_file, walk
from .sheet import first_sheet

FPS = 500.0
#: EmotionId, in order.
EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


def load(root: Path, corrections: Corrections) -> Inventory:
    paths = find_file(root, r"(training|train|test_?a|test_?b).*\.(xlsx|xls|csv)")
    if not paths:
        raise DatasetError(f"{root}: none of training.xlsx, testA.xlsx, testB_full_with_AU.xlsx is here; put the sheets there")
    c = Collector("dfme", root, FPS, corrections, cut=True)
    folders: dict[str, list[Path]] = {}
    for p in walk(root, 5)[1:]:
        folders.setdefault(p.name, []).append(p)
    for path in paths:
        needed = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", ("Emotion", "EmotionId"))
        for row in first_sheet(path, c.name(path)).table(*needed):
            subject, clip = row.get("Subject"), row.get("Filename")
            found = folders.get(clip, [])
            own = [p for p in found if subject in p.parts] or found
            if len(own) > 1:
                c.note(clip, row.file, row.number, "Filename", f"{len(own)} folders have this name", f"{c.name(own[0])} is taken")
            fps = _fps(c, row, clip)
            c.add(
                row, subject, clip, _emotion(c, row, clip), own[0] if own else None, f"{clip} anywhere below {root.name}",
                onset=row.get("OnsetFrame"), apex=row.get("ApexFrame"), offset=row.get("OffsetFrame"), aus=row.get("AU", "AUs"),
                columns=("OnsetFrame", "ApexFrame", "OffsetFrame"), fps=fps,
            )  # fmt: skip
    return c.inventory


def _fps(c: Collector, row, clip: str) -> float | None:
    text = row.get("Fps")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value > 0:
        return value
    c.note(clip, row.file, row.number, "Fps", f"{text!r} is no frame rate", f"{FPS:g} is taken")
    return None


def _emotion(c: Collector, row, clip: str) -> str:
    text, number = canonical(row.get("Emotion")), row.get("EmotionId")
    by_number = EMOTIONS[int(number)] if number.isdigit() and int(number) < len(EMOTIONS) else ""
    if text and by_number and text != by_number:
        c.note(clip, row.file, row.number, "EmotionId", f"{number} is {by_number}, but Emotion is {text}", f"{text} is taken")
    return text or by_number
