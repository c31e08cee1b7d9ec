"""The training loop: one for synthetic movements and for tables, resumable, deterministic on CPU.

It sees training rows only. What is left out of a fold is not an argument of anything here.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from .augment import AugmentConfig, augmented
from .losses import LossConfig, total
from .metrics import confusion, scores
from .model import DeReGrl
from .moves import Moves


@dataclass(frozen=True)
class FitConfig:
    """How long, how fast, on what."""

    seed: int = 1
    epochs: int = 16
    batch: int = 256
    rate: float = 4e-3
    weight_decay: float = 1e-2
    #: "auto" (CUDA when there is one), "cpu" (reproducible), "cuda", "cuda:1".
    device: str = "cpu"
    #: CPU threads; more are slower on a busy machine.
    threads: int = 1
    #: Mixed precision (bfloat16). Pays on a GPU with wide networks, not on a CPU and not at the shipped size.
    amp: bool = False
    #: Compile the network first (torch.compile). Pays from some thousand steps on; needs a C++ compiler.
    compile: bool = False

    def dump(self) -> dict:
        return asdict(self)


@dataclass
class History:
    """One entry per epoch."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    #: UF1 on the validation subjects, where there are any.
    validation: list[float] = field(default_factory=list)
    seconds: float = 0.0
    device: str = ""
    #: Epoch (from 1) whose weights were kept.
    kept: int = 0
    #: How much the last layer was held to its pre-trained weights (lastlayer.py); 0: not tuned that way.
    hold: float = 0.0


