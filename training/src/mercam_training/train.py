"""Training: fresh synthetic movements every epoch (or a table of real ones), fixed seeds, no selection on test data."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from .face import Identities, identities
from .model import DeReGrl, ModelConfig
from .synth import Samples, SynthConfig, generate, mirrored


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, from which seed."""

    seed: int = 1
    epochs: int = 16
    #: Samples drawn anew for each epoch.
    samples: int = 20_000
    batch: int = 256
    rate: float = 4e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    #: Weight of the loss that ties each component's action to the movement it stands for (0: off).
    action_loss: float = 0.3
    #: People for training, for calibration (temperature, int8 ranges), and for the test; never the same.
    people: tuple[int, int, int] = (3000, 300, 400)
    #: Strengths in training are multiplied by a number between these, so that strong movements are known too.
    amplify: tuple[float, float] = (0.6, 2.5)
    device: str = "cpu"
    threads: int = 1

    def dump(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class People:
    """Three groups without a member in common."""

    train: Identities
    calibration: Identities
    test: Identities


def people(cfg: TrainConfig) -> People:
    """The three groups; each has its own random stream, so the size of one does not change another."""
    return People(*(identities(n, np.random.default_rng([cfg.seed, 100 + i])) for i, n in enumerate(cfg.people)))


def calibration_samples(cfg: TrainConfig, count: int = 6000) -> Samples:
    """Held-out samples of the calibration people."""
    return generate(count, people(cfg).calibration, np.random.default_rng([cfg.seed, 200]))


def held_back_samples(cfg: TrainConfig, count: int = 20_000) -> Samples:
    """Held-back samples of the test people, with real strengths; nothing is ever chosen on them."""
    return generate(count, people(cfg).test, np.random.default_rng([cfg.seed, 300]))


def _setup(cfg: TrainConfig) -> torch.device:
    torch.manual_seed(cfg.seed)
    if cfg.device == "cpu":
        torch.set_num_threads(cfg.threads)
        torch.use_deterministic_algorithms(True)
    elif cfg.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("device is cuda, but this torch sees no CUDA device: use --device cpu, or install a CUDA build of torch")
    return torch.device(cfg.device)


def train(cfg: TrainConfig, model: ModelConfig, synth: SynthConfig, table: Samples | None = None, log=print) -> DeReGrl:
    """A trained network with its temperature fitted. With `table`, its rows are the training set of every epoch."""
    device = _setup(cfg)
    group = people(cfg)
    rng = np.random.default_rng([cfg.seed, 1])
    drawn = SynthConfig(**{**synth.dump(), "amplify": cfg.amplify})
    net = DeReGrl(model).to(device)
    first = table or generate(cfg.samples, group.train, rng, drawn)
    net.normalise.fit(torch.from_numpy(first.x).to(device))
    steps = cfg.epochs * ((len(first) + cfg.batch - 1) // cfg.batch)
    optimiser = torch.optim.AdamW(net.parameters(), cfg.rate, weight_decay=cfg.weight_decay)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, cfg.rate, total_steps=steps, pct_start=0.2)
    start = time.monotonic()
    for epoch in range(cfg.epochs):
        s = first if table is not None or epoch == 0 else generate(cfg.samples, group.train, rng, drawn)
        loss, accuracy = _epoch(net, s, cfg, optimiser, plan, rng, device)
        if epoch % 5 == 4 or epoch + 1 == cfg.epochs:
            log(f"epoch {epoch + 1:3} of {cfg.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}, {time.monotonic() - start:.0f} s")
    net.eval().cpu()
    fit_temperature(net, calibration_samples(cfg))
    return net


def _epoch(net, s: Samples, cfg: TrainConfig, optimiser, plan, rng: np.random.Generator, device) -> tuple[float, float]:
    net.train()
    order, flip = rng.permutation(len(s)), rng.random(len(s)) < 0.5
    x, action = np.where(flip[:, None, None], mirrored(s.x), s.x), np.where(flip[:, None], mirrored_actions(s.action), s.action)
    x, y, action = (torch.from_numpy(np.ascontiguousarray(v[order])).to(device) for v in (x, s.y, action))
    total = hits = 0.0
    for i in range(0, len(x), cfg.batch):
        b = slice(i, i + cfg.batch)
        logits, actions, _ = net(x[b])
        loss = F.cross_entropy(logits, y[b], label_smoothing=cfg.label_smoothing)
        if cfg.action_loss > 0:
            loss = loss + cfg.action_loss * F.smooth_l1_loss(actions, action[b])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        plan.step()
        total += float(loss.detach()) * len(logits)
        hits += float((logits.argmax(1) == y[b]).sum())
    return total / len(x), hits / len(x)


def mirrored_actions(action: np.ndarray) -> np.ndarray:
    """Component values of the mirrored face: the brows and the eyes trade places."""
    return action[:, [1, 0, 2, 4, 3, 5]]


@torch.no_grad()
def logits(net: DeReGrl, x: np.ndarray) -> torch.Tensor:
    """Logits before the temperature, in evaluation mode."""
    net.eval()
    return torch.cat([net(torch.from_numpy(x[i : i + 2048]))[0] for i in range(0, len(x), 2048)])


def fit_temperature(net: DeReGrl, s: Samples) -> float:
    """Sets the temperature that makes the held-out samples most likely (Guo et al. 2017)."""
    z, y = logits(net, s.x), torch.from_numpy(s.y)
    grid = torch.linspace(0.3, 4, 371)
    best = int(np.argmin([F.cross_entropy(z / t, y).item() for t in grid]))
    net.temperature.fill_(grid[best])
    return float(net.temperature)


def save(net: DeReGrl, cfg: TrainConfig, path: Path) -> None:
    """A checkpoint: weights and both configurations."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": net.cfg.dump(), "train": cfg.dump(), "weights": net.state_dict()}, path)


def load(path: Path) -> tuple[DeReGrl, TrainConfig]:
    """The network of a checkpoint, and how it was trained."""
    if not path.is_file():
        raise SystemExit(f"no checkpoint at {path}: run `mercam-train train` first, or name one with --run")
    saved = torch.load(path, weights_only=True)
    net = DeReGrl(ModelConfig(**saved["model"]))
    net.load_state_dict(saved["weights"])
    return net.eval(), TrainConfig(**saved["train"])
