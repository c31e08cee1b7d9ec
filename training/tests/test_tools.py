import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tables import small_table

from mercam_training import cli, manifest, parity, settings
from mercam_training.card import BEGIN, END, write
from mercam_training.evaluate import ceiling, report
from mercam_training.moves import to_table
from mercam_training.table import load_table, make_table, save_table

TINY = """
[data]
samples = 1200
people = [100, 30, 30]
[fit]
epochs = 1
[finetune]
pretrain_epochs = 1
pretrain_samples = 300
epochs = 2
copies = 1
[evaluate]
seeds = [1]
ablations = false
"""


def command(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", ["mercam-train", *map(str, args)])
    cli.main()


def test_the_ceiling_is_below_one_because_classes_share_units(samples):
    assert 0.8 < ceiling(samples) < 1
    r = report(np.eye(4)[samples.y], samples)
    assert r["uf1"] == 1 and r["ece"] == 0 and set(r["rejected"].values()) == {1.0}


def test_unknown_settings_are_named(tmp_path):
    path = tmp_path / "c.toml"
    for text, says in (("[fit]\nepoch = 3\n", r"fit\.epoch"), ("[train]\nepochs = 3\n", r"unknown section \[train\]"),
                       ("[finetune.augment]\nmix = 1\n", r"finetune\.augment\.mix"), ("[fit\n", "c.toml")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(SystemExit, match=says):
            settings.load(path)
    with pytest.raises(SystemExit, match="no such experiment file"):
        settings.load(tmp_path / "none.toml")


def test_the_settings_in_force_come_back_as_they_were(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[fit]\nepochs = 3\n[model]\nwidths = [8, 8]\n[finetune.augment]\nmixup = 0.5\n[evaluate]\nseeds = [4]\n")
    e = settings.load(path)
    assert e.recipe.fit.epochs == 3 and e.recipe.model.widths == (8, 8) and e.finetune.augment.mixup == 0.5 and e.evaluate.seeds == (4,)
    settings.keep(e, tmp_path / "run")
    assert settings.load(tmp_path / "run" / "experiment.toml") == e
    assert "torch" in json.loads((tmp_path / "run" / "environment.json").read_text())["packages"]


def test_the_shipped_experiment_file_is_valid():
    assert settings.load(Path(__file__).parents[1] / "configs" / "shipped.toml").recipe.model.classes == 4


def test_every_command_explains_itself(capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--help"])
    listed = capsys.readouterr().out
    for name in ("synth", "train", "evaluate", "export", "quantise", "parity", "report", "all"):
        assert name in listed
        with pytest.raises(SystemExit):
            cli.parser().parse_args([name, "--help"])
        text = capsys.readouterr().out
        assert len(text) > 300 and "--config" in text, name


def test_the_card_keeps_its_prose_and_is_never_invented(tmp_path):
    with pytest.raises(SystemExit, match="markers"):
        write(tmp_path / "MODEL_CARD.md", {})


def test_all_steps_in_a_row_make_a_folder_that_agrees_with_its_manifest(tmp_path, monkeypatch, capsys):
    models, config = tmp_path / "models", tmp_path / "c.toml"
    models.mkdir()
    (models / "MODEL_CARD.md").write_text(f"# Card\nprose\n{BEGIN}\nold\n{END}\nmore\n")
    config.write_text(TINY)
    monkeypatch.setattr(parity, "ARGMAX", 0.9)  # a network of one short epoch answers many movements by a hair
    monkeypatch.setattr(parity, "FULL", 20)
    command(monkeypatch, "all", "--config", config, "--run", tmp_path / "run", "--models", models, "--fixture", tmp_path / "f.bin",
            "--count", 300, "--mercam", "none")  # fmt: skip
    assert "UF1" in capsys.readouterr().out
    card = (models / "MODEL_CARD.md").read_text()
    assert card.startswith("# Card\nprose") and card.endswith("more\n") and "old" not in card and "Confusion" in card
    listed = (models / "manifest.toml").read_text()
    for name, _ in manifest.FILES:
        assert manifest.sha256(models / name) in listed
    result = json.loads((models / "evaluation.json").read_text())
    assert result["parity"]["export_gap"] < 1e-5 and result["held_back"]["int8"]["samples"] == 300
    assert (tmp_path / "f.bin").read_bytes()[:4] == b"DGP1"
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<svg") >= 6 and "Held-back synthetic movements" in page and not re.search(r"src=|href=|url\(", page)
    assert (tmp_path / "run" / "experiment.toml").is_file()
    command(monkeypatch, "evaluate", "--models", models, "--table", save(tmp_path / "t.npz"))
    assert "int8 on" in capsys.readouterr().out


def save(path: Path) -> Path:
    save_table(path, to_table(small_table(), description="test"))
    return path


def test_a_table_is_evaluated_from_the_command_line_with_a_report(tmp_path, monkeypatch, capsys):
    config = tmp_path / "c.toml"
    config.write_text(TINY)
    run = tmp_path / "run"
    args = ["evaluate", "--config", config, "--run", run, "--table", save(tmp_path / "t.npz"), "--protocol", "lodo"]
    command(monkeypatch, *args, "--fold-shard", "1/2")
    assert "when all shards are done" in capsys.readouterr().out
    command(monkeypatch, *args)
    said = capsys.readouterr().out
    assert "linear SVM" in said and "backbone + ADM + RRM is" in said
    command(monkeypatch, "report", "--run", run, "--models", tmp_path)
    page = (run / "report.html").read_text()
    assert "Does it help?" in page and "negative (full shade" in page and "95 % interval" in page


def test_somebodys_optical_flow_trains_and_evaluates_without_a_change(tmp_path, monkeypatch, capsys):
    """Other features (u, v, strain), three classes, the protocol's databases: table to ONNX."""
    rng = np.random.default_rng(1)
    label = np.arange(36) % 3
    x = rng.normal(0, 0.1, (36, 51, 3))
    x[label == 1, 31:, 1] += 0.3
    t = make_table(x, label, [f"{i % 4}" for i in range(36)], ["negative", "positive", "surprise"], features=("u", "v", "strain"),
                   database=np.repeat(["SMIC", "CASME II", "SAMM"], 12))  # fmt: skip
    save_table(tmp_path / "t.npz", t)
    config = tmp_path / "c.toml"
    config.write_text(TINY + "[model]\nwidths = [8]\n")
    command(monkeypatch, "evaluate", "--config", config, "--run", tmp_path / "r", "--table", tmp_path / "t.npz", "--protocol", "megc2019")
    assert "from scratch" in (said := capsys.readouterr().out) and "in 12 folds" in said
    models = tmp_path / "models"
    for step in (["train", "--table", tmp_path / "t.npz", "--config", config], ["export", "--models", models], ["quantise", "--models", models]):
        command(monkeypatch, *step, "--run", tmp_path / "r")
    command(monkeypatch, "evaluate", "--models", models, "--table", tmp_path / "t.npz")
    assert "int8 on" in capsys.readouterr().out


def test_a_network_can_learn_from_several(tmp_path, monkeypatch):
    config = tmp_path / "c.toml"
    config.write_text(TINY.replace("samples = 1200", "samples = 256\nteachers = 2") + "[model]\nwidths = [8]\n")
    command(monkeypatch, "train", "--config", config, "--run", tmp_path / "r")
    one, two = (torch.load(tmp_path / "r" / f"teacher-{k}.pt", weights_only=True)["weights"]["head.weight"] for k in (1, 2))
    assert not torch.equal(one, two) and (tmp_path / "r" / "net.pt").is_file()


def test_the_shifted_bed_is_written(tmp_path, monkeypatch):
    command(monkeypatch, "synth", "--shifted", "--out", tmp_path / "bed.npz")
    assert len(load_table(tmp_path / "bed.npz")) == 442


def test_a_command_line_that_cannot_work_is_answered_in_words(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="--table"):
        command(monkeypatch, "evaluate", "--protocol", "lodo")
    with pytest.raises(SystemExit, match="mercam-train train"):
        command(monkeypatch, "export", "--run", tmp_path)
    with pytest.raises(SystemExit, match="components is 5"):
        (tmp_path / "c.toml").write_text("[model]\ncomponents = 5\n")
        command(monkeypatch, "train", "--config", tmp_path / "c.toml", "--run", tmp_path)
    with pytest.raises(SystemExit, match="cargo build"):
        parity.find_mercam(str(tmp_path / "mercam"))


def test_disagreement_is_found_and_the_worst_case_named():
    a = [np.array([[0.6, 0.4], [0.9, 0.1]]), np.zeros((2, 6)), np.zeros((2, 6, 6))]
    b = [np.array([[0.45, 0.55], [0.9, 0.1]]), np.zeros((2, 6)), np.zeros((2, 6, 6))]
    g = parity.gaps(a, b)
    assert g["argmax"] == 0.5 and g["worst"] == {"sample": 0, "first": [0.6, 0.4], "second": [0.45, 0.55]}
    bad = {"export_gap": 1e-3, "int8_argmax": 0.99, "tract": {"int8": g}}
    assert len(parity.failures(bad)) == 3 and not parity.failures({"export_gap": 1e-6, "int8_argmax": 1.0, "tract": {}})


def test_relations_are_gathered_by_component_as_mercam_does():
    w = np.random.default_rng(0).dirichlet(np.ones(12), (3, 12))
    r = parity.component_relations(w, 6)
    assert r.shape == (3, 6, 6) and np.allclose(r.sum(2), 1)
    assert r[0, 1, 2] == pytest.approx((w[0, 2, 4:6].sum() + w[0, 3, 4:6].sum()) / 2)


MERCAM = parity.find_mercam(None)


@pytest.mark.skipif(
    MERCAM is None or subprocess.run([str(MERCAM), "recognise", "--help"], capture_output=True, check=False).returncode != 0,
    reason="no mercam binary was built",
)
def test_mercam_answers_what_onnxruntime_answers(samples):
    import onnx

    models = Path(__file__).parents[2] / "models"
    _, x = parity.rounded(samples.x[:100])
    answers = {p: parity.run(onnx.load(models / f"dere_grl.{p}.onnx"), x) for p in ("fp32", "int8")}
    found = parity.compare_tract(MERCAM, models, x, answers, ["negative", "positive", "surprise", "none"])
    assert found["fp32"]["argmax"] == 1 and max(found["fp32"]["gap"].values()) < 1e-5 and found["int8"]["argmax"] > 0.98
