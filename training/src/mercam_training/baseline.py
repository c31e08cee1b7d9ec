"""Linear baselines on the same rows as the network: what a map of movements needs no graph for.

Features are the movement channels of all nodes side by side, standardised on the training rows. The penalty of the SVM
is chosen by cross-validation over training subjects.
"""

from __future__ import annotations

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from .metrics import confusion, scores
from .moves import Moves

BASELINES = ("LDA", "linear SVM", "LDA, table and synthetic")
_PENALTIES = (0.0003, 0.003, 0.03)


def flat(m: Moves) -> np.ndarray:
    """[n, nodes * movement channels]."""
    return m.x[..., m.layout.places :].reshape(len(m), -1).astype(np.float64)


def _lda(y: np.ndarray) -> Pipeline:
    classes = len(np.unique(y))
    # Equal priors: UF1 and UAR weigh the classes equally.
    return make_pipeline(StandardScaler(), LinearDiscriminantAnalysis("lsqr", shrinkage="auto", priors=np.full(classes, 1 / classes)))


def _svm(penalty: float, seed: int) -> Pipeline:
    return make_pipeline(StandardScaler(), LinearSVC(C=penalty, class_weight="balanced", random_state=seed, max_iter=4000))


def _penalty(x: np.ndarray, m: Moves, seed: int) -> float:
    people = len(np.unique(m.subject))
    if people < 3:
        return _PENALTIES[1]
    got = []
    for c in _PENALTIES:
        total = np.zeros((len(m.classes),) * 2, int)
        for a, b in GroupKFold(3).split(x, m.y, m.subject):
            if len(np.unique(m.y[a])) > 1:
                total += confusion(m.y[b], _svm(c, seed).fit(x[a], m.y[a]).predict(x[b]), len(m.classes))
        got.append(scores(total)["uf1"])
    return _PENALTIES[int(np.argmax(got))]


def predict(kind: str, train: Moves, test_x: Moves, seed: int, synthetic: Moves | None = None) -> np.ndarray:
    """Class probabilities [n, classes] of the left-out rows (0 and 1 from the SVM, which has none)."""
    x, out = flat(train), np.zeros((len(test_x), len(train.classes)))
    y = train.y
    if len(np.unique(y)) == 1:
        out[:, y[0]] = 1
        return out
    if kind == "linear SVM":
        said = _svm(_penalty(x, train, seed), seed).fit(x, y).predict(flat(test_x))
        out[np.arange(len(out)), said] = 1
        return out
    if kind == "LDA, table and synthetic" and synthetic is not None:
        x, y = np.concatenate([x, flat(synthetic)]), np.concatenate([y, synthetic.y])
    model = _lda(y).fit(x, y)
    out[:, model.classes_] = model.predict_proba(flat(test_x))
    return out


def predict_units(train: Moves, test_x: Moves) -> np.ndarray:
    """Probability of each action unit [n, U] by one LDA per unit; 0 where the training rows never show it."""
    x, xt = flat(train), flat(test_x)
    out = np.zeros((len(test_x), train.units.shape[1]))
    for k in range(out.shape[1]):
        known = ~np.isnan(train.units[:, k])
        y = train.units[known, k].astype(int)
        if len(np.unique(y)) == 2:
            out[:, k] = _lda(y).fit(x[known], y).predict_proba(xt)[:, 1]
    return out
