"""From a network that knows synthetic movements to one that knows a table's: the recipe for a few hundred real clips.

Default: pre-train on synthetic movements, then tune the last layer on the table, held to its pre-trained weights
(lastlayer.py). The backbone's features of a row depend on that row alone, so they are computed once for all folds, for
several augmented copies.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from .actions import CLASSES
from .augment import SMALL_TABLE, AugmentConfig, augmented
from .fit import FitConfig, History, fingerprint, fit, fit_temperature, outputs
from .lastlayer import tune_last
from .losses import LossConfig, total
from .metrics import confusion, scores
from .model import DeReGrl, ModelConfig
from .moves import Moves, select_nodes
from .protocols import validation_subjects
from .train import Recipe, train

#: Weights of the shipped model; beside its ONNX files in the source tree.
SHIPPED = Path(__file__).resolve().parents[3] / "models" / "dere_grl.pt"
TUNE = ("last", "head", "all")


@dataclass(frozen=True)
class FinetuneConfig:
    """How a table is learned."""

    #: "synthetic" (pre-train first), "shipped" (the weights of the shipped model), "none" (from scratch), or the path of a
    #: checkpoint of `mercam-train train`.
    pretrained: str = "synthetic"
    #: "last" (the last layer), "head" (ADM, RRM and last layer; the backbone stays as pre-trained) or "all".
    tune: str = "last"
    #: Share of the pre-trained weights in the mean with the tuned ones (tune = "head", "all"; Wortsman et al. 2022).
    keep: float = 0.0
    #: Epochs of synthetic pre-training, and movements in each.
    pretrain_epochs: int = 16
    pretrain_samples: int = 20_000
    epochs: int = 40
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 5e-2
    #: Augmented copies of each row whose features are kept (tune = "head").
    copies: int = 8
    #: Share of the TRAINING subjects kept aside to choose the epoch and the temperature; 0: all epochs, temperature 1.
    validation: float = 0.0
    loss: LossConfig = field(default_factory=lambda: LossConfig(label_smoothing=0.1, class_weights=True, action=0.0))
    augment: AugmentConfig = SMALL_TABLE

    def dump(self) -> dict:
        return asdict(self)


def recipe_for(m: Moves, base: Recipe, units: bool, cfg: FinetuneConfig) -> Recipe:
    """The recipe with this table's nodes, channels and classes, for pre-training and as the network's form."""
    layout = m.layout
    shape: dict = {"nodes": layout.landmarks, "channels": layout.channels, "custom": None}
    if layout.parts is not None or layout.turns is not None:
        shape["custom"] = layout.dump()
    model = replace(base.model, **shape, classes=len(m.classes), units=m.units.shape[1] if units else 0)
    fit_cfg = replace(base.fit, epochs=cfg.pretrain_epochs)
    loss = replace(base.loss, unit=1.0 if units else base.loss.unit)
    return replace(base, model=model, fit=fit_cfg, loss=loss, data=replace(base.data, samples=cfg.pretrain_samples, amplify=(0.6, 2.0)))


def can_pretrain(m: Moves) -> bool:
    """The table has what the synthetic generator makes: iBUG landmarks with x, y, dx, dy."""
    return m.layout.parts is None and m.layout.turns is None


def pretrain(recipe: Recipe, folder: Path, log=None) -> Path:
    """The network pre-trained on the synthetic three classes; kept in `folder` under its settings' fingerprint."""
    recipe = replace(recipe, model=replace(recipe.model, classes=3))
    path = folder / f"pretrained-{fingerprint(recipe.dump())}.pt"
    if not path.is_file():
        net, _ = train(recipe, checkpoint=path.with_suffix(".resume"), log=log)
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        torch.save({"model": net.cfg.dump(), "weights": net.state_dict(), "classes": list(recipe.classes())}, part)
        os.replace(part, path)
        path.with_suffix(".resume").unlink(missing_ok=True)
    return path


def checkpoint_of(kind: str) -> Path:
    """The checkpoint that [finetune] pretrained names."""
    path = SHIPPED if kind == "shipped" else Path(kind)
    if not path.is_file():
        raise SystemExit(f"[finetune] pretrained: there is no checkpoint {path}; synthetic, shipped, none and a file of `mercam-train train` are known")
    return path


