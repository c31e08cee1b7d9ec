from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mercam_training.augment import SMALL_TABLE, AugmentConfig, augmented
from mercam_training.fit import FitConfig, device_of, fit, fit_temperature, outputs
from mercam_training.layout import Layout
from mercam_training.losses import LossConfig
from mercam_training.model import DeReGrl, ModelConfig
from mercam_training.moves import from_samples, from_table, to_table
from mercam_training.parity import rounded
from mercam_training.synth import mirrored
from mercam_training.table import make_table
from mercam_training.train import DataConfig, calibration_samples, ensemble, new_network, people, synthetic_source, train


@pytest.fixture(scope="module")
def moves(samples):
    return from_samples(samples).take(np.arange(300))


def test_training_is_repeatable_and_learns(net, tiny):
    again, history = train(tiny, log=None)
    for (n, a), b in zip(net.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), n
    s = calibration_samples(tiny.data, 1000)
    assert (outputs(net, s.x)["logits"].argmax(1) == s.y).mean() > 0.6
    assert history.loss[1] < history.loss[0] and history.kept == 2


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path, moves):
    cfg, losses = FitConfig(epochs=3, batch=64), LossConfig()

    def network() -> DeReGrl:
        torch.manual_seed(3)
        return DeReGrl(ModelConfig(widths=(8, 8)))

    whole, parts = network(), network()
    fit(whole, moves, cfg, SMALL_TABLE, losses)
    fit(parts, moves, cfg, SMALL_TABLE, losses, checkpoint=tmp_path / "c.pt", stop_after=1)
    taken_up = network()
    told = []
    history = fit(taken_up, moves, cfg, SMALL_TABLE, losses, checkpoint=tmp_path / "c.pt", log=told.append)
    assert len(history.loss) == 3 and "after epoch 1" in told[0]
    for (n, a), b in zip(whole.state_dict().items(), taken_up.state_dict().values(), strict=True):
        assert torch.equal(a, b), n
    other = network()
    fit(other, moves, replace(cfg, seed=9), SMALL_TABLE, losses, checkpoint=tmp_path / "c.pt", log=told.append)
    assert sum("going on" in t for t in told) == 1, "a checkpoint of other settings is not taken up"


def test_the_three_groups_of_people_have_nobody_in_common(tiny):
    p = people(tiny.data)
    groups = [{g.shapes[i].tobytes() for i in range(len(g.shapes))} for g in (p.train, p.calibration, p.test)]
    assert [len(g) for g in groups] == list(tiny.data.people)
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_the_temperature_lowers_the_loss_on_held_out_samples(net, tiny):
    s = calibration_samples(tiny.data, 1000)
    z, y = torch.from_numpy(outputs(net, s.x)["logits"]), torch.from_numpy(s.y)
    kept = net.temperature.clone()
    best = fit_temperature(net, s.x, s.y)
    net.temperature.copy_(kept)
    loss = {t: F.cross_entropy(z / t, y).item() for t in (best, best * 0.8, best * 1.25)}
    assert loss[best] == min(loss.values())


def test_a_device_that_is_not_there_is_refused_in_words():
    with pytest.raises(SystemExit, match="auto, cpu, cuda"):
        device_of("gpu0")
    assert device_of("auto").type in ("cpu", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="--device cpu"):
            device_of("cuda")


@pytest.mark.parametrize("kind", ["amp", "teacher", "weights"])
def test_the_other_ways_of_training_train(kind, moves, net):
    torch.manual_seed(1)
    small = DeReGrl(ModelConfig(widths=(8, 8)))
    teacher = ensemble([net], torch.device("cpu")) if kind == "teacher" else None
    history = fit(small, moves, FitConfig(epochs=3, batch=64, amp=kind == "amp"), AugmentConfig(),
                  LossConfig(class_weights=kind == "weights"), teacher=teacher)  # fmt: skip
    assert np.isfinite(history.loss).all() and history.loss[-1] < history.loss[0]


def test_mirroring_is_symmetric_and_keeps_components(moves, samples):
    layout = moves.layout
    assert np.array_equal(layout.mirrored(layout.mirrored(moves.x)), moves.x)
    assert np.array_equal(layout.mirrored(samples.x), mirrored(samples.x)), "the generator's mirror is the same"
    back = augmented(moves, AugmentConfig(mirror=1.0), np.random.default_rng(0))
    assert np.array_equal(back[0], layout.mirrored(moves.x))
    twin = layout.mirrored_components()
    names = [n for n, _ in layout.components]
    assert [names[t] for t in twin][:2] == ["left_brow", "right_brow"]
    action = replace(moves, length=back[2]).actions(layout)
    assert np.array_equal(action, moves.actions(layout)[:, twin])


