import numpy as np
import pytest

from mercam_training.actions import CLASSES, load_actions, load_combinations
from mercam_training.face import COMPONENTS, COUNT, MIRROR, RIGID, eye_centres, identities, mean_face, register, to_face_frame
from mercam_training.synth import DISTRACTORS, SynthConfig, generate, mirrored


def test_the_mirror_is_its_own_inverse_and_swaps_left_and_right_components():
    assert (MIRROR[MIRROR] == np.arange(COUNT)).all()
    span = {name: set(range(s, e)) for name, s, e in COMPONENTS}
    assert {int(MIRROR[p]) for p in span["right_eye"]} == span["left_eye"]
    assert {int(MIRROR[p]) for p in span["right_brow"]} == span["left_brow"]
    assert {int(MIRROR[p]) for p in span["mouth"]} == span["mouth"]


def test_the_mean_face_is_symmetric_and_in_the_face_frame():
    m = mean_face()
    assert np.allclose(m[MIRROR] * [-1, 1, 1], m, atol=1e-9)
    a, b = eye_centres(m)
    assert np.allclose(a, [-0.5, 0]) and np.allclose(b, [0.5, 0])
    assert m[8, 1] > m[57, 1] > m[33, 1] > 0 > m[19, 1], "y runs down the face"


def test_registration_removes_a_similarity_exactly(people):
    p = people.shapes[:5, :, :2]
    c, s = 1.1 * np.cos(0.3), 1.1 * np.sin(0.3)
    q = np.stack([c * p[..., 0] - s * p[..., 1] + 4, s * p[..., 0] + c * p[..., 1] - 2], -1)
    assert np.abs(register(q, p) - p).max() < 1e-9
    assert np.abs(to_face_frame(q) - p).max() < 1e-9
    assert len(RIGID) == 11 and not {31, 35} & set(RIGID.tolist())


def test_units_are_mirror_symmetric_and_point_the_right_way():
    a = load_actions()
    left, right = a.table[:, 0], a.table[:, 1]
    assert np.allclose(left[:, MIRROR] * [-1, 1], right)
    both = a.table.sum(1)
    assert both[a.index(12), 48, 0] < 0 < both[a.index(12), 54, 0], "a smile widens the mouth"
    assert both[a.index(12), 48, 1] < 0, "and lifts its corners (y runs down)"
    assert both[a.index(1), 21, 1] < 0 and both[a.index(4), 21, 1] > 0, "AU1 raises the brow, AU4 lowers it"
    assert both[a.index(4), 21, 0] > 0 > both[a.index(4), 22, 0], "AU4 draws the brows together"
    assert np.abs(both[:, 51, 0]).max() < 1e-9, "the midline moves along itself"


def test_shares_of_combinations_sum_to_one_per_class():
    for c in range(3):
        assert sum(k.share for k in load_combinations(load_actions()) if k.cls == c) == pytest.approx(1)


def test_samples_have_the_promised_shape_and_statistics(samples):
    assert samples.x.shape == (1500, 51, 4) and samples.x.dtype == np.float32 and np.isfinite(samples.x).all()
    share = np.bincount(samples.y, minlength=4) / len(samples)
    assert abs(share[CLASSES.index("none")] - 0.3) < 0.04 and np.abs(share[:3] - 0.7 / 3).max() < 0.04
    expressive = samples.kind >= 0
    # Real micro-expressions peak at 0.02-0.03 IOD; half of them lie below.
    assert 0.01 < np.median(samples.amplitude[expressive]) < 0.03
    assert np.abs(samples.x[..., :2]).max() < 2


def test_the_same_seed_draws_the_same_samples_and_another_seed_others(people):
    a, b, c = (generate(50, people, np.random.default_rng(s)) for s in (7, 7, 8))
    assert (a.x == b.x).all() and (a.y == b.y).all() and not (a.x == c.x).all()


def test_mirroring_twice_is_nothing_and_moves_a_brow_to_the_other_side(samples):
    assert (mirrored(mirrored(samples.x)) == samples.x).all()
    x = np.zeros((1, 51, 4), np.float32)
    x[0, 0:5, 2:] = (0.01, -0.02)  # right brow
    m = mirrored(x)
    assert np.allclose(m[0, 5:10, 2:], (-0.01, -0.02)) and not m[0, :5].any()


def test_a_still_head_without_noise_shows_the_units_and_nothing_else():
    still = SynthConfig(noise_px=(0, 0), drift_deg=0, anchor_sigma=0, pose_deg=0, tracker_gain=(1, 1), none_share=0.0)
    s = generate(300, identities(20, np.random.default_rng(3)), np.random.default_rng(4), still)
    measured = np.hypot(s.x[..., 2], s.x[..., 3]).max(1)
    # Perspective and the units that move eye corners or nostrils change it a little.
    assert np.median(np.abs(measured / s.amplitude - 1)) < 0.15


def test_a_blink_closes_both_eyes_and_is_no_expression(people):
    only = SynthConfig(none_share=1.0, distractors=tuple(float(d == "blink") for d in DISTRACTORS))
    s = generate(200, people, np.random.default_rng(5), only)
    assert (s.y == CLASSES.index("none")).all()
    lids = np.abs(s.x[:, [37 - 17, 44 - 17], 3])
    assert (lids.max(1) > 0.005).mean() > 0.95
    assert s.action[:, 3:5].mean() > 5 * s.action[:, [2, 5]].mean()
