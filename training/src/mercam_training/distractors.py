"""What is no micro-expression: each function adds one kind of movement to the rows it is given, in place."""

from __future__ import annotations

import numpy as np

from .actions import Actions, Combination
from .face import COUNT, FIRST_NODE

DISTRACTORS = ("noise", "head", "blink", "talking", "gaze", "slip", "macro", "occlusion")


def talking(rows: np.ndarray, strength: np.ndarray, rng: np.random.Generator, actions: Actions) -> None:
    """A piece of speech: the jaw and lips between two sounds, in either direction."""
    jaw, others = actions.index(26), [actions.index(u) for u in (25, 18, 22, 16, 20, 24, 28)]
    strength[rows, jaw] = (rng.choice([1, -1], len(rows)) * rng.uniform(0.03, 0.3, len(rows)))[:, None]
    for unit in others:
        on = rng.random(len(rows)) < 0.3
        strength[rows, unit] = (on * rng.normal(0, 0.2, len(rows)))[:, None]


_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))


def blink(rows: np.ndarray, shape: np.ndarray, move: np.ndarray, slipped: np.ndarray, rng: np.random.Generator, most: float) -> None:
    """AU45: the upper lids fall by a share of the opening (or rise again, which is a lid that was closed at the onset)."""
    closed = rng.uniform(0.12, 1.0, len(rows)) * most
    opening = rng.random(len(rows)) < 0.2
    for upper, lower in _LIDS:
        gap = shape[rows, lower, :2] - shape[rows, upper, :2]
        part = (closed * np.exp(rng.normal(0, 0.08, len(rows))))[:, None] * gap
        shape[rows, upper, :2] += np.where(opening[:, None], part * 0.88, 0)
        shape[rows, lower, :2] -= np.where(opening[:, None], part * 0.12, 0)
        sign = np.where(opening, -1, 1)[:, None]
        move[rows, upper] += sign * part * 0.88
        move[rows, lower] -= sign * part * 0.12
    brow = rng.normal(0.002, 0.0015, len(rows)) * closed * np.where(opening, -1, 1)
    move[rows, 17:27, 1] += brow[:, None]
    # What lies under the lid disappears: the tracker slips on the eye.
    slipped[rows, 36:48] += rng.normal(0, 0.012, (len(rows), 12, 2)) * closed[:, None, None]


def gaze(rows: np.ndarray, move: np.ndarray, rng: np.random.Generator) -> None:
    """Looking up or down carries both lids of both eyes the same way, the upper one further."""
    way = rng.choice([-1, 1], len(rows)) * rng.uniform(0.004, 0.03, len(rows))
    side = rng.normal(0, 0.004, len(rows))
    for upper, lower in _LIDS:
        move[rows, upper, 1] += way
        move[rows, lower, 1] += way * rng.uniform(0.25, 0.7, len(rows))
        move[rows, upper, 0] += side
        move[rows, lower, 0] += side


def slip(rows: np.ndarray, slipped: np.ndarray, rng: np.random.Generator) -> None:
    """One to four landmarks lose their place, each its own way."""
    for r in rows:
        points = rng.choice(np.arange(FIRST_NODE, COUNT), rng.integers(1, 5), replace=False)
        slipped[r, points] += rng.normal(0, rng.uniform(0.01, 0.04), (len(points), 2))


def macro(rows: np.ndarray, strength: np.ndarray, rng: np.random.Generator, actions: Actions, combinations: list[Combination]) -> None:
    """The steep part of a slow, strong expression: the units of one or two combinations on both sides, at a share of
    their full strength that no micro-expression reaches."""
    share = np.array([c.share for c in combinations])
    for r in rows:
        some = rng.choice(len(combinations), 1 + int(rng.random() < 0.5), p=share / share.sum())
        units = sorted({u for i in some for u in combinations[i].units})
        strength[r, [actions.index(u) for u in units]] = rng.uniform(0.5, 1.1) * np.exp(rng.normal(0, 0.2, (len(units), 1)))


def occlusion(rows: np.ndarray, shape: np.ndarray, slipped: np.ndarray, rng: np.random.Generator) -> None:
    """A hand goes before part of the face: the landmarks behind it go with it, each a little differently."""
    for r in rows:
        centre = shape[r, rng.integers(FIRST_NODE, COUNT), :2]
        behind = np.flatnonzero(np.hypot(*(shape[r, :, :2] - centre).T) < rng.uniform(0.2, 0.7))
        slipped[r, behind] += rng.normal(0, 0.05, 2) + rng.normal(0, 0.02, (len(behind), 2))