def test_augmentation_changes_movement_and_never_the_class_or_the_place(moves):
    plain = augmented(moves, AugmentConfig(mirror=0), np.random.default_rng(0))
    assert np.array_equal(plain[0], moves.x) and (plain[1].argmax(1) == moves.y).all()
    each = {"amplitude": (0.5, 2.0), "time": 0.3, "similarity": 0.01, "node_dropout": 0.2, "noise": 0.3}
    for name, value in each.items():
        x, target, _, _ = augmented(moves, AugmentConfig(mirror=0, **{name: value}), np.random.default_rng(0))
        assert np.array_equal(x[..., :2], moves.x[..., :2]) and not np.allclose(x[..., 2:], moves.x[..., 2:]), name
        assert np.array_equal(target, plain[1])
    x, target, _, _ = augmented(moves, AugmentConfig(mirror=0, mixup=0.4), np.random.default_rng(0))
    assert np.allclose(target.sum(1), 1, atol=1e-6) and ((target > 0).sum(1) == 2).any()
    assert (target.argmax(1) == moves.y).mean() > 0.95, "the larger share is the row's own"


def test_a_table_with_features_of_its_own_trains(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(0, 0.1, (60, 51, 3))
    label = np.arange(60) % 3
    x[label == 1, 31:, 1] += 0.3
    x[label == 2, :10, 1] -= 0.3
    t = make_table(x, label, [f"s{i % 6}" for i in range(60)], ["negative", "positive", "surprise"], features=("u", "v", "strain"))
    m = from_table(t)
    assert m.layout.places == 0 and m.layout.signs.tolist() == [-1, 1, 1] and np.isnan(m.length).all()
    torch.manual_seed(0)
    net = DeReGrl(ModelConfig(custom=m.layout.dump(), classes=3, widths=(8, 8)))
    fit(net, m, FitConfig(epochs=25, batch=20, rate=1e-2), AugmentConfig(), LossConfig())
    assert (outputs(net, m.x)["logits"].argmax(1) == m.y).mean() > 0.9


def test_nodes_of_another_scheme_are_put_in_the_order_of_their_components():
    header = {"scheme": "mine", "components": {"mouth": [0, 3], "brows": [1, 2]}, "mirror": [3, 2, 1, 0]}
    x = np.arange(4, dtype=float)[None, :, None] * np.ones((2, 4, 2))
    m = from_table(make_table(x, [0, 1], ["a", "b"], ["p", "q"], nodes=(100, 101, 102, 103), features=("dx", "x"), header=header))
    assert m.layout.landmarks == (100, 103, 101, 102) and m.layout.channels == ("x", "dx") and m.layout.places == 1
    assert m.layout.components == (("mouth", (0, 2)), ("brows", (2, 4))) and m.layout.mirror.tolist() == [1, 0, 3, 2]
    assert m.x[0, :, 0].tolist() == [0, 3, 1, 2]
    net = DeReGrl(ModelConfig(custom=m.layout.dump(), classes=2, widths=(8,)))
    assert net(torch.from_numpy(m.x))[1].shape == (2, 2)


def test_synthetic_movements_survive_the_table(moves):
    back = from_table(to_table(moves, description="test"))
    assert np.array_equal(back.x, moves.x) and np.array_equal(back.y, moves.y) and back.layout == moves.layout
    assert np.array_equal(np.isnan(back.units), np.isnan(moves.units))
    assert isinstance(back.layout, Layout)


def test_pretraining_on_three_classes_and_fewer_nodes(tiny):
    r = replace(tiny, model=replace(tiny.model, classes=3, nodes=39, components=3), data=DataConfig(samples=200, people=(50, 20, 20)))
    m = synthetic_source(r)(0)
    assert m.x.shape == (200, 39, 4) and set(np.unique(m.y)) == {0, 1, 2} and m.classes == ("negative", "positive", "surprise")
    assert new_network(r).layout.landmarks == m.layout.landmarks


def test_the_fixture_format_loses_nothing_that_matters(samples):
    _, x = rounded(samples.x)
    assert np.abs(x[..., :2] - samples.x[..., :2]).max() < 5e-5
    assert np.abs(x[..., 2:] - samples.x[..., 2:]).max() < 1e-5
