"""Runs the folds of a protocol: several seeds, ablations and baselines, in parallel, resumable, in shards.

Each (method, seed, fold) is a job of its own with a file of its own. A job learns from its training rows and then
answers the left-out rows, whose labels it never gets. Jobs that have their file are not run again; shards of a cluster
write into the same folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from .baseline import BASELINES, predict, predict_units
from .finetune import FinetuneConfig, can_pretrain, checkpoint_of, freeze, learn, pretrain, recipe_for, start
from .fit import fingerprint
from .moves import Moves
from .protocols import Task
from .synth import generate
from .train import Recipe, people

MAIN = "backbone + ADM + RRM"
#: Methods that are networks: what differs from the recipe's [model].
NETWORKS: dict[str, dict] = {
    MAIN: {},
    "backbone + GAP": {"adm": "gap", "rrm": "off"},
    "backbone + flatten": {"adm": "flatten", "rrm": "off"},
    "backbone + ADM": {"rrm": "off"},
    "backbone + ADM (reading B)": {"adm": "mixing", "rrm": "off"},
    "backbone + ADM + RRM (reading B)": {"adm": "mixing"},
    "ADM + RRM, fixed adjacency": {"learnable_graph": False},
}


@dataclass(frozen=True)
class EvaluateConfig:
    """What is compared, how often."""

    seeds: tuple[int, ...] = (1, 2, 3)
    #: Train the ablations beside the network.
    ablations: bool = True
    baselines: bool = True
    #: Names of the methods to run, as the table prints them; empty: all.
    methods: tuple[str, ...] = ()
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)

    def dump(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Job:
    task: int
    method: str
    seed: int
    fold: int

    def name(self) -> str:
        plain = "".join(c if c.isalnum() else "-" for c in self.method)
        return f"{self.task}-{plain}-s{self.seed}-f{self.fold:03}"


@dataclass(frozen=True)
class Plan:
    """Everything a worker needs; it is sent to each once."""

    tasks: tuple[Task, ...]
    recipe: Recipe
    cfg: EvaluateConfig
    folder: Path
    #: Checkpoint per (task, method, seed): each seed has a pre-training of its own, so that the spread over seeds has
    #: that of pre-training in it.
    pretrained: dict[tuple[int, str, int], Path]

    def methods(self) -> list[str]:
        networks = list(NETWORKS) if self.cfg.ablations else [MAIN]
        lines = [b for b in BASELINES if b != BASELINES[2] or self.pretrained] if self.cfg.baselines else []
        found = networks + (lines if self.tasks[0].target == "class" else lines[:1])
        unknown = [m for m in self.cfg.methods if m not in (*NETWORKS, *BASELINES)]
        if unknown:
            raise SystemExit(f"[evaluate] methods: {unknown[0]!r} is none of {', '.join((*NETWORKS, *BASELINES))}")
        return [m for m in found if not self.cfg.methods or m in self.cfg.methods or m == MAIN]

    def jobs(self) -> list[Job]:
        found = []
        for t, task in enumerate(self.tasks):
            for method in self.methods():
                # The baselines do not depend on the seed.
                for seed in self.cfg.seeds if method in NETWORKS else self.cfg.seeds[:1]:
                    found += [Job(t, method, seed, f) for f in range(len(task.folds))]
        return found

    def key(self) -> str:
        data = [a for t in self.tasks for a in (t.moves.x, t.moves.y, np.array([str(f[0]) for f in t.folds]))]
        return fingerprint(self.recipe.dump(), self.cfg.dump(), *data)

    def path(self, job: Job) -> Path:
        return self.folder / "folds" / f"{job.name()}.json"


def model_of(plan: Plan, task: Task, method: str):
    """The recipe of a method on a task's rows."""
    base = replace(plan.recipe, model=replace(plan.recipe.model, **NETWORKS[method]))
    recipe = recipe_for(task.moves, base, task.target == "unit", plan.cfg.finetune)
    if task.target == "unit":
        recipe = replace(recipe, model=replace(recipe.model, classes=max(3, recipe.model.classes)))
    return recipe


def make_plan(tasks: list[Task], recipe: Recipe, cfg: EvaluateConfig, folder: Path, log: Callable[[str], None]) -> Plan:
    """The plan with its pre-trained networks made, or found in the folder."""
    empty = Plan(tuple(tasks), recipe, cfg, folder, {})
    pretrained: dict[tuple[int, str, int], Path] = {}
    kind = cfg.finetune.pretrained
    for t, task in enumerate(tasks):
        if kind == "synthetic" and not can_pretrain(task.moves):
            log(f"{task.name}: the table's nodes or features are not the synthetic generator's; training from scratch")
            continue
        for method in [m for m in empty.methods() if m in NETWORKS]:
            for seed in cfg.seeds:
                if kind == "synthetic":
                    log(f"{task.name}: pre-training {method}, seed {seed}, on synthetic movements")
                    own = model_of(empty, task, method)
                    pretrained[t, method, seed] = pretrain(replace(own, fit=replace(own.fit, seed=seed)), folder, log)
                elif kind != "none" and method == MAIN:
                    pretrained[t, method, seed] = checkpoint_of(kind)
    return replace(empty, pretrained=pretrained)


_worker: dict = {}


def _enter(plan: Plan) -> None:
    import torch

    torch.set_num_threads(1)
    _worker.clear()
    _worker["plan"] = plan
    _worker["key"] = plan.key()


