"""Augmentation: what may change about a movement without changing its class. All draws come from one generator."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .layout import CHANNELS
from .moves import Moves


@dataclass(frozen=True)
class AugmentConfig:
    """How much. Everything is drawn anew for every sample and epoch; 0 (or 1, 1) turns a kind off."""

    #: Share of samples seen in the mirror (left and right nodes trade places, x components turn their sign).
    mirror: float = 0.5
    #: Movement is multiplied by a number between these: magnification.
    amplitude: tuple[float, float] = (1.0, 1.0)
    #: The frame taken for the apex is early or late, differently for each component: its movement shrinks by up to this.
    time: float = 0.0
    #: Sigma of a rest of head motion that registration left: turn and stretch (share) and shift (IOD).
    similarity: float = 0.0
    #: Share of nodes whose movement is lost.
    node_dropout: float = 0.0
    #: Sigma of noise on the movement, in shares of the sample's own RMS: no row's copies depend on another row.
    noise: float = 0.0
    #: Mix-up: the share of the second sample is drawn from Beta(mixup, mixup) (Zhang et al. 2018).
    mixup: float = 0.0

    def dump(self) -> dict:
        return asdict(self)


#: For real tables of a few hundred movements.
SMALL_TABLE = AugmentConfig(
    mirror=0.5, amplitude=(0.7, 1.4), time=0.15, similarity=0.002, node_dropout=0.05, noise=0.1, mixup=0.2
)  # fmt: skip


def mirror(m: Moves, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples and lengths, those of the mask `which` mirrored."""
    layout = m.layout
    x = np.where(which[:, None, None], layout.mirrored(m.x), m.x)
    return x, np.where(which[:, None], m.length[:, layout.mirror], m.length)


def augmented(m: Moves, cfg: AugmentConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One epoch's version: x [n, N, C], targets [n, classes] (rows sum to 1), lengths [n, N], units [n, U]."""
    n, layout = len(m), m.layout
    x, length, units = m.x.copy(), m.length.copy(), m.units
    target = np.eye(len(m.classes), dtype=np.float32)[m.y]
    if cfg.mirror > 0 and layout.mirrors:
        x, length = mirror(m, rng.random(n) < cfg.mirror)
    move = x[..., layout.places :]
    if tuple(cfg.amplitude) != (1.0, 1.0):
        by = np.exp(rng.uniform(*np.log(cfg.amplitude), (n, 1, 1)))
        move *= by
        length *= by[..., 0]
    if cfg.time > 0:
        for s, e in layout.spans:
            by = 1 - cfg.time * rng.random((n, 1, 1))
            move[:, s:e] *= by
            length[:, s:e] *= by[..., 0]
    if cfg.noise > 0:
        move += rng.normal(0, 1, move.shape) * cfg.noise * np.sqrt((m.x[..., layout.places :] ** 2).mean(1, keepdims=True))
    if cfg.similarity > 0 and layout.channels == CHANNELS:
        turn, stretch = rng.normal(0, cfg.similarity, (2, n, 1))
        shift = rng.normal(0, cfg.similarity, (n, 1, 2))
        px, py = x[..., 0], x[..., 1]
        x[..., 2] += stretch * px - turn * py + shift[..., 0]
        x[..., 3] += turn * px + stretch * py + shift[..., 1]
    if cfg.node_dropout > 0:
        move[rng.random(x.shape[:2]) < cfg.node_dropout] = 0
    if cfg.mixup > 0:
        share = rng.beta(cfg.mixup, cfg.mixup, n)
        share = np.maximum(share, 1 - share)
        other = rng.permutation(n)
        x = share[:, None, None] * x + (1 - share)[:, None, None] * x[other]
        target = share[:, None] * target + (1 - share)[:, None] * target[other]
        units = share[:, None] * units + (1 - share)[:, None] * units[other]
        length = np.maximum(share[:, None] * length, (1 - share)[:, None] * length[other])
    return (x.astype(np.float32), target.astype(np.float32), length.astype(np.float32), units.astype(np.float32))
