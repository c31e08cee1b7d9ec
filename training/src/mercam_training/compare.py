"""From the folds' answers to the figures of an evaluation: per method mean and spread, intervals, calibration, verdicts."""

from __future__ import annotations

import numpy as np

from .baseline import BASELINES
from .crossval import MAIN, NETWORKS, Plan
from .metrics import calibration_error, confusion, reliability, scores, subject_bootstrap, unit_scores
from .moves import UNITS
from .protocols import Task


def summary(plan: Plan, answers: dict) -> dict:
    """The whole evaluation as JSON: one entry per task, in it one per method."""
    return {"settings": {"recipe": plan.recipe.dump(), "evaluate": plan.cfg.dump()},
            "tasks": [_task(plan, t, task, answers) for t, task in enumerate(plan.tasks)]}  # fmt: skip


def _task(plan: Plan, t: int, task: Task, answers: dict) -> dict:
    m = task.moves
    out = {
        "name": task.name, "target": task.target, "rows": len(m), "subjects": len(np.unique(m.subject)), "folds": len(task.folds),
        "classes": list(m.classes), "class_counts": np.bincount(m.y, minlength=len(m.classes)).tolist(),
        "databases": {str(d): int((m.database == d).sum()) for d in np.unique(m.database)},
        "excluded": [{"reason": why, "rows": n} for why, n in task.excluded], "methods": [],
    }  # fmt: skip
    means = {}
    for method in plan.methods():
        runs = [answers[t, method, s] for s in plan.cfg.seeds if (t, method, s) in answers]
        entry = {"name": method, "seeds": len(runs)}
        if task.target == "unit":
            per = [unit_scores(m.units, (r["units"] > 0.5).astype(int)) for r in runs]
            entry |= {k: float(np.mean([p[k] for p in per])) for k in ("f1_binary", "f1_macro")}
            entry["sd"] = float(np.std([p["f1_binary"] for p in per]))
            entry["units"] = {str(u): float(np.mean([p["binary"][k] for p in per])) for k, u in enumerate(UNITS)}
        else:
            entry |= _class_figures(task, runs, len(plan.cfg.seeds))
            means[method] = np.mean([r["probs"] for r in runs], 0)
        if runs and "loss" in runs[0]:
            entry["loss"] = np.mean([c for r in runs for c in r["loss"]], 0).tolist()
        if method == MAIN and "actions" in runs[0] and task.target == "class":
            actions = np.mean([r["actions"] for r in runs], 0)
            entry["actions"] = {c: actions[m.y == k].mean(0).tolist() for k, c in enumerate(m.classes) if (m.y == k).any()}
        out["methods"].append(entry)
    if task.target == "class":
        out["verdicts"] = verdicts(task, means)
    return out


def _class_figures(task: Task, runs: list[dict], seeds: int) -> dict:
    m, n = task.moves, len(task.moves.classes)
    said = [r["probs"].argmax(1) for r in runs]
    per = [scores(confusion(m.y, p, n)) for p in said]
    mean = np.mean([r["probs"] for r in runs], 0)
    # The spread is that of single seeds; intervals, confusion and calibration are those of the seeds' mean answer.
    out = {k: float(np.mean([p[k] for p in per])) for k in ("uf1", "uar", "accuracy")}
    out["sd"] = {k: float(np.std([p[k] for p in per], ddof=1)) if len(per) > 1 else 0.0 for k in ("uf1", "uar", "accuracy")}
    out["f1"] = np.mean([p["f1"] for p in per], 0).tolist()
    top = mean.argmax(1)
    out["together"] = scores(confusion(m.y, top, n))
    out["interval"] = subject_bootstrap(m.y, top, m.subject, n)
    out["confusion"] = confusion(m.y, top, n).tolist()
    if len(np.unique(mean)) > 2 * seeds:  # an SVM's answers are no probabilities
        out["ece"] = calibration_error(mean, m.y)
        out["reliability"] = reliability(mean, m.y)
    out["by_database"] = {
        str(d): {k: float(np.mean([scores(confusion(m.y[w], p[w], n))[k] for p in said])) for k in ("uf1", "uar", "accuracy")}
        for d in np.unique(m.database) for w in [m.database == d]
    }  # fmt: skip
    return out


def paired(task: Task, a: np.ndarray, b: np.ndarray, draws: int = 1000) -> tuple[float, list[float]]:
    """UF1 of answers a minus answers b, and its 95 % interval over subjects drawn again."""
    m, n = task.moves, len(task.moves.classes)
    people, which = np.unique(m.subject, return_inverse=True)
    counts = np.zeros((2, len(people), n, n), int)
    for k, p in enumerate((a, b)):
        np.add.at(counts[k], (which, m.y, p.argmax(1)), 1)
    rng = np.random.default_rng(0)

    def gap(rows) -> float:
        return scores(counts[0][rows].sum(0))["uf1"] - scores(counts[1][rows].sum(0))["uf1"]

    drawn = [gap(rng.integers(0, len(people), len(people))) for _ in range(draws)]
    return gap(slice(None)), [float(v) for v in np.percentile(drawn, (2.5, 97.5))]


def verdicts(task: Task, means: dict[str, np.ndarray]) -> list[dict]:
    """The network against each other method, in a sentence. Whatever comes out is said."""
    found = []
    for other in [m for m in (*BASELINES, *NETWORKS) if m in means and m != MAIN]:
        gap, (low, high) = paired(task, means[MAIN], means[other])
        word = "is better than" if low > 0 else "is worse than" if high < 0 else "is not shown to differ from"
        text = f"{MAIN} {word} {other}: UF1 {gap:+.3f} (95 % interval {low:+.3f} to {high:+.3f})."
        found.append({"against": other, "gap": gap, "interval": [low, high], "text": text})
    return found


def text(s: dict) -> str:
    """The evaluation for a terminal."""
    lines = []
    for t in s["tasks"]:
        lines += ["", f"{t['name']}: {t['rows']} movements of {t['subjects']} subjects in {t['folds']} folds; "
                  + ", ".join(f"{c} {n}" for c, n in zip(t["classes"], t["class_counts"], strict=True))]  # fmt: skip
        lines += [f"  not in: {e['rows']} rows: {e['reason']}" for e in t["excluded"]]
        if t["target"] == "unit":
            lines.append(f"  {'method':34} F1 (there)      F1 (mean of there and not)")
            lines += [f"  {m['name']:34} {m['f1_binary']:.3f} ± {m['sd']:.3f}   {m['f1_macro']:.3f}" for m in t["methods"]]
            continue
        names = list(t["databases"])
        lines.append(f"  {'method':34} {'UF1':15} {'95 %':13} {'UAR':15} accuracy  ECE    UF1 by database: {', '.join(names)}")
        for m in t["methods"]:
            ece = f"{m['ece']:.3f}" if "ece" in m else "  -  "
            parts = "  ".join(f"{m['by_database'][d]['uf1']:.3f}" for d in names)
            lines.append(
                f"  {m['name']:34} {m['uf1']:.3f} ± {m['sd']['uf1']:.3f}   {m['interval']['uf1'][0]:.3f}-{m['interval']['uf1'][1]:.3f}"
                f"   {m['uar']:.3f} ± {m['sd']['uar']:.3f}   {m['accuracy']:.3f}     {ece}  {parts}"
            )
        lines += [f"  {v['text']}" for v in t["verdicts"]]
    return "\n".join(lines[1:])
