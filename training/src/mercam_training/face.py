"""The 68 landmarks (iBUG order, numbered from 0), their components, and a face that belongs to nobody.

Coordinates: the face frame of mercam. Origin midway between the eye centres, x to the right in the picture,
y down, unit inter-ocular distance (IOD); z, used only to turn the head, towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COUNT = 68
#: Components in landmark order: name, first landmark, one past the last. The same as `Component::ALL` in src/landmarks.rs.
COMPONENTS: tuple[tuple[str, int, int], ...] = (
    ("right_brow", 17, 22),
    ("left_brow", 22, 27),
    ("nose", 27, 36),
    ("right_eye", 36, 42),
    ("left_eye", 42, 48),
    ("mouth", 48, 68),
)
#: The first landmark the network sees: the contour (0-16) moves with the skull and the jaw only.
FIRST_NODE = 17
NODES = COUNT - FIRST_NODE
#: Points that move with the skull only; the same as `RIGID` in src/landmarks.rs.
RIGID = np.array([27, 28, 29, 30, 32, 33, 34, 36, 39, 42, 45])


def _mirror() -> np.ndarray:
    m = np.arange(COUNT)
    for first, last in ((0, 16), (17, 26), (31, 35)):
        m[first : last + 1] = np.arange(last, first - 1, -1)
    pairs = [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52)]
    pairs += [(59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]
    for a, b in pairs:
        m[a], m[b] = b, a
    return m


#: Where each landmark goes when the face is mirrored left to right.
MIRROR = _mirror()
#: The same among the network's nodes.
NODE_MIRROR = MIRROR[FIRST_NODE:] - FIRST_NODE
#: Component of each landmark, -1 for the contour.
COMPONENT_OF = np.full(COUNT, -1)
for _i, (_, _s, _e) in enumerate(COMPONENTS):
    COMPONENT_OF[_s:_e] = _i

# Half of a mean face and its depth, drawn by hand from textbook proportions: (x, y, z).
_HALF: dict[int, tuple[float, float, float]] = {
    0: (-1.12, -0.05, -1.00), 1: (-1.10, 0.30, -0.95), 2: (-1.05, 0.62, -0.85), 3: (-0.97, 0.94, -0.70),
    4: (-0.83, 1.24, -0.45), 5: (-0.63, 1.50, -0.20), 6: (-0.38, 1.70, 0.05), 7: (-0.18, 1.81, 0.18),
    8: (0.00, 1.84, 0.22),
    17: (-0.86, -0.22, -0.22), 18: (-0.73, -0.35, -0.06), 19: (-0.56, -0.39, 0.05), 20: (-0.38, -0.36, 0.12),
    21: (-0.21, -0.29, 0.15),
    27: (0.00, -0.03, 0.13), 28: (0.00, 0.17, 0.27), 29: (0.00, 0.37, 0.41), 30: (0.00, 0.57, 0.54),
    31: (-0.20, 0.70, 0.22), 32: (-0.10, 0.74, 0.32), 33: (0.00, 0.77, 0.37),
    36: (-0.70, 0.01, -0.12), 37: (-0.58, -0.06, 0.00), 38: (-0.43, -0.06, 0.02), 39: (-0.31, 0.02, -0.01),
    40: (-0.43, 0.06, 0.00), 41: (-0.57, 0.06, -0.03),
    48: (-0.40, 1.15, 0.12), 49: (-0.26, 1.06, 0.25), 50: (-0.10, 1.01, 0.33), 51: (0.00, 1.03, 0.35),
    59: (-0.26, 1.25, 0.23), 58: (-0.12, 1.31, 0.29), 57: (0.00, 1.33, 0.31),
    60: (-0.33, 1.15, 0.16), 61: (-0.11, 1.11, 0.29), 62: (0.00, 1.12, 0.31), 67: (-0.11, 1.18, 0.28), 66: (0.00, 1.19, 0.30),
}  # fmt: skip


def mean_face() -> np.ndarray:
    """The mean face, [68, 3], with the eye centres exactly at (-0.5, 0) and (0.5, 0)."""
    p = np.zeros((COUNT, 3))
    for i, xyz in _HALF.items():
        p[i] = xyz
        p[MIRROR[i]] = (-xyz[0], xyz[1], xyz[2])
    return to_face_frame(p)


def eye_centres(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the eye on the left and on the right of the picture, of points [..., 68, 2 or 3]."""
    return p[..., 36:42, :2].mean(-2), p[..., 42:48, :2].mean(-2)


