"""How much of a movement lies between the two frames that are taken for its onset and its apex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Logarithm of onset to offset in ms, and the rise as a share of it: annotations of CASME II, SAMM, SMIC and DFME.
TOTAL_LOG_MS, TOTAL_SIGMA, RISE_BETA = 5.89, 0.30, (5.5, 5.0)
#: Standard error of mercam's own onset and apex, ms (docs/reference/accuracy.md has the quartiles).
SPOTTED_MS = 16.0
#: The units of a movement do not peak together: sigma of a unit's peak, in shares of the rise.
APART = 0.08


@dataclass(frozen=True)
class TimingConfig:
    """Frame rates, one of which a movement is filmed at, and the share of frames that are lost."""

    fps: tuple[float, ...]
    lost: float


def jerk(t: np.ndarray) -> np.ndarray:
    """Minimum jerk from 0 to 1."""
    t = np.clip(t, 0, 1)
    return t**3 * (10 - 15 * t + 6 * t**2)


def seen_share(rows: int, units: int, rng: np.random.Generator, cfg: TimingConfig) -> np.ndarray:
    """Share of each unit's full movement that the two frames differ by, [rows, units]; at least a fifth, because the
    spotter hands over nothing that it did not see rise."""
    total = np.exp(rng.normal(TOTAL_LOG_MS, TOTAL_SIGMA, (rows, 1)))
    rise = total * rng.beta(*RISE_BETA, (rows, 1))
    frame = 1000 / rng.choice(cfg.fps, (rows, 1))

    def taken(at: np.ndarray) -> np.ndarray:
        """Time of the frame that stands for a moment: the spotter's error, the grid of frames, a frame that was lost."""
        lost = rng.choice([-1, 1], at.shape) * (rng.random(at.shape) < cfg.lost)
        return at + rng.normal(0, SPOTTED_MS, at.shape) + frame * (rng.uniform(-0.5, 0.5, at.shape) + lost)

    onset, apex = taken(np.zeros_like(rise)), taken(rise)
    peak = rise * (1 + rng.normal(0, APART, (rows, units)))

    def place(t: np.ndarray) -> np.ndarray:
        return np.where(t < peak, jerk(t / peak), jerk((total - t) / np.maximum(total - peak, 1)))

    return np.clip(place(apex) - place(onset), 0.2, 1)
