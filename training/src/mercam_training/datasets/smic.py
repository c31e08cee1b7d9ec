"""SMIC (Li et al. 2013): HS 100 fps (164 clips), VIS and NIR 25 fps (71 each). No action units, no apex.

Short release: HS/s1/micro/negative/s1_ne_01/image000123.bmp, where the folder tells the emotion and the frames are the
clip. Long release: SMIC-HS-E/HS/s01/s01_ne_01/*.jpg with SMIC-HS-E_annotation.xlsx. Subject and clip are written with
two digits here ("s01_ne_01"), as the MEGC 2019 list has them.
"""

from __future__ import annotations

import re
from pathlib import Path

from .clips import Collector, Corrections, DatasetError, Inventory
from .emotions import canonical
from .frames import FrameFolder, child, find_file, subfolders, walk
from .sheet import first_sheet

FPS = {"HS": 100.0, "VIS": 25.0, "NIR": 25.0}
_NAME = re.compile(r"s0*(\d+)_(ne|po|sur)_0*(\d+)(.*)", re.IGNORECASE)


def clip_name(name: str) -> str:
    """ "s1_ne_01" and "s01_ne_1" as "s01_ne_01"; other names as they are."""
    m = _NAME.fullmatch(name.strip())
    return f"s{int(m[1]):02}_{m[2].lower()}_{int(m[3]):02}{m[4]}" if m else name.strip()


def load(root: Path, corrections: Corrections, kind: str) -> Inventory:
    c = Collector(f"smic-{kind.lower()}", root, FPS[kind], corrections, cut=True)
    short = _short(root, kind)
    if short:
        _load_short(c, short)
        return c.inventory
    sheets = find_file(root, rf"smic-{kind}-e_annotation.*\.(xlsx|xls|csv)", 4)
    if not sheets:
        need = f"{kind}/s1/micro/negative/s1_ne_01 (short release) nor SMIC-{kind}-E_annotation.xlsx (long release)"
        raise DatasetError(f"{root}: neither {need} is here; unpack one of them, or point --root at its parent")
    c.cut = False
    _load_long(c, root, sheets[0], kind)
    return c.inventory


def _short(root: Path, kind: str) -> Path | None:
    """The folder of the subjects; the uncropped pictures are preferred."""
    found = [p for p in walk(root, 3) if p.name.upper() == kind and any(child(s, "micro") for s in subfolders(p))]
    return min(found, key=lambda p: "crop" in str(p).lower(), default=None)


def _load_short(c: Collector, folder: Path) -> None:
    for person in subfolders(folder):
        m = re.fullmatch(r"s0*(\d+)", person.name, re.IGNORECASE)
        micro = child(person, "micro")
        if not m or not micro:
            why = "holds no folder micro" if m else "is not named s1, s2, ..."
            c.note(person.name, c.name(person), None, "", f"the folder {why}", "nothing of it is used; unpack it again if it belongs here")
            continue
        for kind in subfolders(micro):
            emotion = canonical(kind.name)
            for place in subfolders(kind):
                name = clip_name(place.name)
                code = _NAME.fullmatch(place.name)
                if code and canonical(code[2]) != emotion:
                    c.note(name, c.name(place), None, "", f"named {code[2]} but lies in {kind.name}", f"{emotion} is taken")
                c.add(None, f"s{int(m[1]):02}", name, emotion, place, c.name(place))


def _load_long(c: Collector, root: Path, sheet: Path, kind: str) -> None:
    images = next((p for p in walk(sheet.parent, 2) if p.name.upper() == kind), None)
    images = images or next((p for p in walk(root, 4) if p.name.upper() == kind), sheet.parent)
    for row in first_sheet(sheet, c.name(sheet)).table("Subject", "Filename", "OnsetF", "OffsetF"):
        if not row.get("Filename"):  # remarks below the table
            c.note("?", row.file, row.number, "Filename", "is empty", "the row is taken for a remark")
            continue
        name, person = row.get("Filename"), re.search(r"\d+", row.get("Subject"))
        clip = clip_name(name)
        if not person:
            finding = c.note(
                clip, row.file, row.number, "Subject", f"{row.get('Subject')!r} has no number", "write the subject's number there"
            )
            c.exclude("", clip, "", "no subject", finding)
            continue
        subject = f"s{int(person[0]):02}"
        code = _NAME.fullmatch(name)
        emotion = canonical(row.get("Emotion") or (code[2] if code else ""))
        folder = child(child(images, subject, f"s{int(person[0])}"), name, clip)
        numbers = [row.get(k) for k in ("OnsetF", "ApexF", "OffsetF")]
        shift = _shift(row.get("FirstF"), folder)
        if shift:
            c.note(
                clip,
                row.file,
                row.number,
                "FirstF",
                f"files are counted from {int(row.get('FirstF')) + shift}",
                "numbers are shifted to them",
            )
            numbers = [str(int(n) + shift) if n.isdigit() else n for n in numbers]
        onset, apex, offset = numbers
        c.add(
            row, subject, clip, emotion, folder, f"{c.name(images)}/{subject}/{name}", onset=onset, apex=apex, offset=offset,
            columns=("OnsetF", "ApexF", "OffsetF"),
        )  # fmt: skip


def _shift(first: str, folder: Path | None) -> int:
    """What turns the sheet's numbers into those of files counted from 0 or 1; 0 when they agree."""
    if folder is None or not first.isdigit() or int(first) < 2:
        return 0
    frames = FrameFolder(folder)
    return frames.first - int(first) if not frames.problem and frames.first in (0, 1) and not frames.has(int(first)) else 0
