"""DeRe-GRL: two-stream landmark graph network, Action Decomposition Module (adm.py), Relation Reconstruction Module
(rrm.py).

After the abstract of J. Wei et al., "Prior Information based Decomposition and Reconstruction Learning for
Micro-Expression Recognition", IEICE Trans. Inf. & Syst. E106-D(10), 2023. The paper's equations, sizes and results
were not available: every size here is a choice, and a field of ModelConfig with its reason.

B samples, N nodes, C channels, P components, Q = P * actions, D = action_dim:

    X [B, N, C] -> points, bones [B, N, C'] -> graph layers -> F [B, N, 2W] -> ADM -> A [B, Q, D]
    -> RRM -> R [B, Q, D], relations [B, Q, Q] -> logits [B, classes]
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .adm import ABLATIONS, Decomposition
from .layout import CHANNELS, NODE_SETS, Layout
from .rrm import Reconstruction

AMPLITUDES = ("raw", "normalised", "both")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches. Defaults are the shipped network (101,130 parameters)."""

    #: Landmarks that are nodes: a size (68, 51 or 39), or the iBUG numbers themselves.
    nodes: int | tuple[int, ...] = 51
    #: Names of the channels: first those that say where a node is, then those of movement.
    channels: tuple[str, ...] = CHANNELS
    #: Nodes and channels of a table of somebody's own (the fields of layout.Layout); set when a table is read.
    custom: dict | None = None
    #: Facial key components: 6, 4 or 3.
    components: int = 6
    #: Width after each graph layer of one stream; small, because real tables have a few hundred rows.
    widths: tuple[int, ...] = (24, 24, 24)
    #: Add the free, learned part of the adjacency: relations between nodes far apart.
    learnable_graph: bool = True
    #: "per_component" (reading A), "mixing" (reading B), or the ablations "flatten" and "gap".
    adm: str = "per_component"
    #: Actions per component, and the width of an action feature.
    actions: int = 2
    action_dim: int = 16
    #: "pairwise", "gate" (sample-dependent), "static", or the ablation "off".
    rrm: str = "pairwise"
    #: "concat" keeps which component acts; "sum" adds the weighted actions up.
    reconstruct: str = "concat"
    dropout: float = 0.3
    classes: int = 4
    #: Action units that an extra head names from the action features (0: no head). For training only, not exported.
    units: int = 0
    #: Have learnable centres of the actions, which the compactness loss needs (FDRL).
    centres: bool = False
    #: What the movement channels are: as measured; divided by the sample's own RMS movement; or both side by side.
    amplitude: str = "raw"
    #: Movements are compressed to d / (knee + |d|) first, so that int8 resolves weak and strong ones; IOD. Channels
    #: other than dx and dy get twice their median absolute value instead.
    knee: float = 0.02
    bone_knee: float = 0.01

    def dump(self) -> dict:
        return asdict(self)

    def layout(self) -> Layout:
        if self.custom is not None:
            return Layout(**self.custom | {"split": self.components})
        if isinstance(self.nodes, int):
            if self.nodes not in NODE_SETS:
                raise ValueError(f"nodes is {self.nodes}; it can be {', '.join(map(str, NODE_SETS))} or a list of landmarks")
            return Layout(NODE_SETS[self.nodes], tuple(self.channels), self.components)
        return Layout(tuple(self.nodes), tuple(self.channels), self.components)


