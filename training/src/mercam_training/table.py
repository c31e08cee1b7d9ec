"""The movement table: one movement per row, the door for anybody's own features (docs/reference/movement-table.md).

Two forms. `.npz` (version 2) holds any node set and any feature channels with a JSON header; `.csv` (version 1) holds
x, y, dx, dy of the landmarks 17-67. `load_table` reads both; errors name the file, the row, the column and the mend.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .face import COMPONENT_OF, COMPONENTS, COUNT, FIRST_NODE, MIRROR

FORMAT = "mercam-movement-table"
VERSION = 2
PAGE = "see docs/reference/movement-table.md"
#: The features of mercam's own tables: place at the onset and movement to the apex, face frame, IOD.
FEATURES = ("x", "y", "dx", "dy")
#: Landmarks of mercam's own tables.
LANDMARKS = tuple(range(FIRST_NODE, COUNT))
#: Arrays that every table has, and those that name something in each row.
REQUIRED = ("header", "x", "label", "subject")
OPTIONAL = {"database": "", "aus": "", "iod": np.nan, "fps": np.nan}
#: Features that change sign in a mirrored picture; all others (y, dy, v, strain, magnitude...) keep theirs.
_HORIZONTAL = re.compile(r"(x|dx|u|du|x[0-9]+|dx[0-9]+|u[0-9]+|flow_x|shear|exy|sin_x)", re.IGNORECASE)
#: Features that say where a node is and not how it moved.
_PLACE = re.compile(r"(x|y|z|x0|y0|z0)", re.IGNORECASE)
_AUS = re.compile(r"(?:[LR]?[0-9]{1,2}(?:\+[LR]?[0-9]{1,2})*|-)?")


class TableError(SystemExit):
    """A table that is not as documented; as an error of the command it ends with this text and status 1."""


@dataclass(frozen=True)
class MovementTable:
    """Rows of movement and what is known about each."""

    x: np.ndarray  #: [S, N, F] float32
    label: np.ndarray  #: [S] int64, index into `classes`
    subject: np.ndarray  #: [S] text; unique only within a database: see `groups`
    database: np.ndarray  #: [S] text
    aus: np.ndarray  #: [S] text, "4+L12"; "" not annotated, "-" annotated: none
    iod: np.ndarray  #: [S] float32, inter-ocular distance at the onset in pixels; NaN unknown
    fps: np.ndarray  #: [S] float32, frames per second; NaN unknown
    header: dict
    #: More about each row, carried along: clip, emotion, onset...
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.header["classes"])

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.header["features"])

    @property
    def nodes(self) -> tuple[int, ...]:
        """Landmark number of each node, in the scheme that `header["scheme"]` names (ibug68 unless said otherwise)."""
        return tuple(self.header["nodes"])

    @property
    def mirror(self) -> np.ndarray | None:
        """[N] where each node goes in a mirrored face; None when that is not known (no mirrored copies then)."""
        if "mirror" in self.header:
            return np.array(self.header["mirror"])
        place = {n: i for i, n in enumerate(self.nodes)}
        if self.header.get("scheme", "ibug68") != "ibug68" or any(int(MIRROR[n]) not in place for n in self.nodes):
            return None
        return np.array([place[int(MIRROR[n])] for n in self.nodes])

    @property
    def mirror_sign(self) -> np.ndarray:
        """[F] -1 for features that change sign in a mirrored picture, else 1."""
        given = self.header.get("mirror_sign")
        return np.array(given or [-1 if _HORIZONTAL.fullmatch(f) else 1 for f in self.features], np.float32)

    @property
    def is_place(self) -> np.ndarray:
        """[F] bool: this feature says where the node is (context), not how it moved."""
        given = self.header.get("kind")
        return np.array([k == "place" for k in given] if given else [bool(_PLACE.fullmatch(f)) for f in self.features])

    @property
    def components(self) -> dict[str, list[int]]:
        """Positions of the nodes of each facial component, in order; by the six of face.py unless the header names them."""
        if "components" in self.header:
            return {k: list(v) for k, v in self.header["components"].items()}
        found = {name: [i for i, n in enumerate(self.nodes) if COMPONENT_OF[n] == k] for k, (name, _, _) in enumerate(COMPONENTS)}
        found["contour"] = [i for i, n in enumerate(self.nodes) if COMPONENT_OF[n] < 0]
        return {k: v for k, v in found.items() if v}

    @property
    def groups(self) -> np.ndarray:
        """[S] "database/subject": what leave-one-subject-out splits by."""
        return np.char.add(np.char.add(self.database.astype(str), "/"), self.subject.astype(str))

    def select(self, rows) -> MovementTable:
        """The rows given, by number or by mask."""
        own = {k: getattr(self, k)[rows] for k in ("x", "label", "subject", "database", "aus", "iod", "fps")}
        return MovementTable(**own, header=self.header, extra={k: v[rows] for k, v in self.extra.items()})


def make_header(classes, nodes=LANDMARKS, features=FEATURES, **more) -> dict:
    """A header; `more` are its optional keys (description, kind, mirror, mirror_sign, components, scheme...)."""
    own = {"format": FORMAT, "version": VERSION, "nodes": [int(n) for n in nodes], "features": list(features), "classes": list(classes)}
    return own | more


def make_table(x, label, subject, classes, *, nodes=LANDMARKS, features=FEATURES, header=None, extra=None, **columns) -> MovementTable:
    """A checked table from arrays; `columns` are database, aus, iod, fps, one value or one per row."""
    unknown = sorted(set(columns) - set(OPTIONAL))
    if unknown:
        raise TypeError(f"{unknown[0]!r} is none of {', '.join(OPTIONAL)}")
    head = make_header(classes, nodes, features) | (header or {})
    arrays = {"x": x, "label": label, "subject": subject, **columns, **(extra or {})}
    count = len(np.asarray(label))
    given = {k: np.broadcast_to(np.asarray(v), (count,)) if np.ndim(v) == 0 else np.asarray(v) for k, v in arrays.items()}
    return _checked("the new table", head, given)


def concat(tables: list[MovementTable]) -> MovementTable:
    """The rows of several tables, which have to agree in nodes, features and classes."""
    first = tables[0]
    for k, t in enumerate(tables[1:], 2):
        for key in ("nodes", "features", "classes"):
            if first.header[key] != t.header[key]:
                raise TableError(
                    f"tables 1 and {k} differ in {key}: {first.header[key]} and {t.header[key]}; make both with the same settings"
                )
    own = {k: np.concatenate([getattr(t, k) for t in tables]) for k in ("x", "label", "subject", "database", "aus", "iod", "fps")}
    both = [k for k in first.extra if all(k in t.extra for t in tables)]
    return MovementTable(**own, header=first.header, extra={k: np.concatenate([t.extra[k] for t in tables]) for k in both})


def save_table(path: Path, t: MovementTable) -> None:
    """Writes `.npz`, or `.csv` when the table has mercam's own nodes and features; whole or not at all."""
    from .table_csv import write_csv

    path = Path(path)
    head = dict(t.header)
    columns = {k: getattr(t, k) for k in ("x", "label", "subject", *OPTIONAL)} | t.extra
    t = _checked(str(path), head, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if path.suffix == ".csv":
        write_csv(part, path, t)
    elif path.suffix == ".npz":
        text = {k: v.astype(str) if v.dtype.kind in "OU" else v for k, v in columns.items()}
        with part.open("wb") as f:
            np.savez_compressed(f, header=np.array(json.dumps(head, ensure_ascii=False)), **text)
    else:
        raise TableError(f"{path}: a movement table ends in .npz or .csv")
    part.replace(path)


def load_table(path: Path) -> MovementTable:
    """A table from `.npz` or `.csv`, checked to the last cell."""
    from .table_csv import read_csv

    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: there is no such file; `mercam-train prepare` or `synth` makes one, {PAGE}")
    if path.suffix == ".csv":
        head, columns = read_csv(path)
        return _checked(str(path), head, columns)
    if path.suffix != ".npz":
        raise TableError(f"{path}: a movement table ends in .npz or .csv; {PAGE}")
    try:
        with np.load(path, allow_pickle=False) as z:
            arrays = {k: z[k] for k in z.files}
    except ValueError as e:
        if "pickle" not in str(e):
            raise TableError(f"{path}: damaged ({e}); write it again with numpy.savez") from None
        raise TableError(f"{path}: an array holds Python objects ({e}); turn text columns into numpy.array(values, str)") from None
    except Exception as e:  # noqa: BLE001  zip, zlib and numpy raise whatever a damaged file makes them stumble over
        why = f"{type(e).__name__}: {e}"
        raise TableError(f"{path}: not an .npz file, or a damaged one ({why}); write it with numpy.savez") from None
    for key in REQUIRED:
        if key not in arrays:
            raise TableError(f"{path}: array {key!r} is missing (there are {', '.join(sorted(arrays)) or 'none'}); {PAGE}")
    return _checked(str(path), _header(path, arrays.pop("header")), arrays)


def _header(path: Path, array: np.ndarray) -> dict:
    raw = array.tobytes().decode("utf-8", "replace") if array.dtype == np.uint8 else str(array[()] if array.ndim == 0 else array)
    try:
        head = json.loads(raw)
    except json.JSONDecodeError as e:
        raise TableError(f"{path}: the header is not JSON ({e}); store numpy.array(json.dumps(header)) as 'header'") from None
    if not isinstance(head, dict):
        raise TableError(f"{path}: the header is a JSON {type(head).__name__}, it has to be an object; {PAGE}")
    return head


def _check_header(what: str, h: dict) -> None:
    def bad(why: str) -> TableError:
        return TableError(f"{what}: header {why}; {PAGE}")

    if h.get("format") != FORMAT:
        raise bad(f"key 'format' is {h.get('format')!r}, not {FORMAT!r}")
    if h.get("version") != VERSION:
        raise bad(
            f"key 'version' is {h.get('version')!r}; this mercam-train reads {VERSION}: convert the table or take the fitting release"
        )
    for key, kind in (("nodes", int), ("features", str), ("classes", str)):
        v = h.get(key)
        if not isinstance(v, list) or not v or not all(isinstance(i, kind) and not isinstance(i, bool) for i in v):
            raise bad(f"key {key!r} has to be a list of {'whole numbers' if kind is int else 'names'}, not {v!r}")
        twice = [i for i in v if v.count(i) > 1]
        if twice:
            raise bad(f"key {key!r} names {twice[0]!r} twice")
    n, f = len(h["nodes"]), len(h["features"])
    if h.get("scheme", "ibug68") == "ibug68":
        off = [i for i in h["nodes"] if not 0 <= i < COUNT]
        if off:
            raise bad(f"key 'nodes' has {off[0]}, and iBUG landmarks are 0 to {COUNT - 1}; name your own numbering in 'scheme'")
    elif "components" not in h:
        raise bad(f"key 'components' is missing: with scheme {h['scheme']!r} the facial components are not known")
    for key, kind in (("mirror", int), ("mirror_sign", int), ("kind", str)):
        if key in h and not (isinstance(h[key], list) and all(isinstance(i, kind) for i in h[key])):
            raise bad(f"key {key!r} has to be a list of {'whole numbers' if kind is int else 'words'}, not {h[key]!r}")
    if "mirror" in h and sorted(h["mirror"]) != list(range(n)):
        raise bad(f"key 'mirror' is not an order of the {n} node positions 0 to {n - 1}")
    if "mirror_sign" in h and (len(h["mirror_sign"]) != f or set(h["mirror_sign"]) - {1, -1}):
        raise bad(f"key 'mirror_sign' has to be 1 or -1 for each of the {f} features")
    if "kind" in h and (len(h["kind"]) != f or set(h["kind"]) - {"place", "movement"}):
        raise bad(f"key 'kind' has to be 'place' or 'movement' for each of the {f} features")
    seen: dict[int, str] = {}
    own = h.get("components", {})
    if not isinstance(own, dict) or not all(isinstance(v, list) for v in own.values()):
        raise bad("key 'components' has to be an object of lists")
    for name, places in own.items():
        for p in places:
            if not isinstance(p, int) or not 0 <= p < n:
                raise bad(f"component {name!r} has {p!r}, which is no node position 0 to {n - 1}")
            if p in seen:
                raise bad(f"node position {p} is in the components {seen[p]!r} and {name!r}")
            seen[p] = name


def _checked(what: str, head: dict, arrays: dict[str, np.ndarray]) -> MovementTable:
    """The table, or an error that names the first thing wrong."""
    _check_header(what, head)
    n, f, classes = len(head["nodes"]), len(head["features"]), head["classes"]
    x = np.asarray(arrays["x"])
    if x.ndim != 3 or x.shape[1:] != (n, f):
        raise TableError(f"{what}: array 'x' is {list(x.shape)}, the header says [rows, {n} nodes, {f} features]; {PAGE}")
    if x.dtype.kind not in "fiu":
        raise TableError(f"{what}: array 'x' is {x.dtype}; it has to hold numbers (float32)")
    count = len(x)
    if count == 0:
        raise TableError(f"{what}: no rows")
    columns = {k: np.asarray(v) for k, v in arrays.items() if k != "x"}
    for key, value in columns.items():
        if value.shape[:1] != (count,):
            raise TableError(f"{what}: array {key!r} is {list(value.shape)}, but 'x' has {count} rows; give one value per row")
    for key, nothing in OPTIONAL.items():
        columns.setdefault(key, np.full(count, nothing))
    x = x.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        r, i, j = wrong[0]
        cell = f"{head['features'][j]}{head['nodes'][i]}"
        raise TableError(
            f"{what}, row {r + 1}, column {cell}: not finite ({len(wrong)} such values); leave the row out or measure it again"
        )
    label = columns.pop("label")
    if label.dtype.kind not in "iu":
        raise TableError(f"{what}: array 'label' is {label.dtype}; it has to hold whole numbers, places in the header's classes")
    _first(what, (label < 0) | (label >= len(classes)), "label", label, f"it has to be 0 to {len(classes) - 1} ({', '.join(classes)})")
    for key in ("subject", "database", "aus"):
        v = columns[key]
        if v.dtype.kind not in "UiuS":
            raise TableError(f"{what}: array {key!r} is {v.dtype}; it has to hold text: numpy.array(values, str)")
        columns[key] = v.astype(str)
    _first(what, columns["subject"] == "", "subject", columns["subject"], "every row needs its subject, data are split by it")
    fits = np.array([bool(_AUS.fullmatch(a)) for a in columns["aus"]])
    _first(what, ~fits, "aus", columns["aus"], "write units as 4+L12+R14, '-' for none, '' for not annotated")
    for key in ("iod", "fps"):
        if columns[key].dtype.kind not in "fiu":
            raise TableError(f"{what}: array {key!r} is {columns[key].dtype}; it has to hold numbers, NaN where not known")
        columns[key] = v = columns[key].astype(np.float32)
        _first(what, ~(np.isnan(v) | ((v > 0) & np.isfinite(v))), key, v, "it has to be above 0, or NaN when not known")
    own = {k: columns.pop(k) for k in ("subject", *OPTIONAL)}
    return MovementTable(x=x, label=label.astype(np.int64), **own, header=head, extra=columns)


def _first(what: str, wrong: np.ndarray, column: str, values: np.ndarray, mend: str) -> None:
    if wrong.any():
        r = int(wrong.argmax())
        raise TableError(f"{what}, row {r + 1}, column {column}: {values[r].item()!r} ({int(wrong.sum())} such rows); {mend}")