def to_face_frame(p: np.ndarray) -> np.ndarray:
    """Points carried into the face frame by the similarity that the eye centres define; depth is scaled with it."""
    a, b = eye_centres(p)
    s, d = np.stack([(b - a)[..., 0], (b - a)[..., 1]], -1), b - a
    size = (d**2).sum(-1, keepdims=True)
    c, n = s[..., :1] / size, -s[..., 1:] / size
    q = p[..., :2] - ((a + b) / 2)[..., None, :]
    c, n = c[..., None, :], n[..., None, :]
    out = np.concatenate([q[..., :1] * c - q[..., 1:] * n, q[..., :1] * n + q[..., 1:] * c], -1)
    if p.shape[-1] == 3:
        out = np.concatenate([out, p[..., 2:] / np.sqrt(size)[..., None, :]], -1)
    return out


def register(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """`p` [n, 68, 2] carried onto `q` by the least-squares similarity of the rigid points (as src/movement does)."""
    a, b = p[:, RIGID], q[:, RIGID]
    ma, mb = a.mean(1, keepdims=True), b.mean(1, keepdims=True)
    a, b = a - ma, b - mb
    spread = (a**2).sum((1, 2))
    c = ((a * b).sum((1, 2)) / spread)[:, None]
    s = ((a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(1) / spread)[:, None]
    x, y = (p - ma)[..., 0], (p - ma)[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], -1) + mb


@dataclass(frozen=True)
class Identities:
    """Invented people: neutral shapes [m, 68, 3] in the face frame, and how each one's skin follows a muscle [m, 6]."""

    shapes: np.ndarray
    gains: np.ndarray


def _modes() -> np.ndarray:
    """Plausible directions of variation [modes, 68, 3], one standard deviation each, drawn by hand."""
    mean, modes = mean_face(), []
    brows, eyes, nose, mouth = slice(17, 27), slice(36, 48), slice(27, 36), slice(48, 68)

    def mode(part: slice, f) -> None:
        d = np.zeros((COUNT, 3))
        p = mean[part]
        d[part] = f(p[:, 0], p[:, 1], p[:, 2])
        modes.append(d)

    def xyz(x, y, z):
        return np.stack(np.broadcast_arrays(x, y, z), -1).astype(float)

    middle = mean[mouth, 1].mean()
    mode(brows, lambda x, y, z: xyz(0 * x, 0.045 + 0 * y, 0 * z))  # height
    mode(brows, lambda x, y, z: xyz(0 * x, 0.06 * (np.abs(x) - 0.55), 0 * z))  # slant
    mode(brows, lambda x, y, z: xyz(0.05 * x, 0 * y, 0 * z))  # width
    mode(brows, lambda x, y, z: xyz(0 * x, 0.25 * (y - mean[brows, 1].mean()), 0 * z))  # arch
    mode(eyes, lambda x, y, z: xyz(0 * x, 0.25 * y, 0 * z))  # opening
    mode(eyes, lambda x, y, z: xyz(0.12 * (x - 0.5 * np.sign(x)), 0 * y, 0 * z))  # eye width
    mode(eyes, lambda x, y, z: xyz(0 * x, 0.12 * (np.abs(x) - 0.5), 0 * z))  # eye slant
    mode(nose, lambda x, y, z: xyz(0 * x, 0.08 * y, 0 * z))  # length
    mode(nose, lambda x, y, z: xyz(0.12 * x, 0 * y, 0.12 * z))  # width and height
    mode(mouth, lambda x, y, z: xyz(0 * x, 0.06 + 0 * y, 0 * z))  # place
    mode(mouth, lambda x, y, z: xyz(0.12 * x, 0 * y, 0 * z))  # width
    mode(mouth, lambda x, y, z: xyz(0 * x, 0.2 * (y - middle), 0 * z))  # lips
    mode(mouth, lambda x, y, z: xyz(0 * x, 0.08 * (np.abs(x) - 0.2), 0 * z))  # corners
    mode(slice(0, 68), lambda x, y, z: xyz(0 * x, 0.05 * y, 0 * z))  # face length
    mode(slice(0, 68), lambda x, y, z: xyz(0 * x, 0 * y, 0.12 * z))  # relief
    return np.stack(modes)


def identities(count: int, rng: np.random.Generator) -> Identities:
    """`count` different people."""
    modes = _modes()
    shapes = mean_face() + np.einsum("mk,kpc->mpc", rng.normal(size=(count, len(modes))), modes)
    own = rng.normal(0, 0.012, (count, COUNT, 3))
    flipped = own[:, MIRROR] * [-1, 1, 1]
    shapes = shapes + (own + flipped) / np.sqrt(2) + rng.normal(0, 0.006, own.shape)  # faces are nearly symmetric
    return Identities(to_face_frame(shapes), np.exp(rng.normal(0, 0.12, (count, len(COMPONENTS)))))
