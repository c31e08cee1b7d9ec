from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from mercam_training.export import FEATURE_FORMAT, Deploy, describe, export
from mercam_training.layout import NODE_SETS, ROOT, Layout
from mercam_training.losses import LossConfig, total
from mercam_training.model import DeReGrl, ModelConfig
from mercam_training.moves import from_samples, select_nodes
from mercam_training.quantise import quantise, run
from mercam_training.synth import SynthConfig, generate
from mercam_training.train import calibration_samples

VARIANTS = [
    {}, {"adm": "mixing"}, {"adm": "flatten", "rrm": "off"}, {"adm": "gap", "rrm": "off"}, {"rrm": "gate"}, {"rrm": "static"},
    {"rrm": "off"}, {"learnable_graph": False}, {"components": 4}, {"components": 3, "nodes": 39}, {"nodes": 68},
    {"reconstruct": "sum"}, {"classes": 3}, {"classes": 5}, {"classes": 7, "amplitude": "both"}, {"amplitude": "normalised"},
]  # fmt: skip


@pytest.fixture(scope="module")
def whole_faces(people):
    """Samples on all 68 landmarks."""
    return from_samples(generate(256, people, np.random.default_rng(2), SynthConfig(contour=True)))


def inputs(moves, cfg: ModelConfig) -> torch.Tensor:
    return torch.from_numpy(select_nodes(moves, cfg.layout().landmarks).x)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_gradient_reaches_every_parameter(variant, whole_faces):
    torch.manual_seed(0)
    net = DeReGrl(ModelConfig(**variant))
    x = inputs(whole_faces, net.cfg)
    net.normalise.fit(x)
    out = net.parts(x)
    (F.cross_entropy(out["logits"], torch.from_numpy(whole_faces.y % net.cfg.classes)) + out["actions"].mean()).backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_form_is_exported_as_it_is(variant, whole_faces):
    torch.manual_seed(1)
    net = DeReGrl(ModelConfig(**variant))
    x = inputs(whole_faces, net.cfg)
    net.normalise.fit(x)
    net.train()(x)  # so that batch normalisation has statistics to fold
    net.temperature.fill_(0.7)
    net.eval()
    with torch.no_grad():
        z, a, w = net(x[:40])
        eager = [torch.softmax(z / net.temperature, -1), a, w]
    p, q = len(net.layout.components), net.adm.shape[0]
    assert a.shape == (40, p) and w.shape == (40, q, q) and z.shape == (40, net.cfg.classes)
    for e, o in zip(eager, run(export(net), x[:40].numpy()), strict=True):
        assert np.abs(e.numpy() - o).max() < 1e-5


def test_the_shipped_network_is_small_and_its_relations_sum_to_one(net, samples):
    assert net.parameter_count() == 101_130 < 150_000
    z, a, w = net(torch.from_numpy(samples.x[:8]))
    assert z.shape == (8, 4) and a.shape == (8, 6) and w.shape == (8, 12, 12)
    assert torch.allclose(w.sum(-1), torch.ones(8, 12), atol=1e-5)


