"""Tuning of the last layer alone."""

from dataclasses import replace

import numpy as np
import torch

from mercam_training import finetune
from mercam_training.finetune import FinetuneConfig
from mercam_training.lastlayer import HOLDS, class_weights, solve


def toy(n: int = 300):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    x = torch.from_numpy((np.eye(3)[y] @ rng.normal(size=(3, 5)) + rng.normal(0, 0.3, (n, 5))).astype(np.float32))
    return x, y


def test_a_strong_hold_keeps_the_weights_and_a_weak_one_learns():
    x, y = toy()
    start = torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), torch.zeros(3)
    weights = class_weights(y, 3)
    held, _, worse = solve(x, torch.from_numpy(y), weights, start, 1e4)
    free, bias, better = solve(x, torch.from_numpy(y), weights, start, 1e-4)
    assert torch.allclose(held, start[0], atol=1e-3) and better < worse
    assert ((x @ free.t() + bias).argmax(1).numpy() == y).mean() > 0.9


def test_only_the_last_layer_and_the_temperature_change(tmp_path, table, tiny):
    cfg = FinetuneConfig(pretrain_epochs=1, pretrain_samples=200, copies=2)
    recipe = finetune.recipe_for(table, replace(tiny, data=replace(tiny.data, people=(20, 10, 10))), False, cfg)
    path = finetune.pretrain(recipe, tmp_path)
    before, _ = finetune.start(recipe.model, path, 1)
    net, history = finetune.learn(recipe.model, table, cfg, path, 1, recipe.fit)
    own = before.state_dict()
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, own[k])}
    assert changed <= {"head.weight", "head.bias", "temperature"} and "head.weight" in changed
    assert history.hold in HOLDS and len(history.loss) == 1
    again, _ = finetune.learn(recipe.model, table, cfg, path, 1, recipe.fit)
    assert torch.equal(net.head.weight, again.head.weight), "the same every time"


def test_keeping_all_of_the_pretrained_weights_changes_nothing(tmp_path, table, tiny):
    cfg = FinetuneConfig(pretrain_epochs=1, pretrain_samples=200, copies=2, epochs=2, tune="head", keep=1.0)
    recipe = finetune.recipe_for(table, replace(tiny, data=replace(tiny.data, people=(20, 10, 10))), False, cfg)
    path = finetune.pretrain(recipe, tmp_path)
    before, _ = finetune.start(recipe.model, path, 1)
    net, _ = finetune.learn(recipe.model, table, cfg, path, 1, recipe.fit)
    assert torch.allclose(net.head.weight, before.head.weight, atol=1e-6)