def start(model: ModelConfig, pretrained: Path | None, seed: int, classes: tuple[str, ...] | None = None) -> tuple[DeReGrl, bool]:
    """A network for the table, new or with the weights of a pre-trained one; and whether its last layer is pre-trained,
    which it is when the pre-trained network knows all the table's classes by name."""
    torch.manual_seed(seed)
    net = DeReGrl(model)
    if pretrained is None:
        return net, False
    saved = torch.load(pretrained, weights_only=True)
    names = list(saved.get("classes") or saved.get("extra", {}).get("classes") or CLASSES)
    weights, own = dict(saved["weights"]), net.state_dict()
    wanted = list(classes or CLASSES[: model.classes])
    known = len(wanted) == model.classes and set(wanted) <= set(names)
    if known:
        rows = [names.index(c) for c in wanted]
        weights |= {k: weights[k][rows] for k in ("head.weight", "head.bias")}
    fits = {k: v for k, v in weights.items() if k in own and v.shape == own[k].shape and k != "temperature"}
    lost = [k for k in own if k not in fits and not k.startswith(("head.", "unit_head.", "centres", "temperature"))]
    if lost:
        raise SystemExit(f"{pretrained}: {lost[0]} does not fit this network: pre-train with the same [model] settings")
    net.load_state_dict(own | {k: v for k, v in fits.items() if known or not k.startswith("head.")})
    return net, known


@dataclass(frozen=True)
class Frozen:
    """Backbone features of all rows of a table, for augmented copies [K, n, N, 2W] and as they are [n, N, 2W]; with each copy's
    action lengths. A row's features depend on no other row and on no label."""

    copies: torch.Tensor
    plain: torch.Tensor
    length: np.ndarray

    def take(self, rows: np.ndarray) -> Frozen:
        at = torch.from_numpy(np.flatnonzero(rows))
        return Frozen(self.copies[:, at], self.plain[at], self.length[:, rows])


@torch.no_grad()
def freeze(net: DeReGrl, m: Moves, cfg: FinetuneConfig, seed: int) -> Frozen:
    """Runs the backbone once over every copy."""
    net.eval()
    unmixed = replace(cfg.augment, mixup=0.0)  # rows must stay apart; mix-up happens between training rows later
    copies, lengths = [], []
    for k in range(cfg.copies):
        x, _, length, _ = augmented(m, unmixed, np.random.default_rng([seed, 3, k]))
        copies.append(torch.cat([net.features(torch.from_numpy(x[i : i + 1024])) for i in range(0, len(x), 1024)]))
        lengths.append(length)
    plain = torch.cat([net.features(torch.from_numpy(m.x[i : i + 1024])) for i in range(0, len(m), 1024)])
    return Frozen(torch.stack(copies), plain, np.stack(lengths))


