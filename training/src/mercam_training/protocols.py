"""Evaluation protocols: which rows, which classes, who is left out. Nothing here trains or chooses anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from .moves import Moves

PROTOCOLS = {
    "megc2019": "SMIC, CASME II and SAMM as one set, 3 classes, leave one subject out (68 folds); also each database's rows",
    "loso5": "each database by itself, its own classes (5 in CASME II and SAMM), leave one subject out",
    "cd6me": "12 action units, leave one database out (MEB); F1 per unit",
    "lodo": "3 classes, leave one database out",
}
THREE = ("negative", "positive", "surprise")
_POSITIVE, _SURPRISE = {"positive", "happiness", "happy"}, {"surprise", "surprised"}
_NEGATIVE = {"negative", "repression", "anger", "angry", "contempt", "disgust", "fear", "sadness", "sad"}
#: Emotions of the usual five-class tests, by database.
FIVE = {
    "casme2": (("happiness",), ("surprise",), ("disgust",), ("repression",), ("others", "other")),
    "samm": (("anger",), ("contempt",), ("happiness",), ("surprise",), ("other", "others")),
}


@dataclass(frozen=True)
class Task:
    """One cross-validation: rows with their classes, and the folds."""

    name: str
    moves: Moves
    #: Name of each fold, and which rows it leaves out. Each row is left out exactly once.
    folds: tuple[tuple[str, np.ndarray], ...]
    #: Why rows of the table are not in: reason and how many.
    excluded: tuple[tuple[str, int], ...]
    #: "class" or "unit" (action units).
    target: str = "class"

    def split(self, fold: int) -> tuple[Moves, Moves]:
        """Training rows and left-out rows."""
        out = self.folds[fold][1]
        return self.moves.take(~out), self.moves.take(out)


def database_key(name: str) -> str:
    """One spelling for a database: "CASME II", "casme2" -> "casme2"; "SMIC-HS" -> "smic"."""
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    key = re.sub(r"casme(?=ii+)", "casme2", key).replace("casme2ii", "casme2")
    return "smic" if key.startswith("smic") and key not in ("smicvis", "smicnir") else key


def three_class(label: str, database: str) -> str | None:
    """MEGC2019's class of an emotion; None where the guideline drops it."""
    label = label.lower().strip()
    if database_key(database) == "casme2" and label in ("fear", "sadness", "sad"):
        return None  # the guideline takes disgust and repression only
    return "positive" if label in _POSITIVE else "surprise" if label in _SURPRISE else "negative" if label in _NEGATIVE else None


def _relabel(m: Moves, classes: tuple[str, ...], names: list[str | None]) -> tuple[Moves, list[tuple[str, int]]]:
    """Rows whose new class is known, and how many rows of which class are not in."""
    keep = np.array([n is not None for n in names])
    old = np.array([e or m.classes[k] for k, e in zip(m.y, m.emotion, strict=True)])
    gone = [(f"class {str(c)!r} has no place in this protocol", int((old[~keep] == c).sum())) for c in sorted(set(old[~keep]))]
    y = np.array([classes.index(n) if n is not None else 0 for n in names])
    return replace(replace(m, y=y).take(keep), classes=classes), gone


def _out(groups: np.ndarray) -> tuple[tuple[str, np.ndarray], ...]:
    return tuple((str(g), groups == g) for g in np.unique(groups))


def tasks(m: Moves, protocol: str, databases: tuple[str, ...] = ()) -> list[Task]:
    """The cross-validations of a protocol on a table. `databases` names others than the protocol's own."""
    if protocol not in PROTOCOLS:
        raise SystemExit(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    keys = np.array([database_key(d) for d in m.database])
    own = ("smic", "casme2", "samm") if protocol == "megc2019" else ()
    wanted = [database_key(d) for d in databases] or [k for k in own] or sorted(set(keys))
    missing = [d for d in wanted if d not in keys]
    if len(missing) == len(wanted):
        raise SystemExit(f"the table has the databases {', '.join(sorted(set(m.database)))}; {protocol} wants {', '.join(wanted)}. "
                         "Name yours with --databases")  # fmt: skip
    inside = np.isin(keys, wanted)
    outside = [(f"database {str(d)!r} is not part of it", int((m.database[~inside] == d).sum())) for d in sorted(set(m.database[~inside]))]
    outside += [(f"database {d!r} is not in the table", 0) for d in missing]
    m = m.take(inside)
    labels = [m.classes[k] for k in m.y]
    if protocol == "loso5":
        labels = [e or c for c, e in zip(labels, m.emotion, strict=True)]
    else:  # a table of other classes still has the emotions, from which the three follow
        labels = [e if e and c not in THREE else c for c, e in zip(labels, m.emotion, strict=True)]
    if protocol == "cd6me":
        known = ~np.isnan(m.units).all(1)
        gone = [("no action units annotated", int((~known).sum()))] if (~known).any() else []
        m = m.take(known)
        return [_task("cd6me", m, m.database, outside + gone, "unit")]
    if protocol == "loso5":
        return _per_database(m, labels, outside)
    m, gone = _relabel(m, THREE, [three_class(c, d) for c, d in zip(labels, m.database, strict=True)])
    return [_task(protocol, m, m.subject if protocol == "megc2019" else m.database, outside + gone)]


def _task(name: str, m: Moves, groups: np.ndarray, excluded: list[tuple[str, int]], target: str = "class") -> Task:
    if not len(m):
        raise SystemExit(f"{name}: no row of the table is left: " + "; ".join(f"{n} rows: {why}" for why, n in excluded))
    folds = _out(groups)
    if len(folds) < 2:
        raise SystemExit(f"{name}: everything belongs to {folds[0][0]!r}; somebody has to be left out and somebody to learn from")
    return Task(name, m, folds, tuple(excluded), target)


def _per_database(m: Moves, labels: list[str], outside: list[tuple[str, int]]) -> list[Task]:
    result = []
    for d in sorted(set(m.database)):
        rows = m.database == d
        here = [labels[i].lower() for i in np.flatnonzero(rows)]
        sets = FIVE.get(database_key(d), ())
        if not any(c in s for c in here for s in sets):
            sets = tuple((c,) for c in sorted(set(here)) if c != "none")
        classes = tuple(s[0] for s in sets)
        names = [next((s[0] for s in sets if c in [n.lower() for n in s]), None) for c in here]
        part, gone = _relabel(m.take(rows), classes, names)
        if len(part) and len(np.unique(part.subject)) > 1 and len(np.unique(part.y)) > 1:
            result.append(_task(f"loso5-{database_key(d)}", part, part.subject, outside + gone))
    if not result:
        raise SystemExit("loso5: no database of the table has two subjects and two classes")
    return result


def validation_subjects(train: Moves, share: float, seed: int) -> np.ndarray:
    """Mask of training rows whose subjects are kept aside to choose the number of epochs."""
    people = np.unique(train.subject)
    count = min(max(1, round(share * len(people))), len(people) - 1)
    return np.isin(train.subject, np.random.default_rng([seed, 5]).permutation(people)[:count])
