"""Experiment files: TOML with the sections below, every key a field of the class it belongs to."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

from .crossval import EvaluateConfig
from .finetune import FinetuneConfig
from .train import SECTIONS as RECIPE
from .train import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SECTIONS = RECIPE | {"finetune": FinetuneConfig, "evaluate": EvaluateConfig}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All settings of one run."""

    recipe: Recipe = Recipe()
    evaluate: EvaluateConfig = dataclasses.field(default_factory=EvaluateConfig)

    @property
    def finetune(self) -> FinetuneConfig:
        return self.evaluate.finetune


def _section(name: str, kind: type, values: dict, path: Path):
    known = {f.name: f for f in dataclasses.fields(kind)}
    given = {}
    for key, value in values.items():
        if key not in known:
            raise SystemExit(f"{path}: unknown key {name}.{key}; known are {', '.join(sorted(known))}")
        if isinstance(value, dict) and key in ("loss", "augment"):
            base = getattr(FinetuneConfig(), key)
            inner = {f.name for f in dataclasses.fields(base)}
            for k in value:
                if k not in inner:
                    raise SystemExit(f"{path}: unknown key {name}.{key}.{k}; known are {', '.join(sorted(inner))}")
            value = dataclasses.replace(base, **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()})
        given[key] = tuple(value) if isinstance(value, list) else value
    return kind(**given)


def load(path: Path | None) -> Experiment:
    """The settings of a file; what it does not name keeps its default. Unknown keys are refused."""
    if path is None:
        return Experiment()
    if not path.is_file():
        raise SystemExit(f"{path}: there is no such experiment file; configs/shipped.toml is one")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as e:
        raise SystemExit(f"{path}: {e}") from None
    for section in given:
        if section not in SECTIONS:
            raise SystemExit(f"{path}: unknown section [{section}]; known are {', '.join(SECTIONS)}")
    made = {s: _section(s, kind, given.get(s, {}), path) for s, kind in SECTIONS.items()}
    recipe = Recipe(**{k: made[k] for k in RECIPE})
    return Experiment(recipe, dataclasses.replace(made["evaluate"], finetune=made["finetune"]))


def _toml(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)


def dump(e: Experiment) -> str:
    """The settings in force, as an experiment file that gives the same run again."""
    sections = {**e.recipe.dump(), "finetune": e.finetune.dump(), "evaluate": e.evaluate.dump()}
    sections["evaluate"].pop("finetune")
    lines = ["# Written by mercam-train: the settings in force. `mercam-train all --config THIS` does it again."]
    for name, values in sections.items():
        nested = {k: v for k, v in values.items() if isinstance(v, dict)}
        lines += ["", f"[{name}]"]
        lines += [f"{k} = {_toml(v)}" for k, v in values.items() if k not in nested and v is not None]
        for k, inner in nested.items():
            lines += ["", f"[{name}.{k}]"] + [f"{i} = {_toml(v)}" for i, v in inner.items()]
    return "\n".join(lines) + "\n"


def keep(e: Experiment, folder: Path) -> None:
    """Writes experiment.toml and environment.json beside a result."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.toml").write_text(dump(e), encoding="utf-8")
    names = ("mercam-training", "torch", "numpy", "onnx", "onnxruntime", "scikit-learn")
    versions = {}
    for n in names:
        try:
            versions[n] = metadata.version(n)
        except metadata.PackageNotFoundError:
            versions[n] = "not installed as a package"
    environment = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system(), "packages": versions}
    (folder / "environment.json").write_text(json.dumps(environment, indent=1) + "\n", encoding="utf-8")
