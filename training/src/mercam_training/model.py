"""DeRe-GRL: two-stream landmark graph network, Action Decomposition Module, Relation Reconstruction Module.

After the abstract of J. Wei et al., "Prior Information based Decomposition and Reconstruction Learning for
Micro-Expression Recognition", IEICE Trans. Inf. & Syst. E106-D(10), 2023. The paper's equations, sizes and results
were not available: every size here is a choice, and a field of ModelConfig.

Input [batch, 51, 4]: x0, y0 (place at the onset) and dx, dy (movement to the apex), face frame, raw IOD.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .face import COMPONENTS, FIRST_NODE, NODE_MIRROR, NODES

CHANNELS = 4
PARTS = len(COMPONENTS)
SLICES = [(s - FIRST_NODE, e - FIRST_NODE) for _, s, e in COMPONENTS]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches."""

    #: Width after each graph layer of one stream.
    widths: tuple[int, ...] = (24, 24, 24)
    #: Add the free, learned part of the adjacency.
    learnable_graph: bool = True
    #: "per_component": each component has its own map matrices; "mixing": one matrix mixes the pooled components;
    #: "off": each component's mean goes on unmapped (ablation).
    adm: str = "per_component"
    #: Actions per component, and the width of an action feature.
    actions: int = 2
    action_dim: int = 16
    #: "pairwise": softmax weights between all actions; "off": actions go on unrelated (ablation).
    rrm: str = "pairwise"
    dropout: float = 0.3
    classes: int = 4
    #: Movements are compressed to d / (knee + |d|) first, so that int8 resolves weak and strong ones; IOD.
    knee: float = 0.02
    bone_knee: float = 0.01

    def dump(self) -> dict:
        return asdict(self)


def parents() -> list[int]:
    """The node each node hangs from: chains along brows, eyes and lips, all rooted at the nose bridge (node 10)."""
    up = {17: 18, 18: 19, 19: 20, 20: 21, 21: 27, 26: 25, 25: 24, 24: 23, 23: 22, 22: 27, 27: 27}
    up |= {28: 27, 29: 28, 30: 29, 33: 30, 32: 33, 31: 32, 34: 33, 35: 34}
    up |= {39: 27, 38: 39, 37: 38, 40: 39, 41: 40, 36: 41, 42: 27, 43: 42, 44: 43, 47: 42, 46: 47, 45: 46}
    up |= {51: 33, 50: 51, 49: 50, 48: 49, 52: 51, 53: 52, 54: 53, 57: 66, 58: 57, 59: 58, 56: 57, 55: 56}
    up |= {62: 51, 61: 62, 60: 61, 63: 62, 64: 63, 66: 62, 67: 66, 65: 66}
    return [up[FIRST_NODE + n] - FIRST_NODE for n in range(NODES)]


def bones() -> np.ndarray:
    """Constant matrix [51, 51] that turns node values into node minus parent (the root's bone is zero)."""
    d = np.eye(NODES, dtype=np.float32)
    for n, p in enumerate(parents()):
        d[n, p] -= 1
    return d


def anatomical_graph() -> np.ndarray:
    """Row-normalised adjacency [51, 51]: chains, closed outlines, mirror pairs, self loops."""
    a = np.eye(NODES, dtype=np.float32)
    edges = [(n, p) for n, p in enumerate(parents())]
    edges += [(n, int(m)) for n, m in enumerate(NODE_MIRROR)]
    edges += [(a - FIRST_NODE, b - FIRST_NODE) for a, b in ((36, 37), (45, 44), (48, 59), (54, 55), (60, 67), (64, 65), (48, 60), (54, 64))]
    for i, j in edges:
        a[i, j] = a[j, i] = 1
    return a / a.sum(1, keepdims=True)


class Normalise(nn.Module):
    """Raw features to the inputs of the two streams: compression, then a z-score with training statistics, in fp32."""

    def __init__(self, knee: float, bone_knee: float):
        super().__init__()
        self.knees = (knee, bone_knee)
        self.register_buffer("bones", torch.from_numpy(bones()))
        for k in ("points", "lines"):
            self.register_buffer(f"{k}_mean", torch.zeros(NODES, CHANNELS))
            self.register_buffer(f"{k}_scale", torch.ones(CHANNELS))

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two orders of geometric movement before the z-score: points and lines (bones)."""

        def squash(v: Tensor, knee: float) -> Tensor:
            d = v[..., 2:]
            return torch.cat([v[..., :2], d / (torch.abs(d) + knee)], -1)

        return squash(x, self.knees[0]), squash(torch.matmul(self.bones, x), self.knees[1])

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Statistics of training samples: mean place of each node, one scale per channel; movements keep their zero."""
        for name, v in zip(("points", "lines"), self.raw(x), strict=True):
            mean = v.mean(0)
            mean[:, 2:] = 0
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_scale").copy_(1 / (v - mean).pow(2).mean((0, 1)).sqrt().clamp_min(1e-6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        points, lines = self.raw(x)
        return (points - self.points_mean) * self.points_scale, (lines - self.lines_mean) * self.lines_scale


