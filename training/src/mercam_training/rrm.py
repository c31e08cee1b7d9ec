"""RRM, the Relation Reconstruction Module: learns weights and weights all action features with them.

The abstract says no more than that, so the weights' form is an option:

* `pairwise` (shipped): softmax(Q K^T / sqrt d) between all actions. Chosen because a relation between two actions is
  what is to be shown, and only this form has a weight per pair.
* `gate`: one weight per action from all actions of the sample, w = sigmoid(W2 relu(W1 z)) (as in FDRL, CVPR 2021).
* `static`: one weight per action, learned, the same for every sample.
* `off`: the ablation; actions go on unweighted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = ("pairwise", "gate", "static", "off")


class Reconstruction(nn.Module):
    """Actions [B, Q, D] -> (reconstructed [B, Q, D], relations [B, Q, Q]).

    Row q of the relations is what action q is rebuilt from. Rows sum to 1 with `pairwise`; `gate` and `static` have
    their weights on the diagonal, `off` has the unit matrix.
    """

    def __init__(self, kind: str, actions: int, dim: int):
        super().__init__()
        if kind not in WEIGHTS:
            raise ValueError(f"rrm is {kind!r}; it can be {', '.join(WEIGHTS)}")
        self.kind = kind
        if kind == "pairwise":
            self.q, self.k, self.v = (nn.Linear(dim, dim, bias=b) for b in (True, False, True))
        elif kind == "gate":
            self.squeeze, self.excite = nn.Linear(actions * dim, actions), nn.Linear(actions, actions)
        elif kind == "static":
            self.weight = nn.Parameter(torch.zeros(actions))

    def forward(self, a: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "pairwise":
            w = torch.softmax(self.q(a) @ self.k(a).transpose(1, 2) * a.shape[-1] ** -0.5, -1)
            return F.relu(a + w @ self.v(a)), w
        eye = torch.eye(a.shape[1], device=a.device, dtype=a.dtype)
        if self.kind == "off":
            return a, eye.expand(len(a), -1, -1)
        if self.kind == "gate":
            w = torch.sigmoid(self.excite(F.relu(self.squeeze(a.flatten(1)))))
        else:
            w = torch.sigmoid(self.weight).expand(len(a), -1)
        return a * w[..., None], w[..., None] * eye
