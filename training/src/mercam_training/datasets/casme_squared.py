"""CAS(ME)^2 (Qu et al. 2018): 30 fps; sheets without a header, rawpic/s15/15_0101disgustingteeth/img001.jpg.

The sheet "CASFEcode_final" has subject index, clip ("disgust2_3"), onset, apex, offset, action units, emotion, type,
self-report. The sheets "naming rule1" and "naming rule2" translate the index to s15... and the clip to 0102...
Macro-expressions are listed as left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from .clips import Collector, Corrections, Inventory
from .common import need_file, need_folder
from .emotions import canonical
from .frames import child, subfolders
from .sheet import Row, Sheet, SheetError, read_sheets

FPS = 30.0
COLUMNS = ("C (onset)", "D (apex)", "E (offset)")


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"cas\(me\)\^?2.*code.*final.*\.xlsx?", r".*code_?final.*\.(xlsx|xls)"), "the sheet CAS(ME)^2code_final.xlsx")
    images = need_folder(root, ("rawpic",), "rawpic", 3)
    c = Collector("cas-me-2", root, FPS, corrections, cut=False)
    sheets = read_sheets(path, c.name(path))
    code = next((s for n, s in sheets.items() if "code" in n.lower()), None)
    if code is None:
        raise SheetError(f"{c.name(path)}: sheet 'CASFEcode_final' is missing (there are {', '.join(sheets)}); fetch the file again")
    people, videos = _names(sheets)
    for row in code.rows():
        cells = [*row.values, *[""] * 9][:9]
        index, name, onset, apex, offset, aus, emotion, kind, _ = cells
        if not re.fullmatch(r"\d+", index):
            c.note(name or "?", row.file, row.number, "A (subject)", f"{index!r} is no subject index", "the row is taken for a heading")
            continue
        subject = people.get(int(index), "")
        _add(c, row, images, subject, name, (onset, apex, offset), aus, canonical(emotion), kind, videos)
    return c.inventory


def _add(c: Collector, row: Row, images: Path, subject: str, name: str, frames, aus: str, emotion: str, kind: str, videos) -> None:
    onset, apex, offset = frames
    clip = f"{name}@{onset}"  # several rows may name one clip
    if "macro" in kind.lower() or "micro" not in kind.lower():
        reason = "macro-expression" if "macro" in kind.lower() else "no type"
        text, mend = f"type is {kind!r}", "only micro-expressions are used"
        c.exclude(subject, clip, emotion, reason, c.note(clip, row.file, row.number, "H (type)", text, mend))
        return
    word = re.match(r"[a-z]+\d", name.lower())
    video = videos.get(word[0] if word else "", "")
    for found, column, what in ((subject, "A (subject)", f"index {row.values[0]}"), (video, "B (clip)", f"{name!r}")):
        if not found:
            mend = "complete the sheets 'naming rule1' and 'naming rule2'"
            finding = c.note(clip, row.file, row.number, column, f"{what} is in neither naming rule", mend)
            c.exclude(subject, clip, emotion, "no name", finding)
            return
    start = f"{subject[1:]}_{video}"
    folder = next((p for p in subfolders(child(images, subject) or images) if p.name.startswith(start)), None)
    if folder is None:  # one video lies with another subject in some copies
        folder = next((p for s in subfolders(images) for p in subfolders(s) if p.name.startswith(start)), None)
        if folder:
            c.note(clip, c.name(folder), None, "", f"the video of {subject} lies there", "used from there")
    tried = f"{c.name(images)}/{subject}/{start}*"
    c.add(row, subject, clip, emotion, folder, tried, onset=onset, apex=apex, offset=offset, aus=aus, columns=COLUMNS)


def _names(sheets: dict[str, Sheet]) -> tuple[dict[int, str], dict[str, str]]:
    """Index to subject and "disgust1" to "0101", by what the cells look like: copies differ in which sheet has which."""
    people: dict[int, str] = {}
    videos: dict[str, str] = {}
    for name, sheet in sheets.items():
        if "naming" not in name.lower():
            continue
        for row in sheet.rows():
            cells = [v.strip() for v in row.values if v.strip()]
            person = next((v.lower() for v in cells if re.fullmatch(r"s\d{2}", v, re.IGNORECASE)), None)
            number = next((v for v in cells if re.fullmatch(r"\d{1,2}", v)), None)
            if person and number:
                people[int(number)] = person
            word = next((v.lower() for v in cells if re.fullmatch(r"[a-z]+\d", v, re.IGNORECASE) and v[0] not in "sS"), None)
            code = next((v for v in cells if re.fullmatch(r"0?\d{3}", v)), None)
            if word and code:
                videos[word] = code.zfill(4)
    return people, videos