def _synthetic(plan: Plan, task: Task) -> Moves:
    recipe = model_of(plan, task, MAIN)
    recipe = replace(recipe, model=replace(recipe.model, classes=3))
    return recipe.moves(generate(6000, people(recipe.data).train, np.random.default_rng([recipe.fit.seed, 6]), recipe.drawn()))


def _kept(key: tuple, make: Callable):
    """One thing per worker and key; the last few only."""
    if key not in _worker:
        for old in [k for k in _worker if isinstance(k, tuple) and k[0] == key[0]]:
            del _worker[old]
        _worker[key] = make()
    return _worker[key]


def run_job(job: Job) -> Job:
    """Learns from the training rows, answers the left-out ones, writes the answers."""
    from .finetune import answers

    plan: Plan = _worker["plan"]
    task, cfg = plan.tasks[job.task], plan.cfg.finetune
    train, left_out = task.split(job.fold)
    rows = np.flatnonzero(task.folds[job.fold][1])
    inputs = blind(left_out)
    if job.method in NETWORKS:
        recipe = model_of(plan, task, job.method)
        pre = plan.pretrained.get((job.task, job.method, job.seed))
        frozen = None
        if pre is not None and cfg.tune != "all":
            whole = _kept(("frozen", job.task, job.method, job.seed),
                          lambda: freeze(start(recipe.model, pre, job.seed)[0], blind(task.moves), cfg, job.seed))  # fmt: skip
            frozen = whole.take(~task.folds[job.fold][1])
        loss = replace(cfg.loss, classes=0.0, unit=1.0) if task.target == "unit" else cfg.loss
        net, history = learn(recipe.model, train, replace(cfg, loss=loss), pre, job.seed, recipe.fit, frozen)
        got = answers(net, inputs.x)
        result = {k: np.round(v, 6).tolist() for k, v in got.items()} | {"loss": history.loss, "kept": history.kept}
    elif task.target == "unit":
        result = {"units": np.round(predict_units(train, inputs), 6).tolist()}
    else:
        extra = _kept(("synthetic", job.task), lambda: _synthetic(plan, task)) if job.method == BASELINES[2] else None
        result = {"probs": np.round(predict(job.method, train, inputs, job.seed, extra), 6).tolist()}
    result |= {"key": _worker["key"], "rows": rows.tolist()}
    path = plan.path(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(result), encoding="utf-8")
    os.replace(part, path)
    return job


def blind(m: Moves) -> Moves:
    """The same rows without what they are: labels 0, units and emotions unknown."""
    return replace(m, y=np.zeros_like(m.y), units=np.full_like(m.units, np.nan), emotion=np.full(len(m), ""))


def shard(jobs: list[Job], text: str) -> list[Job]:
    """Part i of n ("2/8") of the jobs; each job is in exactly one part."""
    try:
        i, n = (int(v) for v in text.split("/"))
    except ValueError:
        i = n = 0
    if not 1 <= i <= n:
        raise SystemExit(f"--fold-shard is {text!r}; write it as 2/8: part 2 of 8 (with SLURM: $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT)")
    return jobs[i - 1 :: n]


def done(plan: Plan, job: Job, key: str) -> bool:
    """The job's answers are there, and they belong to this plan."""
    path = plan.path(job)
    if not path.is_file():
        return False
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("key") == key
    except json.JSONDecodeError:
        return False


def run(plan: Plan, jobs: list[Job], workers: int, progress: Callable[[int, int], None]) -> None:
    """Runs the jobs that have no answers yet, `workers` at a time."""
    key = plan.key()
    open_jobs = [j for j in jobs if not done(plan, j, key)]
    finished = len(jobs) - len(open_jobs)
    progress(finished, len(jobs))
    if workers <= 1 or len(open_jobs) <= 1:
        _enter(plan)
        for j in open_jobs:
            run_job(j)
            finished += 1
            progress(finished, len(jobs))
        return
    # Neighbouring folds share what a worker keeps, so jobs are handed out in blocks of one method and seed.
    with ProcessPoolExecutor(workers, get_context("spawn"), _enter, (plan,)) as pool:
        for f in as_completed([pool.submit(run_job, j) for j in open_jobs]):
            f.result()
            finished += 1
            progress(finished, len(jobs))


def collect(plan: Plan) -> dict[tuple[int, str, int], dict[str, np.ndarray]]:
    """Answers of all rows per (task, method, seed), in the order of the task's rows; missing folds are an error."""
    key, found = plan.key(), {}
    missing = [j for j in plan.jobs() if not done(plan, j, key)]
    if missing:
        raise SystemExit(f"{len(missing)} of {len(plan.jobs())} fold results are not there yet (the first: {missing[0].name()}): "
                         "run the other shards, then this command without --fold-shard")  # fmt: skip
    for j in plan.jobs():
        r = json.loads(plan.path(j).read_text(encoding="utf-8"))
        into = found.setdefault((j.task, j.method, j.seed), {})
        n = len(plan.tasks[j.task].moves)
        for name in ("probs", "actions", "units"):
            if name in r:
                values = np.array(r[name])
                into.setdefault(name, np.full((n, values.shape[1]), np.nan))[r["rows"]] = values
        if "loss" in r:
            into.setdefault("loss", []).append(r["loss"])
    return found
