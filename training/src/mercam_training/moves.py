"""Labelled movements as training sees them, whatever they were made or measured with."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from .actions import CLASSES
from .face import COUNT
from .layout import CHANNELS, Layout
from .synth import COMBINATIONS, FULL_ACTION, Samples
from .table import MovementTable, make_table

#: Action units of the AU head, in its order: those of the CD6ME protocol (MEB).
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)


@dataclass(frozen=True)
class Moves:
    """n movements. Arrays have n rows; nothing in them tells which fold they are in."""

    x: np.ndarray  #: [n, N, C] float32
    y: np.ndarray  #: [n] index into classes
    subject: np.ndarray  #: [n] text, different for different people
    database: np.ndarray  #: [n] text
    units: np.ndarray  #: [n, 12] float32: 1 the action unit of UNITS is there, 0 it is not, NaN nobody said
    length: np.ndarray  #: [n, N] float32 how far each node moved, IOD; NaN: not known
    emotion: np.ndarray  #: [n] text, what the annotators called it; "": not known
    classes: tuple[str, ...] = CLASSES
    layout: Layout = Layout()

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Moves:
        """The rows of a mask or of indices."""
        return replace(self, **{k: getattr(self, k)[rows] for k in COLUMNS})

    def actions(self, layout: Layout) -> np.ndarray:
        """Movement of each component of `layout`, [n, P]: 1 = FULL_ACTION, at most 2; NaN: not known."""
        return np.minimum(np.stack([self.length[:, s:e].max(1) for s, e in layout.spans], 1) / FULL_ACTION, 2).astype(np.float32)


COLUMNS = ("x", "y", "subject", "database", "units", "length", "emotion")


def join(parts: list[Moves]) -> Moves:
    """All rows one after another; nodes, channels and classes must be the same."""
    first = parts[0]
    for p in parts[1:]:
        if (p.classes, p.layout) != (first.classes, first.layout):
            raise ValueError("movements of different classes, nodes or channels cannot be joined")
    return replace(first, **{k: np.concatenate([getattr(p, k) for p in parts]) for k in COLUMNS})


def unit_labels(numbers: list[set[int] | None]) -> np.ndarray:
    """Sets of action units (None: not known) as rows [n, 12]."""
    return np.array([[np.nan] * len(UNITS) if u is None else [float(k in u) for k in UNITS] for u in numbers], np.float32).reshape(
        -1, len(UNITS)
    )


def from_samples(s: Samples, database: str = "synthetic", classes: tuple[str, ...] = CLASSES) -> Moves:
    """Synthetic samples. Classes that are not asked for must not be there."""
    if (s.y >= len(classes)).any():
        raise ValueError(f"there are samples of a class that is none of {', '.join(classes)}")
    # What moves during a distractor is no action unit, but a blink or speech does move: nobody says.
    units = unit_labels([set(COMBINATIONS[k].units) if k >= 0 else None for k in s.kind])
    subject = np.array([f"{database}/{n}" for n in s.subject])
    first = COUNT - s.x.shape[1]
    layout = Layout(tuple(range(first, COUNT)))
    return Moves(s.x, s.y, subject, np.full(len(s), database), units, s.length[:, first:], np.full(len(s), ""), classes, layout)


def from_table(t: MovementTable) -> Moves:
    """The rows of a movement table. Nodes are put in the order of their components, places before movement; nothing else
    changes. Subjects are told apart by database."""
    place = t.is_place
    if place.all():
        raise SystemExit("the table has places but no movement: no feature like dx, u or strain (header key 'kind' tells which is which)")
    channels = [*np.flatnonzero(place), *np.flatnonzero(~place)]
    parts = t.components
    free = [i for i in range(len(t.nodes)) if not any(i in v for k, v in parts.items() if k != "contour")]
    nodes = [i for k, v in parts.items() if k != "contour" for i in v] + free
    own = t.header.get("scheme", "ibug68") != "ibug68" or "components" in t.header
    if not own:
        nodes = sorted(range(len(t.nodes)), key=lambda i: t.nodes[i])
    back = {old: new for new, old in enumerate(nodes)}
    names = tuple(t.features[c] for c in channels)
    mirror, spans, at = t.mirror, [], 0
    for name, members in parts.items():
        if name != "contour":
            spans.append((name, at, at + len(members)))
            at += len(members)
    layout = Layout(
        landmarks=tuple(t.nodes[i] for i in nodes),
        channels=names,
        places=int(place.sum()),
        parts=tuple(spans) if own else None,
        twins=tuple(back[int(mirror[i])] for i in nodes) if own and mirror is not None else None,
        turns=None if names == CHANNELS else tuple(int(t.mirror_sign[c]) for c in channels),
    )
    x = np.ascontiguousarray(t.x[:, nodes][:, :, channels])
    units = unit_labels([None if a == "" else {int(n) for n in re.findall(r"[0-9]+", a)} for a in t.aus.astype(str)])
    emotion = t.extra.get("emotion", np.full(len(t), "")).astype(str)
    return Moves(x, t.label, t.groups.astype(str), t.database.astype(str), units, measured_length(x, names), emotion, t.classes, layout)


def to_table(m: Moves, **header) -> MovementTable:
    """Synthetic movements as a table."""
    units = ["" if np.isnan(u).any() else "+".join(str(k) for k, on in zip(UNITS, u, strict=True) if on) or "-" for u in m.units]
    return make_table(m.x, m.y, m.subject, m.classes, nodes=m.layout.landmarks, features=m.layout.channels, header=header,
                      database=m.database, aus=np.array(units))  # fmt: skip


def measured_length(x: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    """How far each node moved as measured, [n, N]; NaN when the channels are not dx and dy."""
    if "dx" not in channels or "dy" not in channels:
        return np.full(x.shape[:2], np.nan, np.float32)
    return np.hypot(x[..., channels.index("dx")], x[..., channels.index("dy")]).astype(np.float32)


def select_nodes(m: Moves, landmarks: tuple[int, ...]) -> Moves:
    """The same movements on fewer nodes (iBUG landmarks)."""
    if m.layout.parts is not None or m.layout.landmarks == tuple(landmarks):
        return m
    missing = [n for n in landmarks if n not in m.layout.position]
    if missing:
        raise SystemExit(f"the data have no landmark {missing[0]} (of {len(missing)} that [model] nodes asks for)")
    at = [m.layout.position[n] for n in landmarks]
    return replace(m, x=m.x[:, at], length=m.length[:, at], layout=replace(m.layout, landmarks=tuple(landmarks)))
