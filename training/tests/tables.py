"""Small tables for tests."""

from dataclasses import replace

import numpy as np

from mercam_training.face import identities
from mercam_training.moves import Moves, from_samples, join
from mercam_training.synth import SynthConfig, generate


def small_table(subjects: int = 4, rows: int = 12, seed: int = 3, databases: tuple[str, ...] = ("SMIC", "CASME II", "SAMM")) -> Moves:
    """A table of three databases with few subjects."""
    parts = []
    for k, d in enumerate(databases):
        crowd = identities(subjects, np.random.default_rng([seed, k]))
        s = generate(rows, crowd, np.random.default_rng([seed, k, 1]), SynthConfig(none_share=0.0))
        s = replace(s, subject=np.arange(rows) % subjects)
        parts.append(from_samples(s, d, ("negative", "positive", "surprise")))
    return join(parts)
