"""Facial action units: where each moves the 68 landmarks, which occur together in which class, and on which side."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np

from .face import COUNT, MIRROR

#: Classes of the shipped model, in the order of its output.
CLASSES = ("negative", "positive", "surprise", "none")

#: How the twelve measured point groups reach the landmarks of the left half of the picture (the subject's right side):
#: landmark -> [(group, share)]. Landmarks between two groups take half of each.
_REACH: dict[int, list[tuple[str, float]]] = {
    17: [("brow_outer", 1)], 18: [("brow_outer", 0.5), ("brow_mid", 0.5)], 19: [("brow_mid", 1)],
    20: [("brow_mid", 0.5), ("brow_inner", 0.5)], 21: [("brow_inner", 1)],
    31: [("nose_ala", 1)], 32: [("nose_ala", 0.3)], 33: [("nose_ala", 0.2)],
    37: [("lid_upper", 1)], 38: [("lid_upper", 1)], 40: [("lid_lower", 1)], 41: [("lid_lower", 1)],
    48: [("lip_corner", 1)], 49: [("lip_up_lat", 1)], 50: [("lip_up_lat", 0.5), ("lip_up_mid", 0.5)], 51: [("lip_up_mid", 1)],
    59: [("lip_low_lat", 1)], 58: [("lip_low_lat", 0.5), ("lip_low_mid", 0.5)], 57: [("lip_low_mid", 1)],
    60: [("lip_corner", 1)], 61: [("lip_up_lat", 0.5), ("lip_up_mid", 0.5)], 62: [("lip_up_mid", 1)],
    67: [("lip_low_lat", 0.5), ("lip_low_mid", 0.5)], 66: [("lip_low_mid", 1)],
    8: [("chin", 1)], 7: [("chin", 0.8)], 6: [("chin", 0.4)],
}  # fmt: skip

#: Units that the displacement table lacks, after their FACS description: {group: (x outward, y up)}.
_ADDED = {
    25: {"lip_up_mid": (0, 0.02), "lip_up_lat": (0, 0.01), "lip_low_lat": (0, -0.05), "lip_low_mid": (0, -0.08)},
    38: {"nose_ala": (0.05, 0.01)},
}
#: Units whose tabled direction does not agree with real micro-expressions (cosine below 0.6): drawn far around it.
BROAD = (6, 14, 15, 20)


@dataclass(frozen=True)
class Actions:
    """Units in the order of `numbers`; everything indexed by unit."""

    numbers: tuple[int, ...]
    #: Displacement of every landmark at full strength, [units, 2 sides, 68, 2], face frame (x right, y down), IOD.
    #: Side 0 is the left half of the picture. Both sides together move a midline landmark in full.
    table: np.ndarray
    #: Median share of full strength at the apex of a micro-expression, [units].
    apex: np.ndarray
    #: Share of clips with the unit on the left half only, on the right half only, [units, 2].
    one_sided: np.ndarray
    #: Standard deviation of a unit's direction between people, radians, [units].
    turn: np.ndarray

    def index(self, number: int) -> int:
        return self.numbers.index(number)


@dataclass(frozen=True)
class Combination:
    """Units that appear together, and its share within its class."""

    cls: int
    units: tuple[int, ...]
    share: float


def _rows(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def load_actions() -> Actions:
    """The tables of `data/`, turned from (x outward, y up) per point group into the face frame per landmark."""
    spec: dict[int, tuple[float, dict[str, tuple[float, float]]]] = {}
    for r in _rows("au_displacement.csv"):
        groups = sorted({k[:-2] for k in r if k.endswith(("_x", "_y"))})
        moves = {g: (float(r[f"{g}_x"]), float(r[f"{g}_y"])) for g in groups}
        spec[int(r["au"])] = (float(r["apex_fraction"] or "nan"), moves)
    for n, moves in _ADDED.items():
        spec[n] = (float("nan"), moves)
    sides = {int(r["au"]): r for r in _rows("au_laterality.csv")}
    numbers = tuple(sorted(spec))
    table = np.zeros((len(numbers), 2, COUNT, 2))
    apex, one_sided, turn = np.zeros(len(numbers)), np.zeros((len(numbers), 2)), np.zeros(len(numbers))
    for k, n in enumerate(numbers):
        fraction, moves = spec[n]
        for point, parts in _REACH.items():
            outward = sum(moves.get(g, (0, 0))[0] * w for g, w in parts)
            up = sum(moves.get(g, (0, 0))[1] * w for g, w in parts)
            midline = MIRROR[point] == point
            table[k, 0, point] = np.array([-outward, -up]) * (0.5 if midline else 1)
            table[k, 1, MIRROR[point]] = np.array([outward, -up]) * (0.5 if midline else 1)
        # Below a tenth a unit cannot be seen at all; the measured shares of AU6, 15 and 20 are not usable.
        apex[k] = np.clip(fraction, 0.12, 0.45) if np.isfinite(fraction) and n not in BROAD else 0.15
        if n in sides:
            both, left, right = (float(sides[n][c]) for c in ("bilateral", "left", "right"))
            one_sided[k] = np.array([right, left]) / max(both + left + right, 1)  # the subject's right is the picture's left
        turn[k] = np.deg2rad(50 if n in BROAD else 12)
    return Actions(numbers, table, apex, one_sided, turn)


def load_combinations(actions: Actions) -> list[Combination]:
    """Combinations of the three expressive classes; a unit without a movement (39, 58, ...) drops its combination."""
    rows = [(CLASSES.index(r["class"]), tuple(int(u) for u in r["combination"].split("+")), float(r["clips"]))
            for r in _rows("au_combinations.csv")]  # fmt: skip
    rows = [r for r in rows if all(u in actions.numbers for u in r[1])]
    total = {c: sum(n for k, _, n in rows if k == c) for c in range(len(CLASSES))}
    return [Combination(c, units, n / total[c]) for c, units, n in rows]