@pytest.mark.parametrize("adm", ["per_component", "mixing"])
def test_the_order_of_nodes_inside_a_component_means_nothing(adm, samples):
    """Nodes in another order, with the weights in that order, give the same answers."""
    torch.manual_seed(2)
    net = DeReGrl(ModelConfig(adm=adm))
    x = torch.from_numpy(samples.x[:64])
    net.normalise.fit(x)
    rng, order = np.random.default_rng(5), np.arange(51)
    for s, e in net.layout.spans:
        order[s:e] = rng.permutation(order[s:e])
    other = DeReGrl(replace(net.cfg, nodes=tuple(net.layout.landmarks[i] for i in order)))
    weights, width = net.state_dict(), 2 * net.cfg.widths[-1]
    for k, v in weights.items():
        if k.endswith(("free", "anatomy", "bones")):
            weights[k] = v[order][:, order]
        elif k.endswith("_mean") and v.shape[0] == 51:
            weights[k] = v[order]
    for i, (s, e) in enumerate(net.layout.spans):
        key = f"adm.{'maps' if adm == 'per_component' else 'pool'}.{i}.weight"
        m = weights[key].reshape(-1, e - s, width)
        weights[key] = m[:, order[s:e] - s].reshape(len(m), -1)
    built = other.normalise.bones, other.streams[0][0].anatomy
    other.load_state_dict(weights)
    assert torch.equal(built[0], other.normalise.bones) and torch.allclose(built[1], other.streams[0][0].anatomy)
    with torch.no_grad():
        for a, b in zip(net.eval()(x), other.eval()(x[:, order]), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_without_rrm_no_action_reads_another_and_pairwise_ones_do():
    torch.manual_seed(0)
    for rrm, reads in (("pairwise", True), ("gate", True), ("static", False), ("off", False)):
        net = DeReGrl(ModelConfig(rrm=rrm)).eval()
        a = torch.rand(1, 12, 16, requires_grad=True)
        r, w = net.rrm(a)
        r[0, 3].sum().backward()  # what action 3 becomes
        others = a.grad[0, [i for i in range(12) if i != 3]].abs().sum()
        assert bool(others > 0) is reads
        assert torch.equal(w[0], torch.eye(12)) is (rrm == "off")
        assert any(n.startswith("rrm") for n, _ in net.named_parameters()) is (rrm != "off")


def test_static_weights_are_the_same_for_all_and_gates_are_not(samples):
    x = torch.from_numpy(samples.x[:16])
    for rrm, same in (("static", True), ("gate", False)):
        torch.manual_seed(3)
        w = DeReGrl(ModelConfig(rrm=rrm)).eval()(x)[2]
        assert torch.allclose(w, w[:1].expand_as(w)) is same


def test_ablations_of_adm_have_no_map_and_reading_a_keeps_components_apart():
    full = DeReGrl(ModelConfig())
    for kind in ("flatten", "gap"):
        off = DeReGrl(ModelConfig(adm=kind, rrm="off"))
        assert not list(off.adm.parameters()), "nothing is mapped"
        with pytest.raises(ValueError, match="set rrm to off"):
            DeReGrl(ModelConfig(adm=kind))
    f = torch.randn(1, 51, 48)
    swapped = f.clone()
    swapped[:, 0:5] = f[:, [4, 3, 2, 1, 0]]
    assert torch.allclose(off.adm(f), off.adm(swapped), atol=1e-6), "a mean does not know the order"
    assert not torch.allclose(full.adm(f), full.adm(swapped), atol=1e-3), "a map matrix does"
    g = f.clone()
    g[:, 0:5] += 1  # the right brow
    assert torch.equal(full.adm(f)[:, 2:], full.adm(g)[:, 2:]) and not torch.equal(full.adm(f)[:, :2], full.adm(g)[:, :2])
    mixed = DeReGrl(ModelConfig(adm="mixing")).adm
    assert (mixed(f) != mixed(g)).any(-1).sum() > 2, "reading B mixes components"


def test_a_fixed_adjacency_has_no_free_part():
    assert not [n for n, _ in DeReGrl(ModelConfig(learnable_graph=False)).named_parameters() if n.endswith("free")]


def test_unknown_switches_are_refused():
    for wrong in ({"adm": "x"}, {"rrm": "x"}, {"reconstruct": "x"}, {"amplitude": "x"}, {"components": 5}, {"nodes": 50}):
        with pytest.raises(ValueError, match="can be"):
            DeReGrl(ModelConfig(**wrong))


@pytest.mark.parametrize("size", [68, 51, 39])
def test_every_chain_ends_at_the_nose_bridge_and_bones_of_a_still_face_are_zero(size):
    layout = Layout(NODE_SETS[size])
    for n in range(layout.nodes):
        for _ in range(60):
            n = layout.parents[n]
        assert layout.landmarks[n] == ROOT
    assert np.allclose(layout.bones().sum(1), 0) and not layout.bones()[layout.position[ROOT]].any()
    assert np.allclose(layout.graph().sum(1), 1)
    assert (layout.mirror[layout.mirror] == np.arange(size)).all()


@pytest.mark.parametrize(("split", "nodes", "names"), [(6, 51, 6), (4, 51, 4), (3, 51, 3), (6, 39, 4), (4, 39, 3), (6, 68, 6)])
def test_components_hold_the_landmarks_they_are_named_after(split, nodes, names):
    layout = Layout(NODE_SETS[nodes], split=split)
    assert len(layout.components) == names
    mouth = dict(layout.components)["mouth"]
    assert layout.landmarks[mouth[0] : mouth[1]] == tuple(range(48, 68))


def test_each_loss_term_moves_what_it_is_about(whole_faces):
    torch.manual_seed(4)
    net = DeReGrl(ModelConfig(units=12, centres=True))
    m = select_nodes(whole_faces, net.layout.landmarks)
    x = torch.from_numpy(m.x)
    net.normalise.fit(x)
    batch = {"target": F.one_hot(torch.from_numpy(m.y), 4).float(), "action": torch.from_numpy(m.actions(net.layout)),
             "units": torch.from_numpy(m.units)}  # fmt: skip
    assert torch.isnan(batch["units"]).any(), "nobody labelled the distractors"
    off = LossConfig(classes=0, action=0)

    def touched(**on) -> set[str]:
        net.zero_grad()
        total(net, net.parts(x), batch, replace(off, **on), None).backward()
        return {n.split(".")[0] for n, p in net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}

    assert touched(unit=1.0) == {"streams", "adm", "unit_head"}
    assert touched(compactness=1.0) == {"streams", "adm", "centres"}
    assert touched(orthogonality=1.0) == {"adm"}
    assert touched(action=1.0) == {"streams", "adm"}
    assert touched(classes=1.0) == {"streams", "adm", "rrm", "head"}


def test_orthogonal_maps_do_not_overlap():
    adm = DeReGrl(ModelConfig()).adm
    before = adm.overlap().item()
    for m in adm.maps:
        torch.nn.init.orthogonal_(m.weight)
    assert adm.overlap().item() < 1e-6 < before


def test_int8_names_the_same_class_and_keeps_only_what_it_must_in_float(net, samples, tiny):
    fp32 = export(net)
    int8, count = quantise(fp32, calibration_samples(tiny.data, 256).x)
    a, b = run(fp32, samples.x[:500])[0], run(int8, samples.x[:500])[0]
    assert (a.argmax(1) == b.argmax(1)).mean() > 0.98
    ops = [n.op_type for n in int8.graph.node]
    assert ops.count("MatMulInteger") == count == 20
    assert ops.count("MatMul") == 3, "bones, Q K^T and W V"
    assert "DequantizeLinear" not in ops
    assert int8.ByteSize() < fp32.ByteSize() / 2
    props = {p.key: p.value for p in describe(int8, net, "m", "int8", count).metadata_props}
    assert props["int8_matmuls"] == str(count) and props["feature_format"] == FEATURE_FORMAT and props["window"] == "onset,apex"
    onnx.checker.check_model(int8)


def test_the_deployed_form_folds_without_a_trace(net, samples):
    x = torch.from_numpy(samples.x[:200])
    with torch.no_grad():
        z, a, w = net(x)
        for t, d in zip((torch.softmax(z / net.temperature, -1), a, w), Deploy(net)(x), strict=True):
            assert (t - d).abs().max() < 1e-5
