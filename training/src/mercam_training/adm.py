"""ADM, the Action Decomposition Module: geometric movement features -> action features of facial components.

The paper's abstract says: it divides the geometric movement features by facial key component into sub-features, and
learns a map matrix that maps them into multiple action features. Two readings of that agree with the text:

* `per_component` (A, shipped): each component p has map matrices of its own, a_pk = relu(M_pk vec(F_p)). Chosen
  because an action then belongs to one component, which is what a detection shows as its reason.
* `mixing` (B): each component is pooled to s_p, and ONE matrix M [Q, P] mixes them, A = relu(M S). Row q says which
  components make up action q.

Ablations: `flatten` (all nodes side by side, nothing divided, nothing mapped) and `gap` (mean over the nodes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

READINGS = ("per_component", "mixing")
ABLATIONS = ("flatten", "gap")


class Decomposition(nn.Module):
    """[B, N, C] -> action features [B, Q, D], Q = components * actions. Ablations give [B, 1, width]."""

    def __init__(self, kind: str, spans: list[tuple[int, int]], nodes: int, width: int, actions: int, dim: int):
        super().__init__()
        if kind not in READINGS + ABLATIONS:
            raise ValueError(f"adm is {kind!r}; it can be {', '.join(READINGS + ABLATIONS)}")
        self.kind, self.spans, self.actions, self.dim = kind, spans, actions, dim
        parts = len(spans)
        #: Q and D of the output.
        self.shape = (parts * actions, dim)
        if kind == "per_component":
            self.maps = nn.ModuleList(nn.Linear((e - s) * width, actions * dim) for s, e in spans)
        elif kind == "mixing":
            self.pool = nn.ModuleList(nn.Linear((e - s) * width, dim) for s, e in spans)
            self.mix = nn.Parameter(torch.eye(parts).repeat_interleave(actions, 0) + 0.05 * torch.randn(parts * actions, parts))
        else:
            self.shape = (1, nodes * width if kind == "flatten" else width)

    def forward(self, f: Tensor) -> Tensor:
        """f [B, N, C] -> [B, Q, D]."""
        if self.kind == "per_component":
            a = [m(f[:, s:e].flatten(1)) for m, (s, e) in zip(self.maps, self.spans, strict=True)]
            return F.relu(torch.stack(a, 1)).reshape(-1, *self.shape)
        if self.kind == "mixing":
            s = torch.stack([m(f[:, s:e].flatten(1)) for m, (s, e) in zip(self.pool, self.spans, strict=True)], 1)
            return F.relu(torch.matmul(self.mix, s))
        return f.flatten(1)[:, None] if self.kind == "flatten" else f.mean(1, keepdim=True)

    def component_actions(self, a: Tensor, f: Tensor) -> Tensor:
        """Mean activation of each component, [B, P]. Reading B spreads an action over the components it is made of;
        the ablations, which have no action, take the mean of the component's features."""
        if self.kind == "per_component":
            return a.reshape(-1, len(self.spans), self.actions * self.dim).mean(-1)
        if self.kind == "mixing":
            share = self.mix.abs() / self.mix.abs().sum(1, keepdim=True).clamp_min(1e-6)
            return torch.matmul(a.mean(-1), share) / self.actions
        return torch.stack([f[:, s:e].mean((1, 2)) for s, e in self.spans], 1)

    def overlap(self) -> Tensor:
        """How much the rows of the map matrix resemble each other: mean squared cosine, 0 when orthogonal (scalar)."""
        rows = [m.weight for m in self.maps] if self.kind == "per_component" else [self.mix]
        total = []
        for w in rows:
            w = F.normalize(w, dim=1)
            g = w @ w.t()
            total.append((g - torch.diag(torch.diag(g))).pow(2).mean())
        return torch.stack(total).mean()
