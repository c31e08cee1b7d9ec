"""Cross-validation: who is left out, what can reach a fold, what comes out."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tables import small_table

from mercam_training import baseline, compare, crossval, finetune
from mercam_training.crossval import MAIN, Job, make_plan
from mercam_training.finetune import FinetuneConfig, Frozen, learn
from mercam_training.metrics import calibration_error, confusion, reliability, scores, subject_bootstrap, unit_scores
from mercam_training.model import ModelConfig
from mercam_training.moves import join
from mercam_training.protocols import database_key, tasks, three_class, validation_subjects
from mercam_training.shifted import DATABASES, shifted


def small(recipe):
    return replace(recipe, model=replace(recipe.model, widths=(8, 8)))


def test_scores_of_a_small_matrix_worked_by_hand():
    m = confusion(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), 3)
    assert m.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    r = scores(m)
    assert r["f1"] == pytest.approx([4 / 6, 4 / 5, 0])
    assert r["uf1"] == pytest.approx((4 / 6 + 4 / 5) / 3) and r["uar"] == pytest.approx((2 / 3 + 1) / 3)


def test_counts_are_summed_before_f1_and_not_averaged_over_folds():
    a, b = confusion(np.array([0, 0]), np.array([0, 0]), 3), confusion(np.array([1]), np.array([0]), 3)
    assert scores(a + b)["uf1"] != pytest.approx((scores(a)["uf1"] + scores(b)["uf1"]) / 2)


def test_calibration_error_is_the_gap_between_confidence_and_truth():
    sure = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0)
    assert calibration_error(sure, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)
    assert reliability(sure, np.array([0] * 5 + [1] * 5)) == [{"confidence": pytest.approx(0.9), "accuracy": 0.5, "samples": 10}]


def test_the_interval_draws_subjects_not_rows():
    y, subject = np.repeat([0, 1], 50), np.repeat(np.arange(4), 25)
    said = y.copy()
    said[:25] = 1  # everything wrong in one person
    low, high = subject_bootstrap(y, said, subject, 2)["uf1"]
    assert high == 1 and low < 0.5, "without that person all is right, with two of them most is wrong"


def test_unit_scores_leave_out_what_nobody_labelled():
    r = unit_scores(np.array([[1, np.nan], [0, 1], [1, np.nan]]), np.array([[1, 1], [0, 1], [0, 0]]))
    assert r["binary"] == pytest.approx([2 / 3, 1.0]) and r["f1_binary"] == pytest.approx(5 / 6)


@pytest.mark.parametrize(("name", "key"), [("CASME II", "casme2"), ("casme2", "casme2"), ("SMIC-HS", "smic"), ("SAMM", "samm"),
                                           ("CASME", "casme"), ("CAS(ME)^3", "casme3")])  # fmt: skip
def test_databases_have_one_spelling(name, key):
    assert database_key(name) == key


def test_the_three_classes_follow_the_guideline():
    assert three_class("Happiness", "SAMM") == "positive" and three_class("repression", "CASME II") == "negative"
    assert three_class("Fear", "SAMM") == "negative" and three_class("fear", "CASME II") is None
    assert three_class("others", "SAMM") is None


def test_megc2019_leaves_out_each_subject_once_and_says_what_is_not_in(table):
    more = join([table, replace(small_table(2, 4, databases=("DFME",)))])
    (task,) = tasks(more, "megc2019")
    assert len(task.folds) == 12 and len(task.moves) == 36
    assert (np.sum([out for _, out in task.folds], 0) == 1).all(), "each row is left out exactly once"
    assert ("database 'DFME' is not part of it", 4) in task.excluded
    for k, (name, out) in enumerate(task.folds):
        train, left = task.split(k)
        assert set(left.subject) == {name} and name not in set(train.subject) and len(train) + len(left) == 36
        assert out.sum() == len(left)


def test_the_other_protocols_leave_out_what_they_say(table):
    (lodo,) = tasks(table, "lodo")
    assert [n for n, _ in lodo.folds] == ["CASME II", "SAMM", "SMIC"]
    (units,) = tasks(table, "cd6me")
    assert units.target == "unit" and len(units.folds) == 3
    emotions = np.array([("happiness", "surprise", "disgust", "repression", "others")[i % 5] for i in range(len(table))])
    five = tasks(replace(table, emotion=emotions), "loso5")
    casme = next(t for t in five if t.name == "loso5-casme2")
    assert casme.moves.classes == ("happiness", "surprise", "disgust", "repression", "others")
    assert set(casme.moves.database) == {"CASME II"}


def test_a_table_without_the_protocols_databases_is_told_so():
    with pytest.raises(SystemExit, match="--databases"):
        tasks(small_table(databases=("mine",)), "megc2019")
    assert len(tasks(small_table(databases=("mine",)), "megc2019", ("mine",))[0].folds) == 4
    with pytest.raises(SystemExit, match="left out"):
        tasks(small_table(databases=("mine",)), "lodo")


def plan_of(table, tiny, quick, folder, **change):
    cfg = replace(quick, **change)
    return make_plan(tasks(table, "megc2019"), small(tiny), cfg, folder, lambda _: None)


@pytest.mark.parametrize("tune", ["all", "head", "last"])
def test_what_is_left_out_cannot_be_chosen_on(tmp_path, table, tiny, quick, tune):
    """Whatever the labels of the left-out subject are, and whatever its movements are, the same network comes out of
    its fold; and with the same movements, the same answers."""
    few = replace(quick.finetune, tune=tune, pretrained="none" if tune == "all" else "synthetic", validation=0.3)
    cfg = replace(quick, finetune=few)
    r = replace(small(tiny), data=replace(tiny.data, samples=300))
    (task,) = tasks(table, "megc2019")
    out = task.folds[2][1]
    rng = np.random.default_rng(0)
    lied = replace(task.moves, y=np.where(out, (task.moves.y + 1) % 3, task.moves.y))
    moved = replace(lied, x=np.where(out[:, None, None], lied.x + rng.normal(size=lied.x.shape).astype(np.float32), lied.x))
    found = []
    for k, m in enumerate((task.moves, lied, moved)):
        folder = tmp_path / str(k)
        plan = make_plan([replace(task, moves=m)], r, cfg, folder, lambda _: None)
        crossval._enter(plan)
        job = Job(0, MAIN, 1, 2)
        crossval.run_job(job)
        found.append(json.loads(plan.path(job).read_text()))
    assert found[0]["probs"] == found[1]["probs"] and found[0]["loss"] == found[1]["loss"] == found[2]["loss"]
    assert found[0]["kept"] == found[2]["kept"] and found[0]["probs"] != found[2]["probs"]
    for function in (learn, finetune.tune_head, finetune.fit):
        assert not [p for p in inspect.signature(function).parameters if "test" in p or "left" in p or "out" in p]


def test_validation_subjects_are_training_subjects_and_whole(table):
    train, left = tasks(table, "megc2019")[0].split(0)
    aside = validation_subjects(train, 0.3, 1)
    assert 0 < aside.sum() < len(train)
    assert not set(train.subject[aside]) & set(train.subject[~aside]) and not set(train.subject[aside]) & set(left.subject)


def test_features_of_other_rows_are_refused(table, tiny, tmp_path):
    cfg = FinetuneConfig(pretrain_epochs=1, pretrain_samples=200, epochs=1, copies=1)
    recipe = replace(finetune.recipe_for(table, small(tiny), False, cfg))
    path = finetune.pretrain(recipe, tmp_path)
    whole = finetune.freeze(finetune.start(recipe.model, path, 1)[0], table, cfg, 1)
    assert isinstance(whole, Frozen)
    with pytest.raises(ValueError, match="other rows"):
        learn(recipe.model, table.take(np.arange(10)), cfg, path, 1, recipe.fit, whole)


def test_two_workers_and_two_shards_give_what_one_gives(tmp_path, table, tiny, quick):
    two = table.take(np.isin(table.subject, [f"{d}/{n}" for d in ("SMIC", "CASME II", "SAMM") for n in (0, 1)]))
    told: list[tuple[int, int]] = []
    one = plan_of(two, tiny, quick, tmp_path / "one")
    crossval.run(one, one.jobs(), 1, lambda *d: told.append(d))
    assert told[-1] == (len(one.jobs()), len(one.jobs()))
    parts = plan_of(two, tiny, quick, tmp_path / "parts")
    jobs = parts.jobs()
    mine = [crossval.shard(jobs, f"{i}/2") for i in (1, 2)]
    assert sorted(map(Job.name, mine[0] + mine[1])) == sorted(map(Job.name, jobs)) and not set(mine[0]) & set(mine[1])
    crossval.run(parts, mine[0], 2, lambda *_: None)
    with pytest.raises(SystemExit, match="run the other shards"):
        crossval.collect(parts)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts" / "folds").iterdir()}
    crossval.run(parts, mine[1], 1, lambda *_: None)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items()), "what is there is not done again"
    a, b = crossval.collect(one), crossval.collect(parts)
    assert all(np.allclose(a[k]["probs"], b[k]["probs"], atol=2e-6) for k in a)
    result = compare.summary(parts, b)
    assert {m["name"] for m in result["tasks"][0]["methods"]} == {MAIN, "LDA", "linear SVM"}
    assert "UF1" in compare.text(result)
    for wrong in ("3/2", "0/2", "x"):
        with pytest.raises(SystemExit, match="fold-shard"):
            crossval.shard(jobs, wrong)


def test_action_units_are_evaluated_over_databases(tmp_path, table, tiny, quick):
    plan = make_plan(tasks(table, "cd6me"), small(tiny), quick, tmp_path, lambda _: None)
    crossval.run(plan, plan.jobs(), 1, lambda *_: None)
    (task,) = compare.summary(plan, crossval.collect(plan))["tasks"]
    assert [m["name"] for m in task["methods"]] == [MAIN, "LDA"]
    assert len(task["methods"][0]["units"]) == 12 and 0 <= task["methods"][0]["f1_macro"] <= 1


def test_baselines_learn_what_is_linear_and_know_no_label_of_the_rest():
    rng = np.random.default_rng(0)
    m = small_table(6, 60, databases=("a",))
    x = rng.normal(0, 0.01, m.x.shape).astype(np.float32)
    # A direction for each class: one against the rest is then linear for every class.
    x[..., 2] += 0.03 * (m.y[:, None] == 1)
    x[..., 3] += 0.03 * (m.y[:, None] == 2)
    m = replace(m, x=x)
    train, left = m.take(m.subject != "a/0"), m.take(m.subject == "a/0")
    for kind in ("LDA", "linear SVM"):
        p = baseline.predict(kind, train, crossval.blind(left), 1)
        assert p.shape == (len(left), 3) and (p.argmax(1) == left.y).mean() >= 0.9, kind


def test_verdicts_say_what_is_so(table):
    task = tasks(table, "megc2019")[0]
    right, wrong = np.eye(3)[task.moves.y], np.eye(3)[(task.moves.y + 1) % 3]
    assert "is worse than LDA" in compare.verdicts(task, {MAIN: wrong, "LDA": right})[0]["text"]
    assert "is better than LDA" in compare.verdicts(task, {MAIN: right, "LDA": wrong})[0]["text"]
    assert "not shown to differ" in compare.verdicts(task, {MAIN: right, "LDA": right})[0]["text"]


def test_the_shifted_bed_has_the_counts_of_megc2019_and_nobody_of_training(tiny):
    m = shifted()
    assert np.bincount(m.y).tolist() == [250, 109, 83] and len(np.unique(m.subject)) == 68
    assert [int((m.database == d[0]).sum()) for d in DATABASES] == [164, 145, 133]
    assert np.array_equal(shifted().x, m.x) and not np.array_equal(shifted(7002).x, m.x)


def test_a_pretrained_network_brings_its_weights_and_a_new_head_where_classes_differ(tmp_path, table, tiny):
    cfg = FinetuneConfig(pretrain_epochs=1, pretrain_samples=200)
    recipe = finetune.recipe_for(table, small(tiny), False, cfg)
    path = finetune.pretrain(recipe, tmp_path)
    stamp = path.stat().st_mtime_ns
    assert finetune.pretrain(recipe, tmp_path) == path and path.stat().st_mtime_ns == stamp, "made once"
    saved = torch.load(path, weights_only=True)["weights"]
    (same, known), (five, new) = finetune.start(recipe.model, path, 1), finetune.start(replace(recipe.model, classes=5), path, 1)
    assert known and not new
    swapped, _ = finetune.start(recipe.model, path, 1, ("surprise", "negative", "positive"))
    assert torch.equal(swapped.head.weight, saved["head.weight"][[2, 0, 1]]), "classes go by name"
    assert not finetune.start(recipe.model, path, 1, ("a", "b", "c"))[1]
    assert torch.equal(same.head.weight, saved["head.weight"]) and five.head.weight.shape[0] == 5
    assert torch.equal(five.streams[0][0].lin.weight, saved["streams.0.0.lin.weight"])
    with pytest.raises(SystemExit, match="does not fit"):
        finetune.start(ModelConfig(classes=3), path, 1)
