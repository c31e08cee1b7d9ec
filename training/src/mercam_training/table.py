"""The event table: one movement per row, as CSV. The door for anybody's own features.

Columns: subject, class, then x17 y17 dx17 dy17 ... x67 y67 dx67 dy67 (docs/reference/movement-table.md).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from .actions import CLASSES
from .face import COMPONENTS, COUNT, FIRST_NODE, NODES
from .synth import FULL_ACTION, Samples

HEADER = ["subject", "class"] + [f"{c}{n}" for n in range(FIRST_NODE, COUNT) for c in ("x", "y", "dx", "dy")]


def write(path: Path, s: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(HEADER)
        for x, y, subject in zip(s.x, s.y, s.subject, strict=True):
            out.writerow([int(subject), CLASSES[y], *(f"{v:.6g}" for v in x.reshape(-1))])


def read(path: Path) -> Samples:
    """The rows of a table; columns may come in any order, others are ignored. Errors name the line and the column."""
    rows, labels, subjects = [], [], []
    with path.open(newline="", encoding="utf-8") as f:
        table = csv.DictReader(f)
        missing = [c for c in HEADER if c not in (table.fieldnames or [])]
        if missing:
            raise SystemExit(f"{path}: column {missing[0]!r} is missing ({len(missing)} in all); see docs/reference/movement-table.md")
        for line, row in enumerate(table, 2):
            if row["class"] not in CLASSES:
                raise SystemExit(f"{path}, line {line}: class {row['class']!r} is none of {', '.join(CLASSES)}")
            try:
                values = [float(row[c]) for c in HEADER[2:]]
            except (TypeError, ValueError):
                raise SystemExit(f"{path}, line {line}: a landmark value is not a number") from None
            if not np.isfinite(values).all():
                raise SystemExit(f"{path}, line {line}: a landmark value is not finite")
            rows.append(values)
            labels.append(CLASSES.index(row["class"]))
            subjects.append(row["subject"])
    if not rows:
        raise SystemExit(f"{path}: no rows")
    x = np.array(rows, np.float32).reshape(-1, NODES, 4)
    length = np.hypot(x[..., 2], x[..., 3])
    parts = [length[:, s - FIRST_NODE : e - FIRST_NODE].max(1) for _, s, e in COMPONENTS]
    action = np.minimum(np.stack(parts, 1) / FULL_ACTION, 2).astype(np.float32)
    people = np.unique(subjects, return_inverse=True)[1]
    return Samples(x, np.array(labels), action, np.full(len(x), np.nan), people, np.full(len(x), -1))