class Normalise(nn.Module):
    """Raw features [B, N, C] to the inputs of the two streams, points and bones, [B, N, C'] each.

    Compression, then a z-score with training statistics, in fp32. Places lose the mean place of their node; movements
    keep their zero. C' = C, or C plus the movement channels once more with amplitude = "both".
    """

    def __init__(self, layout: Layout, cfg: ModelConfig):
        super().__init__()
        if cfg.amplitude not in AMPLITUDES:
            raise ValueError(f"amplitude is {cfg.amplitude!r}; it can be {', '.join(AMPLITUDES)}")
        self.places, self.amplitude = layout.places, cfg.amplitude
        movement = layout.channels[self.places :]
        self.known = [c in ("dx", "dy") for c in movement]
        self.register_buffer("bones", torch.from_numpy(layout.bones()))
        self.channels = len(layout.channels) + (len(movement) if cfg.amplitude == "both" else 0)
        for name, knee in (("points", cfg.knee), ("lines", cfg.bone_knee)):
            self.register_buffer(f"{name}_knee", torch.full((len(movement),), knee))
            self.register_buffer(f"{name}_mean", torch.zeros(layout.nodes, self.channels))
            self.register_buffer(f"{name}_scale", torch.ones(self.channels))

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two orders of geometric movement before the z-score, [B, N, C'] each."""
        return self._squash(x, self.points_knee), self._squash(torch.matmul(self.bones, x), self.lines_knee)

    def _squash(self, v: Tensor, knee: Tensor) -> Tensor:
        d = v[..., self.places :]
        kept = [v[..., : self.places]] if self.places else []
        if self.amplitude != "normalised":
            kept.append(d / (torch.abs(d) + knee))
        if self.amplitude != "raw":
            size = torch.sqrt((d * d).mean((1, 2), keepdim=True) + 1e-10)
            u = d / size
            kept.append(u / (torch.abs(u) + 1))
        return torch.cat(kept, -1)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Statistics of training samples [n, N, C]: knees of unknown channels, mean places, one scale per channel."""
        for name, v in (("points", x), ("lines", torch.matmul(self.bones, x))):
            middle = v[..., self.places :].abs().flatten(0, 1)[:200_000].median(0).values
            knee = getattr(self, f"{name}_knee")
            knee.copy_(torch.where(torch.tensor(self.known, device=x.device), knee, (2 * middle).clamp_min(1e-4)))
        for name, v in zip(("points", "lines"), self.raw(x), strict=True):
            mean = v.mean(0)
            mean[:, self.places :] = 0
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_scale").copy_(1 / (v - mean).pow(2).mean((0, 1)).sqrt().clamp_min(1e-6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        points, lines = self.raw(x)
        return (points - self.points_mean) * self.points_scale, (lines - self.lines_mean) * self.lines_scale


class GraphLayer(nn.Module):
    """[B, N, cin] -> [B, N, cout]: relu(BN(A (X W + b)) + X R), A = anatomical + learned, [N, N]."""

    def __init__(self, graph: Tensor, cin: int, cout: int, learnable: bool):
        super().__init__()
        self.register_buffer("anatomy", graph)
        self.free = nn.Parameter(torch.randn(len(graph), len(graph)) * 1e-2) if learnable else None
        self.lin, self.res = nn.Linear(cin, cout), nn.Linear(cin, cout, bias=False)
        self.bn = nn.BatchNorm1d(cout)

    def adjacency(self) -> Tensor:
        """[N, N]."""
        return self.anatomy if self.free is None else self.anatomy + self.free

    def forward(self, x: Tensor) -> Tensor:
        y = torch.matmul(self.adjacency(), self.lin(x))
        return F.relu(self.bn(y.transpose(1, 2)).transpose(1, 2) + self.res(x))


class DeReGrl(nn.Module):
    """Training form: X [B, N, C] -> logits [B, classes], component actions [B, P], relations [B, Q, Q]."""

    def __init__(self, cfg: ModelConfig | None = None):
        super().__init__()
        self.cfg = cfg = cfg or ModelConfig()
        if cfg.reconstruct not in ("concat", "sum"):
            raise ValueError(f"reconstruct is {cfg.reconstruct!r}; it can be concat or sum")
        if cfg.adm in ABLATIONS and cfg.rrm != "off":
            raise ValueError(f"adm = {cfg.adm!r} has no actions to relate: set rrm to off")
        self.layout = layout = cfg.layout()
        self.normalise = Normalise(layout, cfg)
        sizes = [self.normalise.channels, *cfg.widths]
        graph = torch.from_numpy(layout.graph())
        self.streams = nn.ModuleList(
            nn.ModuleList(GraphLayer(graph, a, b, cfg.learnable_graph) for a, b in itertools.pairwise(sizes)) for _ in range(2)
        )
        self.adm = Decomposition(cfg.adm, layout.spans, layout.nodes, 2 * cfg.widths[-1], cfg.actions, cfg.action_dim)
        q, d = self.adm.shape
        self.rrm = Reconstruction(cfg.rrm, q, d)
        self.drop = nn.Dropout(cfg.dropout)
        self.head = nn.Linear(d if cfg.reconstruct == "sum" else q * d, cfg.classes)
        self.unit_head = nn.Linear(q * d, cfg.units) if cfg.units else None
        self.centres = nn.Parameter(torch.zeros(q, d)) if cfg.centres else None
        self.register_buffer("temperature", torch.ones(()))

    def features(self, x: Tensor) -> Tensor:
        """The geometric movement features F [B, N, 2W] of both streams."""
        streams = []
        for h, layers in zip(self.normalise(x), self.streams, strict=True):
            for layer in layers:
                h = layer(h)
            streams.append(h)
        return torch.cat(streams, -1)

    def parts(self, x: Tensor) -> dict[str, Tensor]:
        """Everything a loss may ask for: logits, component actions, relations, action features A [B, Q, D], units."""
        return self.heads(self.features(x))

    def heads(self, f: Tensor) -> dict[str, Tensor]:
        """The same from geometric movement features F [B, N, 2W]."""
        a = self.adm(f)
        r, w = self.rrm(a)
        r = self._side_by_side(r)
        out = {"logits": self.head(self.drop(r)), "actions": self.adm.component_actions(a, f), "relations": w, "features": a}
        if self.unit_head is not None:
            out["units"] = self.unit_head(self.drop(a.flatten(1)))
        return out

    def _side_by_side(self, r: Tensor) -> Tensor:
        return r.sum(1) if self.cfg.reconstruct == "sum" else r.flatten(1)

    def embedding(self, f: Tensor) -> Tensor:
        """What the last layer sees, [B, Q * D] (or [B, D] with reconstruct = "sum"), from F [B, N, 2W]."""
        return self._side_by_side(self.rrm(self.adm(f))[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.parts(x)
        return out["logits"], out["actions"], out["relations"]

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
