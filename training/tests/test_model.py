import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from mercam_training.export import FEATURE_FORMAT, Deploy, describe, export
from mercam_training.model import DeReGrl, ModelConfig, bones, parents
from mercam_training.parity import rounded
from mercam_training.quantise import quantise, run
from mercam_training.synth import SynthConfig
from mercam_training.train import TrainConfig, calibration_samples, fit_temperature, logits, people, train

VARIANTS = [{}, {"adm": "mixing"}, {"adm": "off"}, {"rrm": "off"}, {"learnable_graph": False}]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_gradient_reaches_every_parameter(variant, samples):
    torch.manual_seed(0)
    net = DeReGrl(ModelConfig(**variant))
    x = torch.from_numpy(samples.x[:256])
    net.normalise.fit(x)
    z, a, _ = net(x)
    (F.cross_entropy(z, torch.from_numpy(samples.y[:256])) + a.mean()).backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_the_network_is_small_and_its_outputs_are_shaped(net, samples):
    assert net.parameter_count() < 150_000
    z, a, w = net(torch.from_numpy(samples.x[:8]))
    assert z.shape == (8, 4) and a.shape == (8, 6) and w.shape == (8, 12, 12)
    assert torch.allclose(w.sum(-1), torch.ones(8, 12), atol=1e-5)


def test_without_rrm_no_action_reads_another_and_with_it_they_do(samples):
    torch.manual_seed(0)
    for rrm, reads in (("pairwise", True), ("off", False)):
        net = DeReGrl(ModelConfig(rrm=rrm)).eval()
        a = torch.rand(1, 12, 16, requires_grad=True)
        r, w = net.rrm(a)
        r[0, 3].sum().backward()  # what action 3 becomes
        others = a.grad[0, [i for i in range(12) if i != 3]].abs().sum()
        assert bool(others > 0) is reads
        assert torch.equal(w[0], torch.eye(12)) is not reads
        assert any(n.startswith("rrm") for n, _ in net.named_parameters()) is reads


def test_without_adm_there_is_no_map_per_component(samples):
    full, off = DeReGrl(ModelConfig()), DeReGrl(ModelConfig(adm="off"))
    assert len(full.adm.maps) == 6 and not hasattr(off.adm, "maps")
    f = torch.randn(1, 51, 48)
    swapped = f.clone()
    swapped[:, 0:5] = f[:, [4, 3, 2, 1, 0]]  # the order of a brow's landmarks
    assert torch.allclose(off.adm(f), off.adm(swapped), atol=1e-6), "a mean does not know the order"
    assert not torch.allclose(full.adm(f), full.adm(swapped), atol=1e-3), "a map matrix does"
    # Each component's actions come from its own landmarks only.
    g = f.clone()
    g[:, 0:5] += 1
    assert torch.equal(full.adm(f)[:, 2:], full.adm(g)[:, 2:]) and not torch.equal(full.adm(f)[:, :2], full.adm(g)[:, :2])


def test_unknown_switches_are_refused():
    for wrong in ({"adm": "nonsense"}, {"rrm": "nonsense"}):
        with pytest.raises(ValueError, match="can be"):
            DeReGrl(ModelConfig(**wrong))


def test_bones_hang_together_and_the_root_has_none():
    up = parents()
    for n in range(51):
        for _ in range(60):
            n = up[n]
        assert n == 10, "every chain ends at the nose bridge"
    b = bones()
    assert not b[10].any() and np.allclose(b.sum(1), 0)


def test_the_deployed_form_and_the_exported_file_say_what_the_network_says(net, samples):
    x = torch.from_numpy(samples.x[:200])
    with torch.no_grad():
        z, a, w = net(x)
        trained = [torch.softmax(z / net.temperature, -1), a, w]
        folded = Deploy(net)(x)
    answers = run(export(net), samples.x[:200])
    for t, d, o in zip(trained, folded, answers, strict=True):
        assert (t - d).abs().max() < 1e-5
        assert np.abs(d.numpy() - o).max() < 1e-5


def test_ablations_are_not_exported():
    with pytest.raises(ValueError, match="ablations"):
        Deploy(DeReGrl(ModelConfig(rrm="off")))


def test_int8_names_the_same_class_and_keeps_only_what_it_must_in_float(net, samples, tiny):
    fp32 = export(net)
    int8, count = quantise(fp32, calibration_samples(tiny, 256).x)
    a, b = run(fp32, samples.x[:500])[0], run(int8, samples.x[:500])[0]
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.98
    ops = [n.op_type for n in int8.graph.node]
    assert ops.count("MatMulInteger") == count == 20
    assert ops.count("MatMul") == 3, "bones, Q K^T and W V"
    assert "DequantizeLinear" not in ops
    assert int8.ByteSize() < fp32.ByteSize() / 2
    props = {p.key: p.value for p in describe(int8, net, "m", "int8", count).metadata_props}
    assert props["int8_matmuls"] == str(count) and props["feature_format"] == FEATURE_FORMAT
    onnx.checker.check_model(int8)


def test_training_is_repeatable_and_learns(net, tiny):
    again = train(tiny, ModelConfig(), SynthConfig(), log=lambda _: None)
    for (n, a), b in zip(net.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), n
    s = calibration_samples(tiny, 1000)
    assert (logits(net, s.x).argmax(1).numpy() == s.y).mean() > 0.7


def test_the_three_groups_of_people_have_nobody_in_common(tiny):
    p = people(tiny)
    groups = [{g.shapes[i].tobytes() for i in range(len(g.shapes))} for g in (p.train, p.calibration, p.test)]
    assert [len(g) for g in groups] == list(tiny.people)
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


def test_the_temperature_lowers_the_loss_on_held_out_samples(net, tiny):
    s = calibration_samples(tiny, 1500)
    z, y = logits(net, s.x), torch.from_numpy(s.y)
    kept = net.temperature.clone()
    best = fit_temperature(net, s)
    net.temperature.copy_(kept)
    loss = {t: F.cross_entropy(z / t, y).item() for t in (best, best * 0.8, best * 1.25)}
    assert loss[best] == min(loss.values())


def test_cuda_without_a_device_is_refused_in_words():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(SystemExit, match="--device cpu"):
        train(TrainConfig(device="cuda"), ModelConfig(), SynthConfig())


def test_the_fixture_format_loses_nothing_that_matters(samples):
    _, x = rounded(samples.x)
    assert np.abs(x[..., :2] - samples.x[..., :2]).max() < 5e-5
    assert np.abs(x[..., 2:] - samples.x[..., 2:]).max() < 1e-5
