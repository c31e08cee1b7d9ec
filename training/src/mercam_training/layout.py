"""What the nodes of a sample are: node sets, channels, facial components, the anatomical graph, the mirror.

A sample is [nodes, channels]. Nodes are iBUG landmarks (numbered from 0), in any order as long as the nodes of one
component stand together: then dividing by component is slicing.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from .face import COUNT, MIRROR

#: Node sets by size. 51 drops the contour, which moves with skull and jaw; 39 also drops the eyes: a blink lasts as
#: long as a micro-expression.
NODE_SETS: dict[int, tuple[int, ...]] = {
    68: tuple(range(68)),
    51: tuple(range(17, 68)),
    39: tuple([*range(17, 36), *range(48, 68)]),
}
#: What mercam measures: place at the onset, movement from there to the apex; face frame, IOD.
CHANNELS = ("x", "y", "dx", "dy")

#: Splits into facial key components: name and landmarks. 6 is the finest and what mercam ships, because one-sided
#: movement then has a component of its own; 4 is the usual table of action units; 3 leaves the eyes out, blink-safe.
SPLITS: dict[int, dict[str, range]] = {
    6: {"right_brow": range(17, 22), "left_brow": range(22, 27), "nose": range(27, 36), "right_eye": range(36, 42),
        "left_eye": range(42, 48), "mouth": range(48, 68)},
    4: {"brows": range(17, 27), "nose": range(27, 36), "eyes": range(36, 48), "mouth": range(48, 68)},
    3: {"brows": range(17, 27), "nose": range(27, 36), "mouth": range(48, 68)},
}  # fmt: skip
#: The landmark every chain ends at: the top of the nose bridge.
ROOT = 27


def _parents() -> dict[int, int]:
    """The landmark each landmark hangs from: chains along brows, eyes, lips and contour, all rooted at the nose bridge."""
    up = {17: 18, 18: 19, 19: 20, 20: 21, 21: 27, 26: 25, 25: 24, 24: 23, 23: 22, 22: 27, 27: 27}
    up |= {28: 27, 29: 28, 30: 29, 33: 30, 32: 33, 31: 32, 34: 33, 35: 34}
    up |= {39: 27, 38: 39, 37: 38, 40: 39, 41: 40, 36: 41, 42: 27, 43: 42, 44: 43, 47: 42, 46: 47, 45: 46}
    up |= {51: 33, 50: 51, 49: 50, 48: 49, 52: 51, 53: 52, 54: 53, 57: 66, 58: 57, 59: 58, 56: 57, 55: 56}
    up |= {62: 51, 61: 62, 60: 61, 63: 62, 64: 63, 66: 62, 67: 66, 65: 66}
    up |= {8: 57} | {n: n + 1 for n in range(8)} | {n: n - 1 for n in range(9, 17)}
    return up


PARENT = _parents()
#: Edges that close the outlines the chains leave open.
_CLOSING = ((36, 37), (45, 44), (48, 59), (54, 55), (60, 67), (64, 65), (48, 60), (54, 64))


@dataclass(frozen=True)
class Layout:
    """Nodes, channels and components of a sample [N, C]. The first four fields describe iBUG landmarks with mercam's
    features; a table with nodes or features of its own sets the others too."""

    #: Landmark numbers, in the order of the nodes.
    landmarks: tuple[int, ...] = NODE_SETS[51]
    channels: tuple[str, ...] = CHANNELS
    split: int = 6
    #: How many leading channels say where a node is; the others are movement.
    places: int = 2
    #: Facial components of nodes that are not iBUG landmarks: name, first node, one past the last. None: by `split`.
    parts: tuple[tuple[str, int, int], ...] | None = None
    #: Node each node goes to in a mirrored face; None: as iBUG landmarks do.
    twins: tuple[int, ...] | None = None
    #: -1 for channels that turn their sign in the mirror, else 1; None: x and dx turn.
    turns: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for key in ("landmarks", "channels", "twins", "turns"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, tuple(getattr(self, key)))
        if self.parts is not None:
            object.__setattr__(self, "parts", tuple((str(n), int(s), int(e)) for n, s, e in self.parts))
        wrong = [n for n in self.landmarks if self.parts is None and not 0 <= n < COUNT]
        if wrong or len(set(self.landmarks)) != len(self.landmarks) or not self.landmarks:
            raise ValueError(f"nodes must be different landmarks 0 to {COUNT - 1}, got {list(self.landmarks)}")
        if self.split not in SPLITS:
            raise ValueError(f"components is {self.split!r}; it can be {', '.join(map(str, SPLITS))}")
        if not 0 <= self.places < len(self.channels):
            raise ValueError("there is no channel of movement")
        for name, (s, e) in self.components:
            if self.parts is None and e - s != sum(n in SPLITS[self.split][name] for n in self.landmarks):
                raise ValueError(f"the nodes of {name} do not stand together")
        if not self.components:
            raise ValueError("no node belongs to a component")

    def dump(self) -> dict:
        return asdict(self)

    @property
    def nodes(self) -> int:
        return len(self.landmarks)

    @cached_property
    def position(self) -> dict[int, int]:
        """Node position of each landmark."""
        return {n: i for i, n in enumerate(self.landmarks)}

    @cached_property
    def components(self) -> tuple[tuple[str, tuple[int, int]], ...]:
        """Name and node span (first, one past the last) of each component that has nodes. Nodes of no component (the
        contour; the eyes in the split of 3) take part in the graph only."""
        if self.parts is not None:
            return tuple((n, (s, e)) for n, s, e in self.parts if e > s)
        found = []
        for name, landmarks in SPLITS[self.split].items():
            at = [self.position[n] for n in landmarks if n in self.position]
            if at:
                found.append((name, (min(at), max(at) + 1)))
        return tuple(found)

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [span for _, span in self.components]

    @cached_property
    def parents(self) -> list[int]:
        """Position of the nearest ancestor that is a node; a node without one is its own parent. Nodes that are not
        iBUG landmarks form a chain per component, all hung from the first node."""
        if self.parts is not None:
            starts = {s for s, _ in self.spans}
            inside = {n for s, e in self.spans for n in range(s, e)}
            return [0 if n in starts else n - 1 if n in inside else n for n in range(self.nodes)]
        up = []
        for n in self.landmarks:
            p = PARENT[n]
            while p not in self.position and p != ROOT:
                p = PARENT[p]
            up.append(self.position.get(p, self.position[n]))
        return up

    @cached_property
    def mirror(self) -> np.ndarray:
        """Position each node goes to when the face is mirrored. A node whose twin is missing cannot be mirrored."""
        if self.twins is not None:
            return np.array(self.twins)
        try:
            return np.array([self.position[int(MIRROR[n])] for n in self.landmarks])
        except KeyError as e:
            raise ValueError(f"the mirror landmark {e} is not among the nodes: set [augment] mirror to 0") from None

    @property
    def mirrors(self) -> bool:
        """Each node has a twin, so that a face can be mirrored."""
        return self.twins is not None or (self.parts is None and all(int(MIRROR[n]) in self.position for n in self.landmarks))

    @cached_property
    def signs(self) -> np.ndarray:
        """-1 for channels that turn their sign in the mirror, else 1."""
        return np.array(self.turns or [-1 if c in ("x", "dx") else 1 for c in self.channels], np.float32)

    def bones(self) -> np.ndarray:
        """Constant matrix [N, N]: node values to node minus parent (a root's bone is zero)."""
        d = np.eye(self.nodes, dtype=np.float32)
        for n, p in enumerate(self.parents):
            d[n, p] -= 1
        return d

    def graph(self) -> np.ndarray:
        """Row-normalised anatomical adjacency [N, N]: chains, closed outlines, mirror pairs, self loops."""
        a = np.eye(self.nodes, dtype=np.float32)
        edges = list(enumerate(self.parents))
        if self.mirrors:
            edges += list(enumerate(self.mirror))
        if self.parts is None:
            edges += [(self.position[i], self.position[j]) for i, j in _CLOSING if i in self.position and j in self.position]
        for i, j in edges:
            a[i, j] = a[j, i] = 1
        return a / a.sum(1, keepdims=True)

    def mirrored(self, x: np.ndarray) -> np.ndarray:
        """Samples [n, N, C] of the mirrored faces: x components turn, left nodes trade places with right ones."""
        return (x[:, self.mirror] * self.signs.astype(x.dtype)).astype(x.dtype)

    def mirrored_components(self) -> list[int]:
        """Component each component trades places with in the mirror."""
        names = [name for name, _ in self.components]
        other = {"right_": "left_", "left_": "right_"}

        def twin(name: str) -> str:
            return next((name.replace(a, b, 1) for a, b in other.items() if name.startswith(a)), name)

        return [names.index(twin(n)) if twin(n) in names else i for i, n in enumerate(names)]


def chains(landmarks: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs of landmarks to draw a face with."""
    outlines = [range(0, 17), range(17, 22), range(22, 27), range(27, 31), range(31, 36)]
    closed = [range(36, 42), range(42, 48), range(48, 60), range(60, 68)]
    lines = [p for o in outlines for p in itertools.pairwise(o)]
    lines += [p for o in closed for p in [*itertools.pairwise(o), (o[-1], o[0])]]
    return [(a, b) for a, b in lines if a in landmarks and b in landmarks]
