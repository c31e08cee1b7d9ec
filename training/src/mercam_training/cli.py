"""mercam-train: from action-unit statistics to models/dere_grl.*.onnx."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import onnx
import torch

from . import card, manifest, parity, table
from .evaluate import report, text
from .export import describe, export, save
from .model import DeReGrl, ModelConfig
from .prepare import add_prepare_parser
from .quantise import quantise, run
from .synth import SynthConfig, generate
from .train import TrainConfig, calibration_samples, held_back_samples, load, people, train
from .train import save as save_run

MODEL_ID = "dere-grl-synthetic-1"
SECTIONS = {"model": ModelConfig, "synth": SynthConfig, "train": TrainConfig}


def configuration(path: Path | None) -> dict:
    """The three configurations, defaults overridden by a TOML file with sections [model], [synth], [train]."""
    given = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    for section, values in given.items():
        if section not in SECTIONS:
            raise SystemExit(f"{path}: unknown section [{section}]; known are {', '.join(SECTIONS)}")
        known = {f.name for f in dataclasses.fields(SECTIONS[section])}
        for key in values:
            if key not in known:
                raise SystemExit(f"{path}: unknown key {section}.{key}; known are {', '.join(sorted(known))}")
    tuples = {s: {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()} for s, values in given.items()}
    return {s: c(**tuples.get(s, {})) for s, c in SECTIONS.items()}


def files(models: Path) -> tuple[Path, Path]:
    return models / "dere_grl.fp32.onnx", models / "dere_grl.int8.onnx"


def need(path: Path, step: str) -> Path:
    if not path.is_file():
        raise SystemExit(f"no {path}: run `mercam-train {step}` first")
    return path


def cmd_synth(a: argparse.Namespace) -> None:
    c = configuration(a.config)
    cfg = dataclasses.replace(c["train"], **({"seed": a.seed} if a.seed is not None else {}))
    s = generate(a.count, people(cfg).train, np.random.default_rng([cfg.seed, 1]), c["synth"])
    table.write(a.out, s)
    print(f"{len(s)} movements in {a.out}")


def fit(a: argparse.Namespace, **model: str) -> DeReGrl:
    c = configuration(a.config)
    override = {k: v for k in ("seed", "epochs", "device", "threads") if (v := getattr(a, k, None)) is not None}
    cfg, sizes = dataclasses.replace(c["train"], **override), dataclasses.replace(c["model"], **model)
    rows = table.read(a.table) if getattr(a, "table", None) else None
    net = train(cfg, sizes, c["synth"], rows)
    name = "-".join(f"{k}-{v}" for k, v in model.items()) or "net"
    save_run(net, cfg, a.run / f"{name}.pt")
    print(f"{net.parameter_count():,} parameters, temperature {net.temperature.item():.2f}, in {a.run / f'{name}.pt'}")
    return net


def cmd_train(a: argparse.Namespace) -> None:
    fit(a)


def cmd_export(a: argparse.Namespace) -> None:
    net, _ = load(a.run / "net.pt")
    path = files(a.models)[0]
    save(describe(export(net), net, MODEL_ID, "fp32", 0), path)
    print(f"{path}: {path.stat().st_size:,} bytes")


def cmd_quantise(a: argparse.Namespace) -> None:
    net, cfg = load(a.run / "net.pt")
    fp32, int8 = files(a.models)
    calibration = calibration_samples(cfg).x[:512]
    model, count = quantise(onnx.load(need(fp32, "export")), calibration)
    save(describe(model, net, MODEL_ID, "int8", count), int8)
    print(f"{int8}: {int8.stat().st_size:,} bytes, {count} products in int8")


def probabilities(path: Path, x: np.ndarray) -> np.ndarray:
    return run(onnx.load(path), x)[0]


def cmd_evaluate(a: argparse.Namespace) -> None:
    """Measures both files on the held-back people, or on a table of the user's own."""
    fp32, int8 = (need(p, s) for p, s in zip(files(a.models), ("export", "quantise"), strict=True))
    if a.table:
        s = table.read(a.table)
        for name, path in (("int8", int8), ("fp32", fp32)):
            print(f"{name} on {a.table}\n{text(report(probabilities(path, s.x), s))}")
        return
    net, cfg = load(a.run / "net.pt")
    s = held_back_samples(cfg, a.count)
    held = {name: report(probabilities(path, s.x), s) for name, path in (("int8", int8), ("fp32", fp32))}
    props = {p.key: p.value for p in onnx.load(int8).metadata_props}
    result = {
        "model_id": MODEL_ID,
        "data": "synthetic movements only; nothing here says how well real micro-expressions are recognised",
        "parameters": net.parameter_count(),
        "int8_matmuls": int(props["int8_matmuls"]),
        "temperature": round(net.temperature.item(), 4),
        "bytes": {"int8": int8.stat().st_size, "fp32": fp32.stat().st_size},
        "held_back": held,
        "train": cfg.dump(),
        "model": net.cfg.dump(),
    }
    ablations = []
    for path in sorted(a.run.glob("*.pt")):
        if path.name != "net.pt":
            other, _ = load(path)
            with torch.no_grad():
                probs = torch.softmax(other(torch.from_numpy(s.x))[0], -1).numpy()
            r = report(probs, s)
            ablations.append({"name": path.stem, "parameters": other.parameter_count(), "uf1": r["uf1"], "uar": r["uar"]})
    result["ablations"] = ablations
    (a.models / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, r in held.items():
        print(f"{name}: {text(r)}")


def cmd_parity(a: argparse.Namespace) -> None:
    """Compares PyTorch, fp32 and int8, writes the Rust fixture, the card's figures and the manifest."""
    net, cfg = load(a.run / "net.pt")
    fp32, int8 = (need(p, s) for p, s in zip(files(a.models), ("export", "quantise"), strict=True))
    evaluation = need(a.models / "evaluation.json", "evaluate")
    values, x = parity.rounded(held_back_samples(cfg, 2000).x)
    result, answers = parity.compare(net, fp32, int8, x)
    print(json.dumps(result, indent=1))
    if result["export_gap"] > 1e-5 or result["int8_argmax"] < 0.98:
        raise SystemExit("the exported files do not say what the network says")
    parity.write_fixture(a.fixture, fp32, int8, values, answers)
    e = json.loads(evaluation.read_text(encoding="utf-8")) | {"parity": result}
    evaluation.write_text(json.dumps(e, indent=1) + "\n", encoding="utf-8")
    card.write(a.models / "MODEL_CARD.md", e)
    manifest.write(a.models, MODEL_ID)


def cmd_all(a: argparse.Namespace) -> None:
    fit(a)
    if a.ablations:
        fit(a, adm="off")
        fit(a, rrm="off")
        fit(a, adm="mixing")
    for step in (cmd_export, cmd_quantise, cmd_evaluate, cmd_parity):
        step(a)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="mercam-train", description="Train, export, quantise and check mercam's DeRe-GRL network.")
    sub = p.add_subparsers(dest="command", required=True)

    def add(name, run, text, *groups):
        s = sub.add_parser(name, help=text, description=text)
        s.set_defaults(do=run, table=None, count=20_000)
        s.add_argument("--config", type=Path, help="TOML file with [model], [synth], [train]")
        if "run" in groups or "fit" in groups:
            s.add_argument("--run", type=Path, default=Path("runs/default"), help="folder of the checkpoint (default %(default)s)")
        if "models" in groups:
            s.add_argument("--models", type=Path, default=Path("../models"), help="folder of the shipped files (default %(default)s)")
        if "fit" in groups:
            s.add_argument("--seed", type=int)
            s.add_argument("--epochs", type=int)
            s.add_argument("--device", help="cpu (default, reproducible), cuda, cuda:1")
            s.add_argument("--threads", type=int, help="CPU threads (default 1; more are slower on a busy machine)")
        if "table" in groups:
            s.add_argument("--table", type=Path, help="a movement table (.npz or .csv) instead of synthetic movements")
        if "fixture" in groups:
            s.add_argument(
                "--fixture", type=Path, default=Path("../tests/data/dere_grl.parity.bin"), help="samples with answers for the Rust tests"
            )
        if "count" in groups:
            s.add_argument("--count", type=int, default=20_000, help="movements (default %(default)s)")
        return s

    add_prepare_parser(sub)
    s = add("synth", cmd_synth, "write synthetic movements as a movement table", "count")
    s.add_argument("--out", type=Path, required=True, help="table to write, .npz or .csv")
    s.add_argument("--seed", type=int)
    add("train", cmd_train, "train a network", "fit", "table")
    add("export", cmd_export, "write the fp32 ONNX file", "run", "models")
    add("quantise", cmd_quantise, "write the int8 ONNX file", "run", "models")
    add("evaluate", cmd_evaluate, "measure both files on held-back people", "run", "models", "table", "count")
    add("parity", cmd_parity, "compare PyTorch, fp32 and int8; write fixture, card figures and manifest", "run", "models", "fixture")
    s = add("all", cmd_all, "train, export, quantise, evaluate and compare", "fit", "models", "fixture", "count", "table")
    s.add_argument("--ablations", action="store_true", help="also train the network without ADM, without RRM, and with one mixing matrix")
    return p


def main() -> None:
    a = parser().parse_args()
    a.do(a)


if __name__ == "__main__":
    main()
