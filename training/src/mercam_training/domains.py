"""Domain randomisation: training movements come from many invented databases, no two alike.

Annotation sheets and papers leave open in which direction a unit really moves a landmark, how strongly, how noisy a
tracker is on other cameras, how people hold their heads. Within one database such things are the same for every sample,
so a network can lean on them and be wrong about the next database. Here each part of an epoch is a database of its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from .face import Identities, mean_face
from .synth import ACTIONS, Samples, SynthConfig, generate


@dataclass(frozen=True)
class DomainConfig:
    """How databases differ. Pairs are ranges; a factor multiplies what [synth] says."""

    #: Databases in each epoch, as in count = 24; 0: all samples are drawn as [synth] says.
    count: int = 0
    #: Sigma of a unit's direction in a database, in shares of the uncertainty of its tabled direction.
    turn: float = 1.0
    #: Factors on tracker noise, head drift, and strength.
    noise: tuple[float, float] = (0.7, 3.0)
    drift: tuple[float, float] = (0.7, 2.5)
    strength: tuple[float, float] = (0.6, 1.4)
    #: Least gain of the tracker; most is 1.
    gain: tuple[float, float] = (0.5, 0.9)
    #: Share of the noise that a component's landmarks have in common.
    common: tuple[float, float] = (0.1, 0.8)
    pose_deg: tuple[float, float] = (10.0, 30.0)
    #: Factor on how far faces are from the mean face, and exponent on how people's muscles differ.
    faces: tuple[float, float] = (0.8, 1.6)
    reach: tuple[float, float] = (0.7, 2.0)

    def dump(self) -> dict:
        return asdict(self)


def database(cfg: SynthConfig, dom: DomainConfig, rng: np.random.Generator) -> SynthConfig:
    """The settings of one invented database."""

    def between(pair: tuple[float, float]) -> float:
        return float(np.exp(rng.uniform(*np.log(pair))))

    noise, strength = between(dom.noise), between(dom.strength)
    return replace(
        cfg,
        noise_px=tuple(noise * v for v in cfg.noise_px),
        amplify=tuple(strength * v for v in cfg.amplify),
        drift_deg=cfg.drift_deg * between(dom.drift),
        noise_common=float(rng.uniform(*dom.common)),
        tracker_gain=(float(rng.uniform(*dom.gain)), 1.0),
        pose_deg=float(rng.uniform(*dom.pose_deg)),
    )


def generate_domains(count: int, people: Identities, rng: np.random.Generator, cfg: SynthConfig, dom: DomainConfig) -> Samples:
    """`count` samples of `dom.count` databases, in the order of the databases."""
    if dom.count <= 0:
        return generate(count, people, rng, cfg)
    parts = []
    for k in range(dom.count):
        own = database(cfg, dom, rng)
        crowd = Identities(mean_face() + (people.shapes - mean_face()) * rng.uniform(*dom.faces), people.gains ** rng.uniform(*dom.reach))
        turn = rng.normal(0, dom.turn, len(ACTIONS.turn)) * ACTIONS.turn
        parts.append(generate((k + 1) * count // dom.count - k * count // dom.count, crowd, rng, own, turn))
    return Samples(*(np.concatenate(v) for v in zip(*(vars(p).values() for p in parts), strict=True)))
