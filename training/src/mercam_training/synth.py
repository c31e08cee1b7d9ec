"""Synthetic movements in landmark space: invented people, real statistics of action units, head, tracker.

One sample is what mercam hands to the recogniser: the landmarks at the onset in the face frame and their movement
from onset to apex after the similarity of the rigid landmarks has been removed, both in IOD.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .actions import CLASSES, load_actions, load_combinations
from .distractors import DISTRACTORS, blink, gaze, macro, occlusion, slip, talking
from .face import COMPONENT_OF, COMPONENTS, COUNT, FIRST_NODE, NODE_MIRROR, Identities, register, to_face_frame
from .timing import TimingConfig, seen_share

#: A component's action is 1 when one of its landmarks moves this far, in IOD.
FULL_ACTION = 0.03
ACTIONS = load_actions()
COMBINATIONS = load_combinations(ACTIONS)


@dataclass(frozen=True)
class SynthConfig:
    """What is drawn. The defaults follow the design's statistics of real micro-expressions."""

    #: Share of samples that are no micro-expression; the three other classes share the rest equally.
    none_share: float = 0.3
    #: Shares of the distractors, in the order of DISTRACTORS.
    distractors: tuple[float, ...] = (0.18, 0.22, 0.22, 0.13, 0.09, 0.07, 0.05, 0.04)
    #: Spread (sigma of the logarithm) of the strength shared by all units of a movement, and of each unit.
    shared_sigma: float = 0.45
    unit_sigma: float = 0.3
    #: Strength is multiplied by a number drawn between these (1, 1: real strengths).
    amplify: tuple[float, float] = (1.0, 1.0)
    #: A micro-expression's largest movement is at least this, IOD: the spotter hands over nothing smaller.
    least: float = 0.006
    #: Frame rates that a movement may be filmed at; how much of it lies between the frames taken for onset and apex
    #: follows (timing.py). Empty: a share between apex_share and 1, whatever the rate.
    fps: tuple[float, ...] = (25.0, 30.0, 60.0, 100.0, 200.0)
    apex_share: float = 0.75
    #: Share of frames that are lost.
    lost: float = 0.02
    #: Inter-ocular distance, pixels.
    iod_px: tuple[float, float] = (50.0, 130.0)
    #: Tracker noise per landmark and coordinate, pixels RMS; one sample in ten has twice that. This and the next two are
    #: what mercam's own tracker does on drawn films (data/tracker.csv, tracker.py).
    noise_px: tuple[float, float] = (0.024, 0.09)
    #: Share of the noise's variance that the landmarks of a component have in common.
    noise_common: float = 0.22
    #: Share of a movement that the tracker reports, drawn for each component.
    tracker_gain: tuple[float, float] = (0.6, 1.0)
    #: Yaw and pitch of the head, degrees.
    pose_deg: float = 20.0
    #: Median turn of the head between onset and apex, degrees: in a micro-expression, and as a distractor.
    drift_deg: float = 0.35
    head_deg: float = 2.0
    #: Error of the landmarks' places at the onset, IOD.
    anchor_sigma: float = 0.02
    #: Keep the contour (landmarks 0-16) in the samples.
    contour: bool = False

    def dump(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Samples:
    """Movements and what is known about them."""

    x: np.ndarray  #: [n, 51, 4] float32: x0, y0, dx, dy ([n, 68, 4] with the contour)
    y: np.ndarray  #: [n] class index
    length: np.ndarray  #: [n, 68] float32: how far each landmark truly moved, IOD
    amplitude: np.ndarray  #: [n] largest true landmark movement, IOD
    subject: np.ndarray  #: [n] number of the person
    kind: np.ndarray  #: [n] combination number, or -1 - distractor number

    def __len__(self) -> int:
        return len(self.y)

    @property
    def action(self) -> np.ndarray:
        """True movement of each component [n, 6], 1 = FULL_ACTION."""
        part = np.stack([self.length[:, s:e].max(1) for _, s, e in COMPONENTS], 1)
        return np.minimum(part / FULL_ACTION, 2).astype(np.float32)


def mirrored(x: np.ndarray) -> np.ndarray:
    """The same movements in a mirrored face: x changes sign and left landmarks trade places with right ones."""
    return (x[:, NODE_MIRROR] * np.array([-1, 1, -1, 1], x.dtype)).astype(x.dtype)


def take(s: Samples, rows: np.ndarray) -> Samples:
    """The rows given."""
    return Samples(*(v[rows] for v in vars(s).values()))


def generate(
    count: int, people: Identities, rng: np.random.Generator, cfg: SynthConfig | None = None, turn: np.ndarray | None = None
) -> Samples:
    """`count` samples of the people given. `turn` [units] turns the action units' directions by so many radians, all
    samples alike."""
    cfg = cfg or SynthConfig()
    share = [(1 - cfg.none_share) / 3] * 3 + [cfg.none_share]
    y = rng.choice(len(CLASSES), count, p=share)
    subject = rng.integers(0, len(people.shapes), count)
    shape = people.shapes[subject].copy()
    kind = np.full(count, -1)
    strength = np.zeros((count, len(ACTIONS.numbers), 2))
    for c in range(3):
        _expressions(np.flatnonzero(y == c), c, kind, strength, rng, cfg)
    none = np.flatnonzero(y == CLASSES.index("none"))
    distractor = rng.choice(len(DISTRACTORS), len(none), p=np.array(cfg.distractors) / sum(cfg.distractors))
    kind[none] = -1 - distractor
    group = {name: none[distractor == i] for i, name in enumerate(DISTRACTORS)}

    talking(group["talking"], strength, rng, ACTIONS)
    macro(group["macro"], strength, rng, ACTIONS, COMBINATIONS)
    move = _unit_movement(strength, people.gains[subject], rng, turn)
    weak = np.flatnonzero(y != CLASSES.index("none"))
    peak = np.maximum(np.hypot(move[weak, :, 0], move[weak, :, 1]).max(1), 1e-9)
    move[weak] *= np.maximum(1, cfg.least * rng.uniform(1, 1.6, len(weak)) / peak)[:, None, None]
    # A micro-expression overlaps a blink now and then (1.9 % of them); the distractor is a whole blink.
    overlap = np.flatnonzero((y != CLASSES.index("none")) & (rng.random(count) < 0.019))
    slipped = np.zeros((count, COUNT, 2))
    blink(group["blink"], shape, move, slipped, rng, 1.0)
    blink(overlap, shape, move, slipped, rng, 0.5)
    gaze(group["gaze"], move, rng)
    gain = rng.uniform(*cfg.tracker_gain, (count, len(COMPONENTS) + 1))[:, COMPONENT_OF]
    move *= gain[..., None]
    slip(group["slip"], slipped, rng)
    occlusion(group["occlusion"], shape, slipped, rng)

    drift = np.full(count, cfg.drift_deg)
    drift[group["head"]] = cfg.head_deg
    onset, apex = _project(shape, move, drift, rng, cfg)
    # The anchor's error is the same at both ends; the tracker's noise is in the movement.
    anchor = _component_noise(count, rng, cfg.noise_common) * cfg.anchor_sigma
    sigma = rng.uniform(*cfg.noise_px, count) / rng.uniform(*cfg.iod_px, count)
    sigma *= np.where(rng.random(count) < 0.1, 2, 1) * np.sqrt(2)
    sigma[group["noise"]] *= rng.uniform(1, 4, len(group["noise"]))  # what a spotter's false alarm looks like
    noise = _component_noise(count, rng, cfg.noise_common) * sigma[:, None, None]
    start = to_face_frame(onset + anchor)
    shift = register(apex + anchor + noise + slipped, start) - start
    x = np.concatenate([start, shift], -1)[:, 0 if cfg.contour else FIRST_NODE :].astype(np.float32)

    length = np.hypot(move[..., 0], move[..., 1]).astype(np.float32)
    return Samples(x, y, length, length[:, FIRST_NODE:].max(1), subject, kind)


def _strengths(rows: int, rng: np.random.Generator, cfg: SynthConfig) -> np.ndarray:
    """Strength of each unit at the frame taken for the apex, as a share of full strength, [rows, units]."""
    units = len(ACTIONS.numbers)
    shared = rng.normal(0, cfg.shared_sigma, (rows, 1)) + np.log(rng.uniform(*cfg.amplify, (rows, 1)))
    seen = seen_share(rows, units, rng, TimingConfig(cfg.fps, cfg.lost)) if cfg.fps else rng.uniform(cfg.apex_share, 1, (rows, units))
    return ACTIONS.apex * np.exp(shared + rng.normal(0, cfg.unit_sigma, (rows, units))) * seen


def _expressions(rows: np.ndarray, cls: int, kind: np.ndarray, strength: np.ndarray, rng: np.random.Generator, cfg: SynthConfig) -> None:
    """Draws a combination for each row of a class, on one side or both."""
    numbers = [i for i, c in enumerate(COMBINATIONS) if c.cls == cls]
    pick = rng.choice(numbers, len(rows), p=[COMBINATIONS[i].share for i in numbers])
    kind[rows] = pick
    active = np.zeros((len(rows), len(ACTIONS.numbers)))
    for i in numbers:
        for unit in COMBINATIONS[i].units:
            active[pick == i, ACTIONS.index(unit)] = 1
    active *= _strengths(len(rows), rng, cfg)
    side = rng.random(active.shape)
    left = side < ACTIONS.one_sided[:, 0]
    right = ~left & (side < ACTIONS.one_sided.sum(1))
    uneven = np.exp(rng.normal(0, 0.12, active.shape))
    strength[rows, :, 0] = np.where(right, 0, active * uneven)
    strength[rows, :, 1] = np.where(left, 0, active / uneven)


def _unit_movement(strength: np.ndarray, gains: np.ndarray, rng: np.random.Generator, turn: np.ndarray | None = None) -> np.ndarray:
    """Movement [n, 68, 2] of the units' strengths [n, units, 2], in each person's own directions."""
    count = len(strength)
    angle = rng.normal(0, 1, strength.shape[:2]) * ACTIONS.turn + (0 if turn is None else turn)
    c, s = np.cos(angle), np.sin(angle)
    # The same turn on both sides, mirrored: the right half turns the other way.
    ac, a_s = strength * c[..., None], strength * s[..., None] * np.array([1, -1])
    straight = np.einsum("nks,kspd->npd", ac, ACTIONS.table)
    turned = np.einsum("nks,kspd->npd", a_s, np.stack([-ACTIONS.table[..., 1], ACTIONS.table[..., 0]], -1))
    reach = np.concatenate([gains, np.ones((count, 1))], 1)[:, COMPONENT_OF]
    return (straight + turned) * (reach * np.exp(rng.normal(0, 0.1, reach.shape)))[..., None]


def _component_noise(count: int, rng: np.random.Generator, common: float) -> np.ndarray:
    """Noise of unit variance [n, 68, 2], partly common to the landmarks of a component."""
    shared = rng.normal(size=(count, len(COMPONENTS) + 1, 2))[:, COMPONENT_OF]
    return np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal(size=(count, COUNT, 2))


def _rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows):
        return np.stack([np.stack(r, -1) for r in rows], -2)

    ry = matrix((np.cos(yaw), zero, np.sin(yaw)), (zero, one, zero), (-np.sin(yaw), zero, np.cos(yaw)))
    rx = matrix((one, zero, zero), (zero, np.cos(pitch), -np.sin(pitch)), (zero, np.sin(pitch), np.cos(pitch)))
    rz = matrix((np.cos(roll), -np.sin(roll), zero), (np.sin(roll), np.cos(roll), zero), (zero, zero, one))
    return rz @ rx @ ry


def _project(
    shape: np.ndarray, move: np.ndarray, drift_deg: np.ndarray, rng: np.random.Generator, cfg: SynthConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Onset and apex in the picture, [n, 68, 2] in units of about an IOD: pose, its drift, and perspective."""
    count = len(shape)
    pose = np.deg2rad(np.clip(rng.normal(0, cfg.pose_deg / 2, (3, count)), -cfg.pose_deg, cfg.pose_deg))
    turn = np.deg2rad(rng.normal(0, 1.2, (3, count)) * drift_deg * np.exp(rng.normal(0, 0.5, count)))
    distance = rng.uniform(6, 15, count)[:, None]
    moved = shape.copy()
    moved[..., :2] += move
    views = []
    for points, angles in ((shape, pose), (moved, pose + turn)):
        p = np.einsum("nij,npj->npi", _rotation(*angles), points)
        views.append(p[..., :2] / (1 - p[..., 2] / distance)[..., None])
    return views[0], views[1]
