import json
import sys

import numpy as np
import pytest

from mercam_training import cli, manifest, table
from mercam_training.card import BEGIN, END, write
from mercam_training.evaluate import calibration_error, ceiling, confusion, report, scores


def test_scores_of_a_small_matrix_worked_by_hand():
    m = confusion(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), 3)
    assert m.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    r = scores(m)
    assert r["f1"] == pytest.approx([4 / 6, 4 / 5, 0])
    assert r["uf1"] == pytest.approx((4 / 6 + 4 / 5) / 3) and r["uar"] == pytest.approx((2 / 3 + 1) / 3)


def test_calibration_error_is_the_gap_between_confidence_and_truth():
    sure = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0)
    assert calibration_error(sure, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)


def test_the_ceiling_is_below_one_because_classes_share_units(samples):
    assert 0.8 < ceiling(samples) < 1
    r = report(np.eye(4)[samples.y], samples)
    assert r["uf1"] == 1 and r["ece"] == 0 and set(r["rejected"].values()) == {1.0}


def test_a_table_comes_back_as_it_went(tmp_path, samples):
    path = tmp_path / "t.csv"
    few = type(samples)(*(v[:20] for v in vars(samples).values()))
    table.write(path, few)
    back = table.read(path)
    assert np.abs(back.x - few.x).max() < 1e-5 and (back.y == few.y).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace("dy67", "other", 1), "dy67"),
        (lambda t: t.replace("\n0,", "\n0,joy?", 1), "class"),
        (lambda t: t.rstrip().rsplit(",", 1)[0] + ",nan\n", "line 2"),
        (lambda t: t.rstrip().rsplit(",", 1)[0] + ",much\n", "not a number"),
        (lambda t: t.split("\n")[0] + "\n", "no rows"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(tmp_path, samples, change, says):
    path = tmp_path / "t.csv"
    one = type(samples)(*(v[:1].copy() for v in vars(samples).values()))
    one.subject[:] = 0
    table.write(path, one)
    path.write_text(change(path.read_text().replace("\r\n", "\n")))
    with pytest.raises(SystemExit, match=says):
        table.read(path)


def test_unknown_configuration_keys_are_named(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[train]\nepoch = 3\n")
    with pytest.raises(SystemExit, match=r"train\.epoch"):
        cli.configuration(path)
    path.write_text("[train]\nepochs = 3\n[model]\nwidths = [8, 8]\n")
    c = cli.configuration(path)
    assert c["train"].epochs == 3 and c["model"].widths == (8, 8)


def test_the_card_keeps_its_prose_and_is_never_invented(tmp_path):
    with pytest.raises(SystemExit, match="markers"):
        write(tmp_path / "MODEL_CARD.md", {})


def test_all_steps_in_a_row_make_a_folder_that_agrees_with_its_manifest(tmp_path, monkeypatch, capsys):
    models, config = tmp_path / "models", tmp_path / "c.toml"
    models.mkdir()
    (models / "MODEL_CARD.md").write_text(f"# Card\nprose\n{BEGIN}\nold\n{END}\nmore\n")
    config.write_text("[train]\nsamples = 1500\nepochs = 1\npeople = [100, 30, 30]\n")
    args = ["all", "--config", config, "--run", tmp_path / "run", "--models", models, "--fixture", tmp_path / "f.bin", "--count", "500"]
    monkeypatch.setattr(sys, "argv", ["mercam-train", *map(str, args)])
    cli.main()
    assert "UF1" in capsys.readouterr().out
    card = (models / "MODEL_CARD.md").read_text()
    assert card.startswith("# Card\nprose") and card.endswith("more\n") and "old" not in card and "Confusion" in card
    listed = (models / "manifest.toml").read_text()
    for name, _ in manifest.FILES:
        assert manifest.sha256(models / name) in listed
    result = json.loads((models / "evaluation.json").read_text())
    assert result["parity"]["export_gap"] < 1e-5 and result["held_back"]["int8"]["samples"] == 500
    assert (tmp_path / "f.bin").read_bytes()[:4] == b"DGP1"
