"""What varies in training: timing, databases, distractors, the tracker as measured."""

import csv
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from mercam_training.actions import CLASSES
from mercam_training.distractors import DISTRACTORS
from mercam_training.domains import DomainConfig, database, generate_domains
from mercam_training.face import COMPONENT_OF, FIRST_NODE, mean_face
from mercam_training.synth import ACTIONS, SynthConfig, generate
from mercam_training.timing import TimingConfig, jerk, seen_share
from mercam_training.tracker import Film, measure, movement


def only(kind: str) -> SynthConfig:
    return SynthConfig(none_share=1.0, distractors=tuple(float(d == kind) for d in DISTRACTORS))


def test_few_frames_and_lost_frames_see_less_of_a_movement():
    def middle(fps, lost):
        return seen_share(4000, 2, np.random.default_rng(1), TimingConfig((fps,), lost)).mean()

    assert jerk(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]
    assert middle(200.0, 0.0) > middle(25.0, 0.0) > middle(25.0, 0.5)
    assert 0.2 <= seen_share(500, 3, np.random.default_rng(2), TimingConfig((25.0,), 0.1)).min() < 0.9


def test_a_slow_expression_is_stronger_than_a_micro_expression_and_is_none_of_them(people, samples):
    s = generate(300, people, np.random.default_rng(5), only("macro"))
    assert (s.y == CLASSES.index("none")).all()
    assert np.median(s.amplitude) > 2 * np.median(samples.amplitude[samples.kind >= 0])


def test_a_hand_takes_neighbours_with_it(people):
    s = generate(100, people, np.random.default_rng(6), replace(only("occlusion"), noise_px=(0, 0), drift_deg=0))
    moved = np.hypot(s.x[..., 2], s.x[..., 3]) > 0.03
    assert (moved.sum(1) >= 2).mean() > 0.9 and not s.length.any(), "no muscle moved"


def test_databases_differ_and_a_count_of_none_is_the_plain_generator(people):
    dom, cfg = DomainConfig(count=4), SynthConfig()
    a, b = (database(cfg, dom, np.random.default_rng(k)) for k in (1, 2))
    assert a.noise_px != b.noise_px and a.tracker_gain != b.tracker_gain and a.pose_deg != b.pose_deg
    many = generate_domains(402, people, np.random.default_rng(3), cfg, dom)
    assert len(many) == 402 and np.isfinite(many.x).all()
    plain = generate_domains(50, people, np.random.default_rng(3), cfg, replace(dom, count=0))
    assert np.array_equal(plain.x, generate(50, people, np.random.default_rng(3), cfg).x)


def test_the_generator_has_the_tracker_that_was_measured():
    """SynthConfig is typed by hand from data/tracker.csv; whoever measures again has to look at it again."""
    text = (resources.files("mercam_training") / "data" / "tracker.csv").read_text()
    rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(text.splitlines()[1:])]
    cfg = SynthConfig()
    noise, low, high = ([r[k] for r in rows] for k in ("noise_px", "gain_10", "gain_90"))
    assert cfg.noise_px[0] == pytest.approx(min(noise), abs=0.003) and np.percentile(noise, 60) < cfg.noise_px[1] < np.percentile(noise, 95)
    assert cfg.noise_common == pytest.approx(np.mean([r["common"] for r in rows]), abs=0.03)
    assert cfg.tracker_gain[0] == pytest.approx(np.median(low), abs=0.05) and cfg.tracker_gain[1] == pytest.approx(np.median(high), abs=0.06)


def film(rng: np.random.Generator, noise: float, gain: float) -> Film:
    """A face of 100 px that raises its brows once, followed with known noise and gain."""
    time = np.arange(0, 4_000_000, 10_000)
    still = mean_face()[:, :2] * 100 + 200
    move = ACTIONS.table[ACTIONS.index(2)].sum(0) * 100 * 0.5
    amount = np.interp(time, (2_000_000, 2_200_000, 2_400_000), (0, 1, 0))[:, None, None]
    true = still + amount * move
    seen = still + gain * amount * move + rng.normal(0, noise, true.shape)
    return Film(time, true, seen, [(2_000_000, 2_200_000)], [(2_000_000, 2_400_000)])


def test_noise_and_gain_of_a_tracker_are_found():
    got = measure(film(np.random.default_rng(1), 0.1, 0.7))
    assert got["noise_px"] == pytest.approx(0.1, rel=0.15) and got["common"] < 0.25
    assert got["gain_50"] == pytest.approx(0.7, abs=0.05) and got["moved"] == 2


def test_movement_is_measured_in_the_face_frame():
    p = film(np.random.default_rng(2), 0, 1.0).true
    got = movement(p, np.array([0]), np.array([220]), p[:1])[0]
    true = ACTIONS.table[ACTIONS.index(2)].sum(0)[FIRST_NODE:] * 0.5
    assert np.abs(got - true)[COMPONENT_OF[FIRST_NODE:] < 2].max() < 0.01
