"""Measures of the field, from counts: UF1, UAR, accuracy, calibration, spread over subjects."""

from __future__ import annotations

import numpy as np


def confusion(y: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts [true, predicted]."""
    m = np.zeros((classes, classes), int)
    np.add.at(m, (y, predicted), 1)
    return m


def scores(matrix: np.ndarray) -> dict:
    """UF1, UAR, accuracy, F1 per class of a confusion matrix (MEGC 2019: counts are summed over folds first; a class
    without samples counts as 0)."""
    hit, truth, said = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    f1 = 2 * hit / np.maximum(truth + said, 1)
    recall = hit / np.maximum(truth, 1)
    return {"uf1": float(f1.mean()), "uar": float(recall.mean()), "accuracy": float(hit.sum() / max(matrix.sum(), 1)), "f1": f1.tolist()}


def reliability(probs: np.ndarray, y: np.ndarray, bins: int = 15) -> list[dict]:
    """Confidence and accuracy of the most probable class, in equal-width bins of confidence that have samples."""
    top, right = probs.max(1), probs.argmax(1) == y
    which = np.minimum((top * bins).astype(int), bins - 1)
    return [{"confidence": float(top[which == b].mean()), "accuracy": float(right[which == b].mean()), "samples": int((which == b).sum())}
            for b in range(bins) if (which == b).any()]  # fmt: skip


def calibration_error(probs: np.ndarray, y: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the most probable class (Guo et al. 2017)."""
    return float(sum(abs(b["confidence"] - b["accuracy"]) * b["samples"] for b in reliability(probs, y, bins)) / max(len(y), 1))


def subject_bootstrap(y: np.ndarray, predicted: np.ndarray, subject: np.ndarray, classes: int, draws: int = 1000, seed: int = 0) -> dict:
    """95 % interval of UF1 and UAR when the subjects are drawn again with replacement."""
    people, which = np.unique(subject, return_inverse=True)
    each = np.zeros((len(people), classes, classes), int)
    np.add.at(each, (which, y, predicted), 1)
    rng = np.random.default_rng(seed)
    got = [scores(each[rng.integers(0, len(people), len(people))].sum(0)) for _ in range(draws)]
    return {k: [float(v) for v in np.percentile([g[k] for g in got], (2.5, 97.5))] for k in ("uf1", "uar")}


def unit_scores(truth: np.ndarray, said: np.ndarray) -> dict:
    """F1 of each action unit [n, U] where somebody labelled it (NaN: nobody did): of being there ("binary") and the mean
    of being there and not being there ("macro")."""
    binary, macro = [], []
    for k in range(truth.shape[1]):
        known = ~np.isnan(truth[:, k])
        r = scores(confusion(truth[known, k].astype(int), said[known, k].astype(int), 2))
        binary.append(r["f1"][1])
        macro.append(r["uf1"])
    return {"binary": binary, "macro": macro, "f1_binary": float(np.mean(binary)), "f1_macro": float(np.mean(macro))}
