"""A test bed of synthetic movements that training never sees the like of: a stand-in for real tables, no proof.

As MEGC2019 in numbers (442 movements, 68 subjects, three databases, the same class counts), drawn otherwise than the
training data: other people with another spread of shapes, action units that turn away from their tabled direction by a
fixed angle per database within the stated uncertainty, other strengths, other tracker noise, gain and pose.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import synth
from .face import identities, mean_face
from .moves import Moves, from_samples, join
from .synth import SynthConfig, generate

#: Name, subjects, movements per class (negative, positive, surprise) of MEGC2019; and what differs from training.
DATABASES = (
    ("shifted-A", 16, (70, 51, 43), {"noise_px": (0.08, 0.25), "iod_px": (60, 100), "tracker_gain": (0.55, 0.95), "noise_common": 0.7}),
    ("shifted-B", 24, (88, 32, 25), {"noise_px": (0.05, 0.2), "iod_px": (110, 150), "shared_sigma": 0.6, "noise_common": 0.2}),
    ("shifted-C", 28, (92, 26, 15), {"noise_px": (0.1, 0.3), "iod_px": (130, 180), "amplify": (0.5, 0.9), "drift_deg": 0.7, "pose_deg": 30}),
)
#: What the databases have in common. Written out, so that the bed stays what it is when the training data change.
BASE = SynthConfig(
    none_share=0.0, shared_sigma=0.45, unit_sigma=0.3, amplify=(1.0, 1.0), least=0.006, fps=(), apex_share=0.75, iod_px=(50.0, 130.0),
    noise_px=(0.02, 0.1), noise_common=0.4, tracker_gain=(0.75, 1.0), pose_deg=20.0, drift_deg=0.35, anchor_sigma=0.015,
)  # fmt: skip


def shifted(seed: int = 7001) -> Moves:
    """The 442 movements."""
    parts = []
    for d, (name, subjects, counts, other) in enumerate(DATABASES):
        rng = np.random.default_rng([seed, d])
        crowd = identities(subjects, rng)
        # Faces further from the mean than training's, in other proportions.
        apart = rng.uniform(1.1, 1.6, (subjects, 1, 3))
        crowd = replace(crowd, shapes=mean_face() + (crowd.shapes - mean_face()) * apart, gains=crowd.gains ** rng.uniform(1, 2.5))
        # One and a half sigma of what the table's directions are uncertain by, the same for the whole database.
        turn = rng.choice([-1, 1], len(synth.ACTIONS.turn)) * rng.uniform(0.5, 1.5, len(synth.ACTIONS.turn)) * synth.ACTIONS.turn
        cfg = replace(BASE, **other)
        drawn = generate(40 * sum(counts), crowd, rng, cfg, turn=turn)
        keep = np.concatenate([np.flatnonzero(drawn.y == c)[:n] for c, n in enumerate(counts)])
        rows = from_samples(synth.take(drawn, np.sort(keep)), name, ("negative", "positive", "surprise"))
        parts.append(rows)
    return join(parts)
