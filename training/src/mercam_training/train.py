"""The recipe of the shipped network: fresh synthetic movements every epoch, and the rows of tables when there are any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .actions import CLASSES
from .augment import AugmentConfig
from .domains import DomainConfig, generate_domains
from .face import Identities, identities
from .fit import FitConfig, History, fit, fit_temperature
from .layout import CHANNELS
from .losses import LossConfig
from .model import DeReGrl, ModelConfig
from .moves import Moves, from_samples, join, select_nodes
from .synth import Samples, SynthConfig, generate


@dataclass(frozen=True)
class DataConfig:
    """Synthetic training data."""

    #: Samples drawn anew for each epoch.
    samples: int = 20_000
    #: People for training, for calibration (temperature, int8 ranges), and for the test; never the same.
    people: tuple[int, int, int] = (3000, 300, 400)
    #: Strengths in training are multiplied by a number between these, so that strong movements are known too.
    amplify: tuple[float, float] = (0.6, 2.5)
    #: Networks of different seeds whose mean answer the shipped one learns (0: it learns the labels).
    teachers: int = 0
    #: Seed of the people and samples that temperature, int8 ranges and figures come from. Not the training seed, so
    #: that runs of different seeds are measured on the same samples.
    held_seed: int = 1

    def dump(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class People:
    """Three groups without a member in common."""

    train: Identities
    calibration: Identities
    test: Identities


def people(data: DataConfig) -> People:
    """The three groups; each has its own random stream, so the size of one does not change another."""
    return People(*(identities(n, np.random.default_rng([data.held_seed, 100 + i])) for i, n in enumerate(data.people)))


def calibration_samples(data: DataConfig, count: int = 6000, synth: SynthConfig | None = None) -> Samples:
    """Held-out samples of the calibration people."""
    return generate(count, people(data).calibration, np.random.default_rng([data.held_seed, 200]), synth)


def held_back_samples(data: DataConfig, count: int = 20_000, synth: SynthConfig | None = None) -> Samples:
    """Held-back samples of the test people, with real strengths; nothing is ever chosen on them."""
    return generate(count, people(data).test, np.random.default_rng([data.held_seed, 300]), synth)


SECTIONS = {"model": ModelConfig, "synth": SynthConfig, "domains": DomainConfig, "data": DataConfig, "fit": FitConfig, "loss": LossConfig,
            "augment": AugmentConfig}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """All that a training depends on."""

    model: ModelConfig = ModelConfig()
    synth: SynthConfig = SynthConfig()
    domains: DomainConfig = DomainConfig()
    data: DataConfig = DataConfig()
    fit: FitConfig = FitConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()

    def dump(self) -> dict:
        return {k: getattr(self, k).dump() for k in SECTIONS}

    def classes(self) -> tuple[str, ...]:
        """The synthetic generator's classes: the expressive three, and `none` with a head for four."""
        if self.model.classes not in (3, 4):
            raise SystemExit(f"synthetic movements have 3 classes, or 4 with none; [model] classes is {self.model.classes}")
        return CLASSES[: self.model.classes]

    def drawn(self) -> SynthConfig:
        """The generator for this network's classes and nodes."""
        none = self.synth.none_share if self.model.classes == 4 else 0.0
        layout = self.model.layout()
        if layout.channels != CHANNELS or layout.parts is not None:
            raise SystemExit(
                f"synthetic movements have the channels {', '.join(CHANNELS)}, this network has {', '.join(layout.channels)}: "
                "train it on a table without pre-training (--pretrained none)"
            )
        return replace(self.synth, none_share=none, contour=min(layout.landmarks) < 17)

    def moves(self, samples: Samples) -> Moves:
        return select_nodes(from_samples(samples, classes=self.classes()), self.model.layout().landmarks)


def synthetic_source(recipe: Recipe) -> Callable[[int], Moves]:
    """Each epoch's movements, from the seed and the epoch's number."""
    data, drawn, crowd = recipe.data, replace(recipe.drawn(), amplify=recipe.data.amplify), people(recipe.data).train
    last: dict[int, Moves] = {}

    def source(epoch: int) -> Moves:
        if epoch not in last:
            last.clear()
            last[epoch] = recipe.moves(generate_domains(data.samples, crowd, np.random.default_rng([recipe.fit.seed, 1, epoch]), drawn, recipe.domains))
        return last[epoch]

    return source


def new_network(recipe: Recipe) -> DeReGrl:
    torch.manual_seed(recipe.fit.seed)
    return DeReGrl(recipe.model)


def train(
    recipe: Recipe,
    table: Moves | None = None,
    *,
    checkpoint: Path | None = None,
    teacher: Callable[[torch.Tensor], torch.Tensor] | None = None,
    log: Callable[[str], None] | None = print,
) -> tuple[DeReGrl, History]:
    """A trained network with its temperature fitted. The rows of `table` are added to every epoch's synthetic ones."""
    net = new_network(recipe)
    source = synthetic_source(recipe)
    if table is not None:
        rows = same_classes(table, recipe.classes())
        synthetic = source

        def source(epoch: int) -> Moves:
            return join([synthetic(epoch), select_nodes(rows, net.layout.landmarks)])

    history = fit(net, source, recipe.fit, recipe.augment, recipe.loss, checkpoint=checkpoint, teacher=teacher, log=log)
    held = recipe.moves(calibration_samples(recipe.data, synth=recipe.drawn()))
    fit_temperature(net, held.x, held.y)
    return net, history


def same_classes(table: Moves, classes: tuple[str, ...]) -> Moves:
    """The table with its labels numbered as in `classes`; a class that is not among them is an error."""
    other = sorted(set(table.classes) - set(classes))
    present = [c for c in other if (table.y == table.classes.index(c)).any()]
    if present:
        raise SystemExit(f"the table has the class {present[0]!r}, the network knows {', '.join(classes)}")
    number = np.array([classes.index(c) if c in classes else -1 for c in table.classes])
    return replace(table, y=number[table.y], classes=classes)


def ensemble(nets: list[DeReGrl], device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean probabilities of several networks, [B, classes]."""
    for n in nets:
        n.eval().to(device)

    @torch.no_grad()
    def teach(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.softmax(n(x)[0], -1) for n in nets]).mean(0)

    return teach


def save(net: DeReGrl, recipe: Recipe, history: History | None, path: Path, extra: dict | None = None) -> None:
    """A checkpoint: weights, all settings, the training curve."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"recipe": recipe.dump() | {"model": net.cfg.dump()}, "weights": net.state_dict(), "history": asdict(history) if history else None}
    torch.save(state | {"extra": extra or {}}, path)


def load(path: Path) -> tuple[DeReGrl, Recipe, dict]:
    """The network of a checkpoint, how it was trained, and its training curve with whatever was kept beside it."""
    if not path.is_file():
        raise SystemExit(f"no checkpoint at {path}: run `mercam-train train` first, or name its folder with --run")
    saved = torch.load(path, weights_only=True)
    recipe = Recipe(**{k: SECTIONS[k](**v) for k, v in saved["recipe"].items()})
    net = DeReGrl(recipe.model)
    net.load_state_dict(saved["weights"])
    return net.eval(), recipe, {"history": saved["history"], **saved["extra"]}