class GraphLayer(nn.Module):
    """relu(BN(A (X W + b)) + X R), A = anatomical + learned."""

    def __init__(self, cin: int, cout: int, learnable: bool):
        super().__init__()
        self.register_buffer("anatomy", torch.from_numpy(anatomical_graph()))
        self.free = nn.Parameter(torch.randn(NODES, NODES) * 1e-2) if learnable else None
        self.lin, self.res = nn.Linear(cin, cout), nn.Linear(cin, cout, bias=False)
        self.bn = nn.BatchNorm1d(cout)

    def adjacency(self) -> Tensor:
        return self.anatomy if self.free is None else self.anatomy + self.free

    def forward(self, x: Tensor) -> Tensor:
        y = torch.matmul(self.adjacency(), self.lin(x))
        return F.relu(self.bn(y.transpose(1, 2)).transpose(1, 2) + self.res(x))


class Decomposition(nn.Module):
    """ADM: geometric movement features [B, 51, C] -> action features [B, Q, D]."""

    def __init__(self, cfg: ModelConfig, width: int):
        super().__init__()
        self.cfg, out = cfg, cfg.actions * cfg.action_dim
        if cfg.adm == "per_component":
            self.maps = nn.ModuleList(nn.Linear((e - s) * width, out) for s, e in SLICES)
        elif cfg.adm == "mixing":
            self.pool = nn.ModuleList(nn.Linear((e - s) * width, cfg.action_dim) for s, e in SLICES)
            self.mix = nn.Parameter(torch.eye(PARTS).repeat_interleave(cfg.actions, 0) + 0.05 * torch.randn(PARTS * cfg.actions, PARTS))
        elif cfg.adm == "off":
            self.lift = nn.Linear(width, out)  # only fits the width; the same for every component
        else:
            raise ValueError(f"adm is {cfg.adm!r}; it can be per_component, mixing or off")

    def forward(self, f: Tensor) -> Tensor:
        cfg = self.cfg
        if cfg.adm == "per_component":
            a = [m(f[:, s:e].flatten(1)) for m, (s, e) in zip(self.maps, SLICES, strict=True)]
            return F.relu(torch.stack(a, 1)).reshape(-1, PARTS * cfg.actions, cfg.action_dim)
        if cfg.adm == "mixing":
            s = torch.stack([m(f[:, s:e].flatten(1)) for m, (s, e) in zip(self.pool, SLICES, strict=True)], 1)
            return F.relu(torch.matmul(self.mix, s))
        a = torch.stack([f[:, s:e].mean(1) for s, e in SLICES], 1)
        return F.relu(self.lift(a)).reshape(-1, PARTS * cfg.actions, cfg.action_dim)


class Reconstruction(nn.Module):
    """RRM: weights every action with every other, [B, Q, D] -> ([B, Q, D], relations [B, Q, Q]); rows sum to 1."""

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        d = cfg.action_dim
        self.on = cfg.rrm == "pairwise"
        if cfg.rrm not in ("pairwise", "off"):
            raise ValueError(f"rrm is {cfg.rrm!r}; it can be pairwise or off")
        if self.on:
            self.q, self.k, self.v = (nn.Linear(d, d, bias=b) for b in (True, False, True))

    def forward(self, a: Tensor) -> tuple[Tensor, Tensor]:
        if not self.on:
            return a, torch.eye(a.shape[1], device=a.device).expand(len(a), -1, -1)
        w = torch.softmax(self.q(a) @ self.k(a).transpose(1, 2) * a.shape[-1] ** -0.5, -1)
        return F.relu(a + w @ self.v(a)), w


class DeReGrl(nn.Module):
    """Training form. Returns logits, component actions [B, 6] and relations [B, Q, Q]."""

    def __init__(self, cfg: ModelConfig | None = None):
        super().__init__()
        self.cfg = cfg = cfg or ModelConfig()
        self.normalise = Normalise(cfg.knee, cfg.bone_knee)
        sizes = [CHANNELS, *cfg.widths]
        self.streams = nn.ModuleList(
            nn.ModuleList(GraphLayer(a, b, cfg.learnable_graph) for a, b in itertools.pairwise(sizes)) for _ in range(2)
        )
        self.adm = Decomposition(cfg, 2 * cfg.widths[-1])
        self.rrm = Reconstruction(cfg)
        self.drop = nn.Dropout(cfg.dropout)
        self.head = nn.Linear(PARTS * cfg.actions * cfg.action_dim, cfg.classes)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        streams = []
        for h, layers in zip(self.normalise(x), self.streams, strict=True):
            for layer in layers:
                h = layer(h)
            streams.append(h)
        a = self.adm(torch.cat(streams, -1))
        r, w = self.rrm(a)
        return self.head(self.drop(r.flatten(1))), component_actions(a), w

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())


def component_actions(a: Tensor) -> Tensor:
    """Mean activation of each component's action features, [B, Q, D] -> [B, 6]."""
    return a.reshape(-1, PARTS, a.shape[1] // PARTS * a.shape[2]).mean(-1)
