"""The figures of the model card: measures on held-back samples of the synthetic generator, and where it fails."""

from __future__ import annotations

import numpy as np

from .actions import CLASSES
from .metrics import calibration_error, confusion, reliability, scores
from .synth import COMBINATIONS, DISTRACTORS, Samples


def ceiling(s: Samples) -> float:
    """UF1 of somebody who knows the action units but not the class: the classes share combinations (AU4 alone is in all)."""
    expressive = s.kind >= 0
    units = [COMBINATIONS[k].units for k in s.kind[expressive]]
    votes: dict[tuple[int, ...], np.ndarray] = {}
    for u, c in zip(units, s.y[expressive], strict=True):
        votes.setdefault(u, np.zeros(len(CLASSES)))[c] += 1
    predicted = s.y.copy()
    predicted[expressive] = [int(votes[u].argmax()) for u in units]
    return scores(confusion(s.y, predicted, len(CLASSES)))["uf1"]


def report(probs: np.ndarray, s: Samples) -> dict:
    """Everything the model card shows, for one set of answers."""
    predicted = probs.argmax(1)
    matrix = confusion(s.y, predicted, len(CLASSES))
    result = {"samples": len(s), "people": len(np.unique(s.subject)), **scores(matrix)}
    result["uf1_expressive"] = float(np.mean(result["f1"][:3]))
    result["ece"] = calibration_error(probs, s.y)
    result["confusion"] = matrix.tolist()
    result["reliability"] = reliability(probs, s.y)
    if (s.kind < 0).all() or np.isnan(s.amplitude).any():
        return result  # a table of somebody's own: nothing more is known
    result["uf1_ceiling"] = ceiling(s)
    result["by_amplitude"] = []
    for low, high in ((0.0, 0.01), (0.01, 0.015), (0.015, 0.025), (0.025, 1.0)):
        m = (s.kind >= 0) & (s.amplitude >= low) & (s.amplitude < high)
        if m.any():
            result["by_amplitude"].append({"iod": [low, high], "samples": int(m.sum()), "accuracy": float((predicted == s.y)[m].mean())})
    result["rejected"] = {
        name: float((predicted[s.kind == -1 - i] == CLASSES.index("none")).mean())
        for i, name in enumerate(DISTRACTORS)
        if (s.kind == -1 - i).any()
    }
    return result


def text(r: dict) -> str:
    """A report for the terminal."""
    lines = [(f"{r['samples']} samples of {r['people']} people: UF1 {r['uf1']:.4f}, UAR {r['uar']:.4f}, accuracy {r['accuracy']:.4f}, "
             f"ECE {r['ece']:.4f}")]  # fmt: skip
    lines += [
        f"  {c:9} F1 {f:.4f}   {'  '.join(f'{n:6}' for n in row)}" for c, f, row in zip(CLASSES, r["f1"], r["confusion"], strict=True)
    ]
    if "uf1_ceiling" in r:
        lines.append(f"  UF1 of somebody who sees the action units perfectly: {r['uf1_ceiling']:.4f}")
    return "\n".join(lines)