def device_of(name: str, threads: int = 1) -> torch.device:
    """The device that `name` means here; a CUDA device that is not there is an error with the mend."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SystemExit(f"device is {name!r}; it can be auto, cpu, cuda, cuda:1, ...") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("device is cuda, but this torch sees no CUDA device: use --device cpu, or install a CUDA build of torch")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SystemExit(f"device is {name}, but there are only {torch.cuda.device_count()} CUDA devices (numbered from 0)")
    if device.type == "cpu":
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
    return device


def fingerprint(*parts: object) -> str:
    """Short hash of settings and arrays, by which a checkpoint knows whether it belongs to a run."""
    h = hashlib.sha256()
    for p in parts:
        h.update(p.tobytes() if isinstance(p, np.ndarray) else json.dumps(p, sort_keys=True, default=str).encode())
    return h.hexdigest()[:16]


def fit(
    net: DeReGrl,
    source: Moves | Callable[[int], Moves],
    cfg: FitConfig,
    augment: AugmentConfig,
    losses: LossConfig,
    *,
    validation: Moves | None = None,
    teacher: Callable[[torch.Tensor], torch.Tensor] | None = None,
    checkpoint: Path | None = None,
    stop_after: int | None = None,
    refit: bool = True,
    log: Callable[[str], None] | None = None,
) -> History:
    """Trains `net` in place and leaves it on the CPU in evaluation mode.

    `source` is a table, or gives each epoch's movements. `validation` (training subjects that are kept aside) chooses
    the epoch whose weights stay; without it the number of epochs is fixed. `teacher` gives probabilities [B, classes]
    to learn instead of labels. With `checkpoint` an interrupted run goes on where it stopped and ends with the same
    weights (on CPU); `stop_after` ends it early on purpose. `refit` takes the input statistics from the first epoch.
    """
    device = device_of(cfg.device, cfg.threads)
    draw = source if callable(source) else lambda _: source
    first = draw(0)
    net.to(device)
    if refit:
        net.normalise.fit(torch.from_numpy(first.x).to(device))
    weights = None
    if losses.class_weights:
        count = np.bincount(first.y, minlength=len(first.classes))
        inverse = np.where(count > 0, len(first) / np.maximum(count, 1) / max((count > 0).sum(), 1), 0)
        weights = torch.from_numpy(inverse.astype(np.float32)).to(device)
    per_epoch = max(1, -(-len(first) // cfg.batch))
    optimiser = torch.optim.AdamW(net.parameters(), cfg.rate, weight_decay=cfg.weight_decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, cfg.rate, total_steps=cfg.epochs * per_epoch + 1, pct_start=0.2)
    history, done, best = History(device=_name(device)), 0, None
    key = fingerprint(cfg.dump(), augment.dump(), losses.dump(), net.cfg.dump(), first.x, first.y)
    if checkpoint and checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        if saved["key"] == key:
            net.load_state_dict(saved["net"])
            optimiser.load_state_dict(saved["optimiser"])
            plan.load_state_dict(saved["plan"])
            history, done, best = History(**saved["history"]), saved["epoch"], saved["best"]
            if log:
                log(f"going on after epoch {done} ({checkpoint})")
    run = torch.compile(net.parts) if cfg.compile else net.parts
    begun = time.monotonic()
    for epoch in range(done, cfg.epochs):
        if stop_after is not None and epoch >= stop_after:
            break
        loss, accuracy = _epoch(net, run, draw(epoch), cfg, augment, losses, weights, teacher, optimiser, plan, epoch, device, per_epoch)
        history.loss.append(loss)
        history.accuracy.append(accuracy)
        if validation is not None:
            p = probabilities(net, validation.x, device).argmax(1)
            history.validation.append(scores(confusion(validation.y, p, len(validation.classes)))["uf1"])
            if best is None or history.validation[-1] > max(history.validation[:-1]):
                best, history.kept = {k: v.detach().cpu().clone() for k, v in net.state_dict().items()}, epoch + 1
        else:
            history.kept = epoch + 1
        now = time.monotonic()
        history.seconds, begun = history.seconds + now - begun, now
        if checkpoint:
            _keep(checkpoint, {"key": key, "net": net.state_dict(), "optimiser": optimiser.state_dict(), "plan": plan.state_dict(),
                               "history": asdict(history), "epoch": epoch + 1, "best": best})  # fmt: skip
        if log:
            log(f"epoch {epoch + 1:3} of {cfg.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}, {history.seconds:.0f} s")
    if best is not None:
        net.load_state_dict(best)
    net.eval().cpu()
    return history


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _keep(path: Path, state: dict) -> None:
    """Writes whole or not at all: an interruption leaves the checkpoint before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def _epoch(net, run, m: Moves, cfg: FitConfig, augment, losses, weights, teacher, optimiser, plan, epoch, device, per_epoch):
    # Every epoch has random streams of its own, so that a run taken up again draws what it would have drawn.
    rng = np.random.default_rng([cfg.seed, 2, epoch])
    torch.manual_seed(cfg.seed * 100_003 + epoch)
    net.train()
    x, target, length, units = augmented(m, augment, rng)
    action = replace(m, length=length).actions(net.layout)
    order = rng.permutation(len(x))
    data = {"x": x, "target": target, "action": action, "units": units}
    data = {k: torch.from_numpy(np.ascontiguousarray(v[order])).to(device) for k, v in data.items()}
    labels = torch.from_numpy(m.y[order]).to(device)
    loss_sum = hits = torch.zeros((), device=device)
    for i in range(per_epoch):
        rows = slice(i * len(x) // per_epoch, (i + 1) * len(x) // per_epoch)
        batch = {k: v[rows] for k, v in data.items()}
        if teacher is not None:
            batch["target"] = teacher(batch["x"])
        with torch.autocast(device.type, torch.bfloat16, enabled=cfg.amp):
            out = run(batch["x"])
        out = {k: v.float() for k, v in out.items()}
        loss = total(net, out, batch, losses, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        plan.step()
        loss_sum = loss_sum + loss.detach() * len(batch["x"])
        hits = hits + (out["logits"].argmax(1) == labels[rows]).sum()
    return float(loss_sum) / len(x), float(hits) / len(x)


@torch.no_grad()
def outputs(net: DeReGrl, x: np.ndarray, device: torch.device | None = None) -> dict[str, np.ndarray]:
    """All outputs for samples [n, N, C], in evaluation mode; logits are before the temperature."""
    net.eval()
    parts = [net.parts(torch.from_numpy(x[i : i + 2048]).to(device or "cpu")) for i in range(0, len(x), 2048)]
    return {k: torch.cat([p[k] for p in parts]).cpu().numpy() for k in parts[0]}


def probabilities(net: DeReGrl, x: np.ndarray, device: torch.device | None = None) -> np.ndarray:
    """Calibrated class probabilities [n, classes]."""
    z = torch.from_numpy(outputs(net, x, device)["logits"])
    return torch.softmax(z / net.temperature.cpu(), -1).numpy()


def fit_temperature(net: DeReGrl, x: np.ndarray, y: np.ndarray) -> float:
    """Sets the temperature that makes held-out samples most likely (Guo et al. 2017)."""
    z, labels = torch.from_numpy(outputs(net, x)["logits"]), torch.from_numpy(y)
    grid = torch.linspace(0.3, 4, 371)
    best = int(np.argmin([torch.nn.functional.cross_entropy(z / t, labels).item() for t in grid]))
    net.temperature.fill_(grid[best])
    return float(net.temperature)
