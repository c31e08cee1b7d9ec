"""What training minimises."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .model import DeReGrl


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; 0 turns a term off."""

    #: 0: a task without classes, such as naming action units only.
    classes: float = 1.0
    label_smoothing: float = 0.05
    #: Weigh a class by the inverse of its frequency.
    class_weights: bool = False
    #: Ties each component's action to the movement it stands for (smooth L1).
    action: float = 0.3
    #: Binary cross-entropy of the AU head, where somebody labelled action units (the group's adaptive AU constraint is
    #: not known; this stands for it).
    unit: float = 0.0
    #: Pulls action features to learnable centres (FDRL, CVPR 2021: mean squared distance).
    compactness: float = 0.0
    #: Keeps the rows of the map matrix apart: mean squared cosine between them.
    orthogonality: float = 0.0

    def dump(self) -> dict:
        return asdict(self)


def masked(loss: Tensor, known: Tensor) -> Tensor:
    """Mean of an element-wise loss over what is known; 0 when nothing is."""
    return (loss * known).sum() / known.sum().clamp_min(1)


def total(net: DeReGrl, out: dict[str, Tensor], batch: dict[str, Tensor], cfg: LossConfig, weights: Tensor | None) -> Tensor:
    """Scalar loss of a batch: target [B, classes], action [B, P] and units [B, U] with NaN where unknown."""
    loss = out["logits"].new_zeros(())
    if cfg.classes > 0:
        loss = cfg.classes * F.cross_entropy(out["logits"], batch["target"], weights, label_smoothing=cfg.label_smoothing)
    if cfg.action > 0:
        known = ~torch.isnan(batch["action"])
        want = torch.nan_to_num(batch["action"])
        loss = loss + cfg.action * masked(F.smooth_l1_loss(out["actions"], want, reduction="none"), known)
    if cfg.unit > 0 and "units" in out:
        known = ~torch.isnan(batch["units"])
        want = torch.nan_to_num(batch["units"])
        loss = loss + cfg.unit * masked(F.binary_cross_entropy_with_logits(out["units"], want, reduction="none"), known)
    if cfg.compactness > 0 and net.centres is not None:
        loss = loss + cfg.compactness * (out["features"] - net.centres).pow(2).mean()
    if cfg.orthogonality > 0 and net.cfg.adm in ("per_component", "mixing"):
        loss = loss + cfg.orthogonality * net.adm.overlap()
    return loss
