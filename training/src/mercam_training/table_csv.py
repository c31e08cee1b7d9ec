"""The CSV form of the movement table (version 1): x, y, dx, dy of the landmarks 17-67 in any order of columns."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from .actions import CLASSES
from .table import FEATURES, LANDMARKS, OPTIONAL, PAGE, MovementTable, TableError, make_header

CELLS = [f"{c}{n}" for n in LANDMARKS for c in FEATURES]


def write_csv(part: Path, path: Path, t: MovementTable) -> None:
    """Writes to `part`; `path` is what errors call it."""
    if t.nodes != LANDMARKS or t.features != FEATURES:
        raise TableError(f"{path}: a .csv table holds {', '.join(FEATURES)} of the landmarks 17-67 only; write .npz instead")
    with part.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["subject", "class", *OPTIONAL, *CELLS])
        for i, values in enumerate(t.x.reshape(len(t), -1)):
            known = [t.database[i], t.aus[i], *("" if np.isnan(v) else f"{v:.6g}" for v in (t.iod[i], t.fps[i]))]
            out.writerow([t.subject[i], t.classes[t.label[i]], *known, *(f"{v:.6g}" for v in values)])


def read_csv(path: Path) -> tuple[dict, dict]:
    """Header and columns. Columns not known here are left out."""
    rows, labels = [], []
    known: dict[str, list] = {"subject": [], **{k: [] for k in OPTIONAL}}
    with path.open(newline="", encoding="utf-8-sig") as f:
        table = csv.DictReader(f)
        names = table.fieldnames or []
        missing = [c for c in ("subject", "class", *CELLS) if c not in names]
        if missing:
            raise TableError(f"{path}: column {missing[0]!r} is missing ({len(missing)} in all); {PAGE}")
        for row in table:
            where = f"{path}, line {table.line_num}"
            if row["class"] not in CLASSES:
                raise TableError(f"{where}, column class: {row['class']!r} is none of {', '.join(CLASSES)}")
            rows.append([_number(where, row, c) for c in CELLS])
            labels.append(CLASSES.index(row["class"]))
            known["subject"].append(row["subject"])
            for key, nothing in OPTIONAL.items():
                text = row.get(key) or ""
                known[key].append(text if nothing == "" else _number(where, row, key) if text else nothing)
    if not rows:
        raise TableError(f"{path}: no rows")
    x = np.array(rows, np.float32).reshape(-1, len(LANDMARKS), len(FEATURES))
    return make_header(CLASSES), {"x": x, "label": np.array(labels), **{k: np.array(v) for k, v in known.items()}}


def _number(where: str, row: dict, column: str) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        raise TableError(f"{where}, column {column}: {row[column]!r} is not a number; write it as 0.0123") from None
    if not np.isfinite(value):
        raise TableError(f"{where}, column {column}: not finite; leave the row out or measure it again")
    return value
