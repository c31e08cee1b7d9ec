"""Small, fixed settings: the whole suite runs in about a minute on one core."""

import numpy as np
import pytest
import torch

from mercam_training.face import identities
from mercam_training.model import DeReGrl, ModelConfig
from mercam_training.synth import SynthConfig, generate
from mercam_training.train import TrainConfig, train

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def people():
    return identities(60, np.random.default_rng(0))


@pytest.fixture(scope="session")
def samples(people):
    return generate(3000, people, np.random.default_rng(1))


@pytest.fixture(scope="session")
def tiny():
    """A configuration that trains in seconds."""
    return TrainConfig(epochs=2, samples=2000, people=(200, 60, 60))


@pytest.fixture(scope="session")
def net(tiny) -> DeReGrl:
    return train(tiny, ModelConfig(), SynthConfig(), log=lambda _: None)
