"""What the commands do. Each reads what the step before left in the run's folder or in the folder of the models."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

from . import card, compare, crossval, manifest, parity, protocols, settings
from . import train as recipes
from .actions import CLASSES
from .evaluate import report, text
from .export import describe, export, save
from .finetune import answers, can_pretrain, checkpoint_of, learn, pretrain, recipe_for
from .fit import device_of, probabilities
from .metrics import calibration_error, confusion, scores
from .model import DeReGrl
from .moves import Moves, from_table, to_table
from .progress import Bar
from .quantise import quantise, run
from .report import write_report
from .shifted import shifted
from .synth import generate
from .table import load_table, save_table

MODEL_ID = "dere-grl-synthetic-2"
SYNTHETIC = "synthetic movements in landmark space; no face of a person"


def experiment(a: argparse.Namespace) -> settings.Experiment:
    """The experiment file with what the command line says on top."""
    e = settings.load(a.config)
    fit = {k: v for k in ("seed", "epochs", "device", "threads", "batch", "rate") if (v := getattr(a, k, None)) is not None}
    fit |= {k: True for k in ("amp", "compile") if getattr(a, k, False)}
    r = replace(e.recipe, fit=replace(e.recipe.fit, **fit))
    tune = {k: v for k in ("pretrained", "tune") if (v := getattr(a, k, None)) is not None}
    if getattr(a, "epochs", None) is not None:
        tune["epochs"] = a.epochs
    ev = replace(e.evaluate, finetune=replace(e.evaluate.finetune, **tune))
    if getattr(a, "seeds", None):
        ev = replace(ev, seeds=tuple(int(s) for s in a.seeds.split(",")))
    if getattr(a, "no_ablations", False):
        ev = replace(ev, ablations=False)
    device_of(r.fit.device, r.fit.threads)
    return settings.Experiment(r, ev)


def files(models: Path) -> tuple[Path, Path]:
    return models / "dere_grl.fp32.onnx", models / "dere_grl.int8.onnx"


def need(path: Path, step: str) -> Path:
    if not path.is_file():
        raise SystemExit(f"no {path}: run `mercam-train {step}` first")
    return path


def synth(a: argparse.Namespace) -> None:
    e = experiment(a)
    if a.shifted:
        m, note = shifted(a.seed or 7001), "synthetic movements, drawn otherwise than the training data (shifted test bed)"
    else:
        drawn = generate(a.count, recipes.people(e.recipe.data).train, np.random.default_rng([e.recipe.fit.seed, 1]), e.recipe.synth)
        m, note = e.recipe.moves(drawn), "synthetic movements of invented people"
    save_table(a.out, to_table(m, description=note))
    print(f"{len(m)} movements in {a.out}")


def train(a: argparse.Namespace) -> None:
    """Trains on synthetic movements, or pre-trains on them and fine-tunes on a table."""
    e = experiment(a)
    settings.keep(e, a.run)
    if getattr(a, "table", None):
        net, classes, calibration, data = _on_table(e, a)
        history = None
    else:
        net, history = _synthetic(e, a.run)
        classes, data = e.recipe.classes(), SYNTHETIC
        calibration = e.recipe.moves(recipes.calibration_samples(e.recipe.data, 512, e.recipe.drawn())).x
    extra = {"classes": list(classes), "data": data, "calibration": torch.from_numpy(np.ascontiguousarray(calibration[:512]))}
    recipe = replace(e.recipe, model=net.cfg)
    recipes.save(net, recipe, history, a.run / "net.pt", extra)
    print(f"{net.parameter_count():,} parameters, temperature {net.temperature.item():.2f}, in {a.run / 'net.pt'}")


def _synthetic(e: settings.Experiment, folder: Path) -> tuple[DeReGrl, object]:
    """The network of the recipe; with [data] teachers, one that learned the mean answer of several."""
    teacher, count = None, e.recipe.data.teachers
    if count:
        nets = []
        for k in range(count):
            r = replace(e.recipe, fit=replace(e.recipe.fit, seed=e.recipe.fit.seed + 100 * (k + 1)))
            path = folder / f"teacher-{k + 1}.pt"
            if not path.is_file():
                print(f"teacher {k + 1} of {count}")
                net, history = recipes.train(r, checkpoint=path.with_suffix(".resume"))
                recipes.save(net, r, history, path)
            nets.append(recipes.load(path)[0])
        teacher = recipes.ensemble(nets, device_of(e.recipe.fit.device, e.recipe.fit.threads))
    return recipes.train(e.recipe, checkpoint=folder / "net.resume", teacher=teacher)


def _on_table(e: settings.Experiment, a: argparse.Namespace) -> tuple[DeReGrl, tuple[str, ...], np.ndarray, str]:
    m, cfg = from_table(load_table(a.table)), e.finetune
    recipe = recipe_for(m, e.recipe, False, cfg)
    checkpoint = None
    if cfg.pretrained == "synthetic" and can_pretrain(m):
        checkpoint = pretrain(recipe, a.run, print)
    elif cfg.pretrained == "synthetic":
        print("the table's nodes or features are not the synthetic generator's: training from scratch")
    elif cfg.pretrained != "none":
        checkpoint = checkpoint_of(cfg.pretrained)
    net, history = learn(recipe.model, m, cfg, checkpoint, e.recipe.fit.seed, e.recipe.fit, checkpoint=a.run / "table.resume", log=print)
    print(f"{a.table}: {len(m)} movements, loss {history.loss[-1]:.4f} after epoch {history.kept}")
    return net, m.classes, m.x, f"table of {len(m)} movements of {len(np.unique(m.subject))} subjects, pre-trained: {cfg.pretrained}"


def _net(a: argparse.Namespace) -> tuple[DeReGrl, recipes.Recipe, dict]:
    return recipes.load(a.run / "net.pt")


def export_(a: argparse.Namespace) -> None:
    net, recipe, extra = _net(a)
    path = files(a.models)[0]
    # What `--pretrained shipped` starts from; mercam does not read it.
    recipes.save(net, replace(recipe, model=net.cfg), None, path.with_name("dere_grl.pt"), {"classes": extra["classes"]})
    save(describe(export(net), net, a.model_id, "fp32", 0, classes=tuple(extra["classes"]), data=extra["data"]), path)
    print(f"{path}: {path.stat().st_size:,} bytes")


def quantise_(a: argparse.Namespace) -> None:
    net, _, extra = _net(a)
    fp32, int8 = files(a.models)
    model, count = quantise(onnx.load(need(fp32, "export")), extra["calibration"].numpy())
    save(describe(model, net, a.model_id, "int8", count, classes=tuple(extra["classes"]), data=extra["data"]), int8)
    print(f"{int8}: {int8.stat().st_size:,} bytes, {count} products in int8")


def evaluate(a: argparse.Namespace) -> None:
    if a.protocol:
        cross_validate(a)
    elif a.table:
        measure_table(a)
    else:
        measure(a)


def measure_table(a: argparse.Namespace) -> None:
    """Both exported files on the rows of a table."""
    m = from_table(load_table(a.table))
    for name, path in zip(("fp32", "int8"), files(a.models), strict=True):
        model = onnx.load(need(path, "export"))
        props = {p.key: p.value for p in model.metadata_props}
        classes = json.loads(props["classes"])
        _fits(m, props, a.table)
        y = recipes.same_classes(m, tuple(classes)).y
        probs = run(model, m.x)[0]
        r = scores(confusion(y, probs.argmax(1), len(classes)))
        print(f"{name} on {a.table}: UF1 {r['uf1']:.4f}, UAR {r['uar']:.4f}, accuracy {r['accuracy']:.4f}, ECE {calibration_error(probs, y):.4f}")


def _fits(m: Moves, props: dict[str, str], table: Path) -> None:
    landmarks, features = json.loads(props["landmarks"]), json.loads(props["features"])
    if list(m.layout.landmarks) != landmarks or list(m.layout.channels) != features:
        raise SystemExit(f"{table}: it has {m.layout.nodes} nodes with {', '.join(m.layout.channels)}, the network sees {len(landmarks)} "
                         f"with {', '.join(features)}: train one on the table (mercam-train train --table)")  # fmt: skip


def measure(a: argparse.Namespace) -> None:
    """Both exported files on held-back synthetic people; writes evaluation.json."""
    fp32, int8 = (need(p, s) for p, s in zip(files(a.models), ("export", "quantise"), strict=True))
    net, recipe, extra = _net(a)
    if tuple(extra["classes"]) != CLASSES:
        raise SystemExit("this network was trained on a table: measure it with --table and --protocol")
    s = recipes.held_back_samples(recipe.data, a.count)
    held = {name: report(run(onnx.load(path), s.x)[0], s) for name, path in (("int8", int8), ("fp32", fp32))}
    props = {p.key: p.value for p in onnx.load(int8).metadata_props}
    result = {
        "model_id": props["model_id"],
        "data": "synthetic movements only; nothing here says how well real micro-expressions are recognised",
        "parameters": net.parameter_count(),
        "int8_matmuls": int(props["int8_matmuls"]),
        "temperature": round(net.temperature.item(), 4),
        "bytes": {"int8": int8.stat().st_size, "fp32": fp32.stat().st_size},
        "held_back": held,
        "recipe": recipe.dump(),
        "training": {"seconds": round((extra["history"] or {}).get("seconds", 0)), "device": (extra["history"] or {}).get("device", "")},
        "ablations": _ablations(a, s),
    }
    (a.models / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, r in held.items():
        print(f"{name}: {text(r)}")


def _ablations(a: argparse.Namespace, s) -> list[dict]:
    found = []
    for path in sorted(a.run.glob("ablation-*.pt")):
        other, _, extra = recipes.load(path)
        r = report(probabilities(other, s.x), s)
        found.append({"name": extra["name"], "parameters": other.parameter_count(), "uf1": r["uf1"], "uar": r["uar"]})
    return found


def cross_validate(a: argparse.Namespace) -> None:
    """A protocol on a table, with ablations and baselines."""
    if not a.table:
        raise SystemExit("--protocol needs --table FILE; `mercam-train synth --shifted --out bed.npz` makes one to try it on")
    e = experiment(a)
    settings.keep(e, a.run)
    names = tuple(d.strip() for d in a.databases.split(",")) if a.databases else ()
    work = protocols.tasks(from_table(load_table(a.table)), a.protocol, names)
    plan = crossval.make_plan(work, e.recipe, e.evaluate, a.run, print)
    jobs = plan.jobs()
    mine = crossval.shard(jobs, a.fold_shard) if a.fold_shard else jobs
    crossval.run(plan, mine, a.workers, Bar(f"{a.protocol}: folds"))
    if a.fold_shard and any(not crossval.done(plan, j, plan.key()) for j in jobs):
        print(f"shard {a.fold_shard}: {len(mine)} fold results in {a.run / 'folds'}; when all shards are done, run this without --fold-shard")
        return
    result = compare.summary(plan, crossval.collect(plan)) | {"table": str(a.table), "protocol": a.protocol}
    (a.run / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(compare.text(result))
    print(f"\nin {a.run / 'evaluation.json'}; `mercam-train report --run {a.run}` draws it")


def parity_(a: argparse.Namespace) -> None:
    """Compares eager, onnxruntime and mercam; for the synthetic network writes fixture, card and manifest."""
    net, recipe, extra = _net(a)
    fp32, int8 = (need(p, s) for p, s in zip(files(a.models), ("export", "quantise"), strict=True))
    classes = list(extra["classes"])
    shipped = tuple(classes) == CLASSES and net.layout == recipes.Recipe().model.layout()
    values, x = None, None
    if shipped:
        values, x = parity.rounded(recipes.held_back_samples(recipe.data, a.samples).x)
    else:
        rows = extra["calibration"].numpy()
        x = rows[np.arange(a.samples) % len(rows)] * np.random.default_rng(0).uniform(0.8, 1.2, (a.samples, 1, 1)).astype(np.float32)
    result, got = parity.compare(net, fp32, int8, x)
    ids = {p.key: p.value for p in onnx.load(int8).metadata_props}
    evaluation = a.models / "evaluation.json"
    if not evaluation.is_file():
        evaluation.write_text(json.dumps({"model_id": ids["model_id"], "data": extra["data"]}) + "\n", encoding="utf-8")
    manifest.write(a.models, ids["model_id"])
    binary = parity.find_mercam(a.mercam)
    if binary is not None and net.layout == recipes.Recipe().model.layout():
        result["tract"] = parity.compare_tract(binary, a.models, x, got, classes)
    print(parity.text(result))
    e = json.loads(evaluation.read_text(encoding="utf-8")) | {"parity": result}
    evaluation.write_text(json.dumps(e, indent=1) + "\n", encoding="utf-8")
    if shipped and a.fixture and a.samples == 2000:
        parity.write_fixture(a.fixture, fp32, int8, values, got)
    if shipped and "held_back" in e and (a.models / "MODEL_CARD.md").is_file():
        card.write(a.models / "MODEL_CARD.md", e)
    manifest.write(a.models, ids["model_id"])
    if wrong := parity.failures(result):
        raise SystemExit("parity: " + "; ".join(wrong))


def report_(a: argparse.Namespace) -> None:
    """One HTML file from what lies in the run's folder."""
    found = a.run / "evaluation.json"
    evaluation = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else None
    net = history = None
    if (a.run / "net.pt").is_file():
        net, _, extra = _net(a)
        history = extra["history"]
    held = a.models / "evaluation.json"
    shown = json.loads(held.read_text(encoding="utf-8")) if net is not None and held.is_file() else None
    if evaluation is None and net is None:
        raise SystemExit(f"there is neither evaluation.json nor net.pt in {a.run}: run `mercam-train evaluate` or `train` first")
    sample = None
    if net is not None and net.layout == recipes.Recipe().model.layout() and net.cfg.classes == len(CLASSES):
        s = generate(4000, recipes.people(recipes.DataConfig(people=(10, 10, 200))).test, np.random.default_rng(9))
        got = answers(net, s.x)["actions"]
        sample = {c: got[s.y == k].mean(0).tolist() for k, c in enumerate(CLASSES)}
    out = a.out or a.run / "report.html"
    write_report(out, evaluation, history, shown, sample)
    print(out)


def all_(a: argparse.Namespace) -> None:
    train(a)
    if a.ablations:
        e = experiment(a)
        for name, change in crossval.NETWORKS.items():
            path = a.run / f"ablation-{len(change)}-{''.join(c if c.isalnum() else '-' for c in name)}.pt"
            if name != crossval.MAIN and not path.is_file():
                print(f"ablation: {name}")
                r = replace(e.recipe, model=replace(e.recipe.model, **change), data=replace(e.recipe.data, teachers=0))
                net, history = recipes.train(r, checkpoint=path.with_suffix(".resume"))
                recipes.save(net, r, history, path, {"name": name})
    steps = [export_, quantise_, measure, parity_, report_] if not a.table else [export_, quantise_, measure_table, parity_, report_]
    for step in steps:
        step(a)
