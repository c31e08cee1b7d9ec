"""The composite list of MEGC 2019 (See et al.): 442 clips of SMIC-HS, CASME II and SAMM in three classes.

`combined_3class_gt.csv` has no header: database, subject, clip, class (0 negative, 1 positive, 2 surprise). The three
databases lie below the root, each in a folder of its own.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from . import casme2, samm, smic
from .clips import Clip, Collector, Corrections, DatasetError, Excluded, Inventory
from .common import need_file, padded
from .emotions import SCHEMES, label_of
from .frames import _plain, subfolders

CLASSES = SCHEMES["3"]
#: What the list has to hold: negative, positive, surprise.
EXPECTED = {"smic-hs": (70, 51, 43), "casme2": (88, 32, 25), "samm": (92, 26, 15)}
PARTS = {"smic-hs": ("smic", "smichs"), "casme2": ("casme2", "casmeii"), "samm": ("samm",)}
LOADERS = {"smic-hs": lambda r, c: smic.load(r, c, "HS"), "casme2": casme2.load, "samm": samm.load}


def load(root: Path, corrections: Corrections) -> Inventory:
    path = need_file(root, (r"combined_3class_gt\.csv", r"combined_3class_gt.*\.csv"), "the list combined_3class_gt.csv")
    c = Collector("megc2019", root, 0, corrections, cut=True)
    parts = {name: _part(c, root, name, corrections) for name in EXPECTED}
    clips = {(n, x.subject, x.name): x for n, p in parts.items() if p for x in p.clips}
    dropped = {(n, x.subject, x.clip): x for n, p in parts.items() if p for x in p.excluded}
    counts: Counter = Counter()
    for number, database, subject, name, label in _rows(path, c.name(path)):
        counts[database, label] += 1
        key = (database, subject, name)
        if key in clips:
            c.inventory.clips.append(_labelled(c, clips[key], label, c.name(path), number))
        elif key in dropped:
            x = dropped[key]
            c.inventory.excluded.append(x)
        else:
            why = "is not in the sheet or folder of that database" if parts[database] else f"{database} is not below the root"
            finding = c.note(name, c.name(path), number, "clip", f"{database} {subject} {why}", "unpack it, or correct its name")
            c.inventory.excluded.append(Excluded(name, subject, label, "not in its database", finding, database))
    for name, expected in EXPECTED.items():
        got = tuple(counts[name, k] for k in CLASSES)
        if got != expected:
            hint = " (the copy of 441 rows lacks SAMM 032_3_1)" if name == "samm" and sum(got) == 132 else ""
            text = f"{name} has {got[0]} negative, {got[1]} positive, {got[2]} surprise; the list of the challenge has {expected}{hint}"
            c.note(name, c.name(path), None, "class", text, "results are not comparable with others'; fetch the list again")
    return c.inventory


def _part(c: Collector, root: Path, name: str, corrections: Corrections) -> Inventory | None:
    folder = next((p for p in subfolders(root) if _plain(p.name) in PARTS[name]), None)
    if folder is None:
        c.note(
            name, root.name, None, "", f"no folder {' or '.join(PARTS[name])} is there", "its clips are left out; unpack the database there"
        )
        return None
    part = LOADERS[name](folder, corrections)
    c.inventory.findings += part.findings
    return part


def _rows(path: Path, shown: str):
    with path.open(newline="", encoding="utf-8-sig") as f:
        for number, cells in enumerate(csv.reader(f), 1):
            if not any(cells):
                continue
            if len(cells) < 4:
                raise DatasetError(f"{shown}, row {number}: {len(cells)} columns; there have to be database, subject, clip, class")
            database, subject, name, label = (v.strip() for v in cells[:4])
            known = {"smic": "smic-hs", "smichs": "smic-hs", "casme2": "casme2", "casmeii": "casme2", "samm": "samm"}
            if _plain(database) not in known:
                if number == 1:
                    continue  # a header somebody has added
                raise DatasetError(f"{shown}, row {number}, column database: {database!r} is none of smic, casme2, samm")
            if label not in ("0", "1", "2"):
                raise DatasetError(f"{shown}, row {number}, column class: {label!r} is none of 0 (negative), 1 (positive), 2 (surprise)")
            yield number, *_names(known[_plain(database)], subject, name), CLASSES[int(label)]


def _names(database: str, subject: str, name: str) -> tuple[str, str, str]:
    """Subject and clip in the spelling of the database's own loader ("6" is "006", "s1_ne_01" is "s01_ne_01")."""
    if database == "smic-hs":
        digits = re.sub(r"\D", "", subject)
        return database, f"s{int(digits):02}" if digits else subject, smic.clip_name(name)
    return database, padded(subject, 2 if database == "casme2" else 3), name


def _labelled(c: Collector, clip: Clip, label: str, shown: str, number: int) -> Clip:
    own, _ = label_of(clip.emotion, "3", clip.database)
    if own and own != label:
        text = f"class is {label}, but {clip.source} says {clip.emotion}"
        c.note(clip.name, shown, number, "class", text, f"{label} is taken, as in the challenge")
    return Clip(**{**vars(clip), "label": label})
