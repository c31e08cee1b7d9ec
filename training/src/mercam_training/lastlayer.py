"""Fine-tuning that changes the last layer only and holds it to its pre-trained weights (tune = "last").

A few hundred movements are enough to correct which actions speak for which class, not to learn actions anew. The loss is
convex: cross-entropy, classes weighed alike, plus hold * |W - W0|^2 (L2-SP, Li et al. 2018). How much it is held is
chosen by cross-validation over training subjects, as the penalty of the linear SVM is; the same held-out training
subjects fit the temperature.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn import functional as F

from .model import DeReGrl
from .moves import Moves

#: Weights of the hold that are tried.
HOLDS = (0.01, 0.1, 1.0, 10.0)
FOLDS = 3


def solve(x: Tensor, y: Tensor, weights: Tensor, start: tuple[Tensor, Tensor], hold: float) -> tuple[Tensor, Tensor, float]:
    """Weight [classes, D], bias and loss that embeddings x [n, D] with labels y lead to."""
    w, b = (v.clone().requires_grad_() for v in start)
    optimiser = torch.optim.LBFGS([w, b], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(x @ w.t() + b, y, weights) + hold * ((w - start[0]).pow(2).sum() + (b - start[1]).pow(2).sum())
        loss.backward()
        return loss

    optimiser.step(closure)
    return w.detach(), b.detach(), float(closure().detach())


def class_weights(y: np.ndarray, classes: int) -> Tensor:
    """Inverse frequency, mean 1 over the rows; 0 for a class without a row."""
    count = np.bincount(y, minlength=classes)
    return torch.from_numpy(np.where(count > 0, len(y) / np.maximum(count, 1) / max((count > 0).sum(), 1), 0).astype(np.float32))


def tune_last(net: DeReGrl, rows: Moves, plain: Tensor, copies: Tensor, known: bool) -> tuple[float, float]:
    """Sets head and temperature of `net`. plain [n, N, 2W], copies [K, n, N, 2W]: backbone features of the rows and of
    augmented copies. known: the head is pre-trained; otherwise it is new, and is held to 0. Gives loss and hold."""
    net.eval()
    classes = len(rows.classes)
    with torch.no_grad():
        x = net.embedding(plain)
        more = torch.cat([x, *(net.embedding(c) for c in copies)])
    size = x.pow(2).mean().sqrt().clamp_min(1e-6)  # so that the hold means the same for every network
    x, more = x / size, more / size
    begin = (net.head.weight.detach() * size, net.head.bias.detach()) if known else (torch.zeros_like(net.head.weight), torch.zeros_like(net.head.bias))
    y = torch.from_numpy(rows.y)
    hold, temperature = HOLDS[1], 1.0
    if len(np.unique(rows.subject)) >= FOLDS:
        tried = []
        for h in HOLDS:
            out = torch.zeros(len(rows), classes)
            for a, b in GroupKFold(FOLDS).split(x, rows.y, rows.subject):
                w, c, _ = solve(x[a], y[a], class_weights(rows.y[a], classes), begin, h)
                out[b] = x[b] @ w.t() + c
            tried.append((float(F.cross_entropy(out, y, class_weights(rows.y, classes))), h, out))
        _, hold, out = min(tried, key=lambda t: t[0])
        grid = torch.linspace(0.3, 4, 371)
        temperature = float(grid[int(np.argmin([float(F.cross_entropy(out / t, y)) for t in grid]))])
    w, b, loss = solve(more, y.repeat(len(copies) + 1), class_weights(rows.y, classes), begin, hold)
    with torch.no_grad():
        net.head.weight.copy_(w / size)
        net.head.bias.copy_(b)
        net.temperature.fill_(temperature)
    return loss, hold
