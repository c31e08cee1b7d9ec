"""Small, fixed settings: the whole suite runs in about two minutes on one core."""

import numpy as np
import pytest
import torch
from tables import small_table

from mercam_training.crossval import EvaluateConfig
from mercam_training.face import identities
from mercam_training.finetune import FinetuneConfig
from mercam_training.fit import FitConfig
from mercam_training.model import DeReGrl
from mercam_training.moves import Moves
from mercam_training.synth import generate
from mercam_training.train import DataConfig, Recipe, train

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def people():
    return identities(60, np.random.default_rng(0))


@pytest.fixture(scope="session")
def samples(people):
    return generate(1500, people, np.random.default_rng(1))


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """A recipe that trains in seconds."""
    return Recipe(data=DataConfig(samples=1500, people=(200, 60, 60)), fit=FitConfig(epochs=2))


@pytest.fixture(scope="session")
def net(tiny) -> DeReGrl:
    return train(tiny, log=None)[0]


@pytest.fixture(scope="session")
def table() -> Moves:
    return small_table()


@pytest.fixture
def quick() -> EvaluateConfig:
    """An evaluation without pre-training that takes seconds."""
    few = FinetuneConfig(pretrained="none", tune="all", epochs=2, copies=2, pretrain_epochs=1, pretrain_samples=600)
    return EvaluateConfig(seeds=(1,), ablations=False, finetune=few)