def tune_head(net: DeReGrl, rows: Moves, frozen: Frozen, cfg: FinetuneConfig, seed: int) -> History:
    """Trains ADM, RRM and head on training rows. With cfg.validation some training subjects choose the epoch."""
    aside = validation_subjects(rows, cfg.validation, seed) if cfg.validation > 0 else np.zeros(len(rows), bool)
    held, held_rows = frozen.take(aside), rows.take(aside)
    rows, frozen = rows.take(~aside), frozen.take(~aside)
    n, classes = len(rows), len(rows.classes)
    rng = np.random.default_rng([seed, 4])
    torch.manual_seed(seed)
    count = np.bincount(rows.y, minlength=classes)
    weights = torch.from_numpy((n / np.maximum(count, 1) / max((count > 0).sum(), 1) * (count > 0)).astype(np.float32))
    tuned = [p for k, p in net.named_parameters() if not k.startswith("streams.")]
    optimiser = torch.optim.AdamW(tuned, cfg.rate, weight_decay=cfg.weight_decay)
    steps = max(1, -(-n // cfg.batch))
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, cfg.rate, total_steps=cfg.epochs * steps + 1, pct_start=0.2)
    labels, units = np.eye(classes, dtype=np.float32)[rows.y], rows.units
    action = np.stack([replace(rows, length=v).actions(net.layout) for v in frozen.length])
    history, best = History(device="CPU"), None
    for epoch in range(cfg.epochs):
        net.train()
        order, which = rng.permutation(n), rng.integers(0, len(frozen.copies), n)
        losses = 0.0
        for i in range(steps):
            at = order[i * n // steps : (i + 1) * n // steps]
            f, target, unit, act = frozen.copies[which[at], at], labels[at], units[at], action[which[at], at]
            if cfg.augment.mixup > 0 and len(at) > 1:
                share = rng.beta(cfg.augment.mixup, cfg.augment.mixup, len(at)).astype(np.float32)
                share, other = np.maximum(share, 1 - share), rng.permutation(len(at))
                s = torch.from_numpy(share)[:, None, None]
                f = s * f + (1 - s) * f[torch.from_numpy(other)]
                target = share[:, None] * target + (1 - share)[:, None] * target[other]
                unit = share[:, None] * unit + (1 - share)[:, None] * unit[other]
            batch = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in (("target", target), ("action", act), ("units", unit))}
            loss = total(net, net.heads(f), batch, cfg.loss, weights if cfg.loss.class_weights else None)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            plan.step()
            losses += float(loss.detach()) * len(at)
        history.loss.append(losses / n)
        history.kept = epoch + 1
        if aside.any():
            said = heads(net, held.plain)["logits"].argmax(1)
            history.validation.append(scores(confusion(held_rows.y, said, classes))["uf1"])
            if best is None or history.validation[-1] > best[0]:
                best = (history.validation[-1], epoch + 1, {k: v.clone() for k, v in net.state_dict().items()})
    if best is not None:
        net.load_state_dict(best[2])
        history.kept = best[1]
        fit_temperature(net, held_rows.x, held_rows.y)
    net.eval()
    return history


@torch.no_grad()
def heads(net: DeReGrl, features: torch.Tensor) -> dict[str, np.ndarray]:
    """Outputs from backbone features, in evaluation mode."""
    net.eval()
    return {k: v.numpy() for k, v in net.heads(features).items()}


def learn(model: ModelConfig, rows: Moves, cfg: FinetuneConfig, pretrained: Path | None, seed: int, base: FitConfig,
          frozen: Frozen | None = None, checkpoint: Path | None = None, log=None) -> tuple[DeReGrl, History]:  # fmt: skip
    """A network that learned training rows. There is no argument through which anything left out could come in:
    `frozen`, when given, holds features of exactly these rows."""
    rows = select_nodes(rows, DeReGrl(model).layout.landmarks)
    if cfg.tune not in TUNE:
        raise SystemExit(f"[finetune] tune is {cfg.tune!r}; it can be {', '.join(TUNE)}")
    net, known = start(model, pretrained, seed, rows.classes)
    before = {k: v.clone() for k, v in net.state_dict().items()} if known and cfg.keep > 0 else None
    if cfg.tune != "all" and pretrained is not None:
        frozen = frozen or freeze(net, rows, cfg, seed)
        if len(frozen.plain) != len(rows):
            raise ValueError("features of other rows than the training rows")
        if cfg.tune == "last" and cfg.loss.classes > 0:
            loss, hold = tune_last(net, rows, frozen.plain, frozen.copies, known)
            return net, History(loss=[loss], device="CPU", hold=hold)
        return net, _kept(tune_head(net, rows, frozen, cfg, seed), net, before, cfg.keep)
    aside = validation_subjects(rows, cfg.validation, seed) if cfg.validation > 0 else np.zeros(len(rows), bool)
    fit_cfg = replace(base, seed=seed, epochs=cfg.epochs, batch=cfg.batch, rate=cfg.rate, weight_decay=cfg.weight_decay)
    held = rows.take(aside) if aside.any() else None
    history = fit(net, rows.take(~aside), fit_cfg, cfg.augment, cfg.loss, validation=held, checkpoint=checkpoint,
                  refit=pretrained is None, log=log)  # fmt: skip
    _kept(history, net, before, cfg.keep)
    if held is not None:
        fit_temperature(net, held.x, held.y)
    return net, history


def _kept(history: History, net: DeReGrl, before: dict | None, share: float) -> History:
    """Moves the weights back towards those before tuning."""
    if before is not None:
        now = net.state_dict()
        net.load_state_dict({k: torch.lerp(v, before[k], share) if v.is_floating_point() else v for k, v in now.items()})
    return history


def answers(net: DeReGrl, x: np.ndarray) -> dict[str, np.ndarray]:
    """Calibrated probabilities, component actions, and unit probabilities where there is a head for them, of rows x alone."""
    out = outputs(net, x)
    z = torch.from_numpy(out["logits"]) / net.temperature
    result = {"probs": torch.softmax(z, -1).numpy(), "actions": out["actions"]}
    if "units" in out:
        result["units"] = 1 / (1 + np.exp(-out["units"]))
    return result
