"""prepare end to end: a miniature CASME II and SMIC with real pictures (a public-domain portrait, warped), the real binary."""

import csv
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import trees

from mercam_training import cli, table
from mercam_training.datasets import extract
from mercam_training.table import load_table

REPOSITORY = Path(__file__).resolve().parents[2]


def prepare(monkeypatch, *args) -> None:
    monkeypatch.setattr(sys, "argv", ["mercam-train", "prepare", *map(str, args)])
    cli.main()


def rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


@pytest.fixture(scope="module")
def binary() -> Path:
    try:
        return extract.find_binary(None)
    except SystemExit as e:
        pytest.skip(f"no mercam to run: {e}")


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """The astronaut of scikit-image (NASA, public domain), which the Rust tests have fetched; grey, twice its size."""
    cache = Path(os.environ.get("MERCAM_CACHE") or REPOSITORY / "target")
    found = sorted((cache / "fixtures").glob("scikit-image-*/astronaut.png"))
    if not found:
        pytest.skip("the test portrait is not in the cache: run `cargo test --test fixtures` first, or set MERCAM_CACHE")
    image = pytest.importorskip("PIL.Image")
    with image.open(found[0]) as p:
        return np.asarray(p.convert("L").crop((140, 40, 340, 240)).resize((400, 400), image.Resampling.BICUBIC), np.float64)


def warped(picture: np.ndarray, places, shift, sigma: float = 26.0) -> np.ndarray:
    """The picture with its skin moved by `shift` pixels at each of `places` (x, y)."""
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(float)
    weight = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2 / sigma**2) for a, b in places)
    u, v = np.clip(x - shift[0] * weight, 0, x.max() - 1.001), np.clip(y - shift[1] * weight, 0, y.max() - 1.001)
    i, j = u.astype(int), v.astype(int)
    s, t = u - i, v - j
    top = picture[j, i] * (1 - s) + picture[j, i + 1] * s
    low = picture[j + 1, i] * (1 - s) + picture[j + 1, i + 1] * s
    return top * (1 - t) + low * t


#: Corners of the mouth in the portrait, pixels.
MOUTH = ((122, 199), (210, 204))
#: How far they rise.
RISE = 4.0


def film(folder: Path, picture: np.ndarray, numbers, rise: float, ending: str = "jpg", kind: str = "img{}.") -> None:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    numbers = list(numbers)
    for k, n in enumerate(numbers):
        part = rise * min(1, k / (len(numbers) // 2))
        pixels = warped(picture, MOUTH, (0, -part)) if picture.std() > 0 else picture
        Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8)).save(folder / (kind.format(n) + ending), quality=98)


@pytest.fixture(scope="module")
def casme2(tmp_path_factory, portrait) -> Path:
    root = tmp_path_factory.mktemp("casme2")
    head = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion"]
    lines = [
        head,
        [1, "EP02_01f", None, 46, 51, 56, None, "12", "happiness"],
        [2, "EP03_02", None, 10, "/", 20, None, "4", "disgust"],
        [2, "EP04_01", None, 1, 3, 6, None, "12", "others"],
        [3, "EP05_01", None, 1, 3, 6, None, "1+2", "surprise"],  # no face in it
        [3, "EP06_01", None, 1, 3, 6, None, "1+2", "surprise"],  # damaged pictures
    ]
    trees.book(root / "CASME2-coding-20140508.xlsx", {"Sheet1": lines})
    images = root / "CASME2_RAW_selected"
    film(images / "sub01" / "EP02_01f", portrait, range(46, 57), RISE)
    film(images / "sub02" / "EP03_02", portrait, range(10, 21), 0)
    film(images / "sub02" / "EP04_01", portrait, range(1, 7), 0)
    film(images / "sub03" / "EP05_01", np.full((200, 200), 90.0), range(1, 7), 0)
    trees.pictures(images / "sub03" / "EP06_01", range(1, 7))
    return root


def test_a_database_becomes_a_table_that_measures_what_moved(tmp_path, monkeypatch, capsys, binary, casme2):
    out = tmp_path / "t.npz"
    prepare(monkeypatch, "--dataset", "casme2", "--root", casme2, "--out", out, "--mercam", binary, "--jobs", 2)
    said = capsys.readouterr()
    t = load_table(out)
    assert t.classes == ("negative", "positive", "surprise") and t.features == table.FEATURES and t.nodes == table.LANDMARKS
    assert (
        t.extra["clip"].tolist() == ["EP02_01f", "EP03_02"]
        and t.label.tolist() == [1, 0]
        and t.groups.tolist() == ["casme2/01", "casme2/02"]
    )
    assert t.aus.tolist() == ["12", "4"] and t.fps.tolist() == [200, 200] and t.extra["apex"].tolist() == [51, 15]
    assert t.extra["apex_known"].tolist() == [True, False] and (np.abs(t.iod - 87) < 9).all()
    # The corners rose by RISE pixels; the brows stayed.
    corners = t.x[0, [48 - 17, 54 - 17], 3] * t.iod[0]
    assert (corners < -0.6 * RISE).all() and (corners > -1.3 * RISE).all(), corners
    assert np.abs(t.x[0, :10, 2:]).max() * t.iod[0] < 0.15 * RISE
    assert np.hypot(t.x[1, :, 2], t.x[1, :, 3]).max() * t.iod[1] < 0.3
    # Everything left out has its reason, in the summary and on the terminal.
    clips = {r["clip"]: r for r in rows(tmp_path / "t.npz.clips.csv")}
    assert len(clips) == 5 and clips["EP02_01f"]["used"] == "yes" and clips["EP02_01f"]["class"] == "positive"
    assert clips["EP04_01"]["reason"].startswith("emotion others") and clips["EP05_01"]["reason"].startswith("no face")
    assert clips["EP06_01"]["reason"].startswith("mercam failed") and clips["EP06_01"]["mend"]
    assert "casme2:" in said.out and "5      2         3" in said.out and "5/5" not in said.err and "4/4 clips" in said.err
    findings = rows(tmp_path / "t.npz.findings.csv")
    assert {f["clip"] for f in findings} == {"EP05_01", "EP06_01"} and all(f["mend"] for f in findings)
    # Again: everything comes from the cache; a changed picture does not.
    ran = []
    original = extract.Extractor._run
    monkeypatch.setattr(extract.Extractor, "_run", lambda self, files, fps: ran.append(files[0].parent.name) or original(self, files, fps))
    (casme2 / "CASME2_RAW_selected" / "sub02" / "EP03_02" / "img12.jpg").write_bytes(
        (casme2 / "CASME2_RAW_selected" / "sub01" / "EP02_01f" / "img46.jpg").read_bytes() + b" "
    )
    again = tmp_path / "again.npz"
    prepare(monkeypatch, "--dataset", "casme2", "--root", casme2, "--out", again, "--mercam", binary, "--cache", tmp_path / "t.npz.cache")
    assert sorted(ran) == ["EP03_02", "EP05_01", "EP06_01"]
    assert np.array_equal(load_table(again).x[0], t.x[0])


def test_bitmaps_peaks_and_several_databases_in_one_table(tmp_path, monkeypatch, capsys, binary, casme2, portrait):
    film(tmp_path / "SMIC" / "HS" / "s1" / "micro" / "positive" / "s1_po_01", portrait, range(120, 131), RISE, "bmp", "image{:06}.")
    out = tmp_path / "both.npz"
    both = ["--dataset", "casme2", "--root", casme2, "--dataset", "smic-hs", "--root", tmp_path / "SMIC"]
    prepare(monkeypatch, *both, "--out", out, "--mercam", binary, "--missing-apex", "peak", "--interval", "whole", "--jobs", 1)
    t = load_table(out)
    assert t.database.tolist() == ["casme2", "casme2", "smic-hs"] and t.groups[2] == "smic-hs/s01"
    assert t.x[2, 48 - 17, 3] * t.iod[2] < -0.6 * RISE and t.extra["apex"][2] >= 124 and t.fps[2] == 100
    prepare(monkeypatch, *both, "--out", tmp_path / "known.csv", "--mercam", binary, "--missing-apex", "exclude", "--cache", f"{out}.cache")
    assert len(load_table(tmp_path / "known.csv")) == 1 and "apex not known" in capsys.readouterr().out


def test_a_dry_run_needs_no_mercam_and_writes_no_table(tmp_path, monkeypatch, capsys):
    root = trees.megc2019(tmp_path / "megc")
    monkeypatch.setenv("MERCAM_BIN", str(tmp_path / "nothing"))
    prepare(monkeypatch, "--dataset", "megc2019", "--root", root, "--out", tmp_path / "t.npz", "--dry-run")
    said = capsys.readouterr().out
    assert (
        not (tmp_path / "t.npz").exists()
        and "smic-hs" in said
        and "no folder (as EP99_01)" in said
        and "negative  positive  surprise" in said
    )
    clips = rows(tmp_path / "t.npz.clips.csv")
    assert len(clips) == 8 and sum(c["used"] == "yes" for c in clips) == 6
    with pytest.raises(SystemExit, match="nothing: there is no such file"):
        prepare(monkeypatch, "--dataset", "megc2019", "--root", root, "--out", tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--dataset", "samm"], "1 --dataset and 2 --root"),
        (["--dataset", "samm", "--dataset", "casme2", "--classes", "5"], "different classes"),
        (["--dataset", "samm", "--dataset", "casme2", "--jobs", "0"], "--jobs is 0"),
        (["--dataset", "samm", "--dataset", "casme2", "--out", "t.parquet"], "t.parquet"),
        (["--dataset", "samm", "--dataset", "casme2", "--corrections", "none.csv"], "none.csv"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, monkeypatch, args, says):
    roots = ["--root", trees.samm(tmp_path / "SAMM"), "--root", trees.casme2(tmp_path / "CASME2")]
    out = [] if "--out" in args else ["--out", tmp_path / "t.npz"]
    with pytest.raises(SystemExit, match=says):
        prepare(monkeypatch, *args, *roots, *out, "--dry-run")


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_failures_of_mercam_are_kept_by_clip(tmp_path, monkeypatch, capsys):
    root = trees.casme(tmp_path / "casme")
    base = ["--dataset", "casme", "--root", root, "--out", tmp_path / "t.npz", "--classes", "native"]
    fails = script(tmp_path / "fails", 'test "$1" = --version && echo fake 1 && exit 0; echo "pictures differ in size" >&2; exit 1')
    with pytest.raises(SystemExit, match="no clip can be used"):
        prepare(monkeypatch, *base, "--mercam", fails)
    clips = rows(tmp_path / "t.npz.clips.csv")
    assert len(clips) == 3 and all("status 1: pictures differ in size" in c["reason"] for c in clips)
    slow = script(tmp_path / "slow", 'test "$1" = --version && echo fake 1 && exit 0; exec sleep 20')
    with pytest.raises(SystemExit, match="no clip can be used"):
        prepare(monkeypatch, *base, "--mercam", slow, "--timeout", "0.2")
    assert "too slow" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="does not run"):
        prepare(monkeypatch, *base, "--mercam", script(tmp_path / "broken", "exit 3"))


def landmark_lines(jump: float) -> str:
    """What `mercam extract` writes for four frames of a still face whose landmark 48 jumps."""
    from mercam_training.face import mean_face

    p = mean_face()
    head = ["time_us", "sequence", "lost", "face", "iod_px"] + [f"{c}_{k}" for k in range(68) for c in ("x", "y", "dx", "dy")]
    lines = [",".join(head)]
    for n in range(4):
        cells = [f"{n * 5000}", f"{n}", "0", "7", "80"]
        for k in range(68):
            cells += [f"{p[k, 0]:.6f}", f"{p[k, 1]:.6f}", "0", f"{jump if k == 48 and n > 1 else 0}"]
        lines.append(",".join(cells))
    return "\n".join(lines)


@pytest.mark.parametrize(("jump", "reason"), [(0.5, "tracking lost"), (0.02, "")])
def test_a_landmark_that_jumps_is_no_movement(tmp_path, monkeypatch, jump, reason):
    root = tmp_path / "casme"
    lines = [["Subject", "Filename", "OnsetF", "ApexF1", "OffsetF", "Emotion"], [1, "EP01_5", 1, 3, 4, "disgust"]]
    trees.book(root / "casme.xlsx", {"Sheet1": lines})
    trees.pictures(root / "CASME_raw_selected" / "sub01" / "EP01_5", range(1, 5))
    (tmp_path / "lines.csv").write_text(landmark_lines(jump))
    body = f'test "$1" = --version && echo fake 1 && exit 0; while [ "$1" != --out ]; do shift; done; cp "{tmp_path}/lines.csv" "$2"'
    args = [
        "--dataset",
        "casme",
        "--root",
        root,
        "--out",
        tmp_path / "t.npz",
        "--mercam",
        script(tmp_path / "fake", body),
        "--set",
        "a.b=1",
        "--interval",
        "whole",
    ]
    if reason:
        with pytest.raises(SystemExit, match="no clip can be used"):
            prepare(monkeypatch, *args)
        assert rows(tmp_path / "t.npz.clips.csv")[0]["reason"].startswith("tracking lost: landmark 48 moved 0.5")
        return
    prepare(monkeypatch, *args)
    t = load_table(tmp_path / "t.npz")
    assert t.x[0, 48 - 17, 3] == pytest.approx(0.02, abs=1e-4) and np.abs(np.delete(t.x[0, :, 2:], 48 - 17, 0)).max() < 1e-4
    assert t.header["prepared"]["mercam"] == "fake 1" and t.header["prepared"]["settings"] == ["a.b=1"]


def test_what_extract_wrote_before_becomes_rows_without_pictures(tmp_path, monkeypatch):
    root = tmp_path / "own"
    root.mkdir()
    (root / "a.csv").write_text(landmark_lines(0.02))
    (root / "b.csv").write_text("time,face\n1,2\n")
    lines = ["subject,clip,folder,onset,apex,offset,fps,emotion,aus", "anna,a,a.csv,0,2,3,200,happiness,12", "bert,b,b.csv,0,2,3,200,none,"]
    (root / "clips.csv").write_text("\n".join(lines))
    binary = script(tmp_path / "fake", 'test "$1" = --version && echo fake 1')
    prepare(monkeypatch, "--dataset", "own", "--root", root, "--out", tmp_path / "t.csv", "--classes", "3+none", "--mercam", binary)
    t = load_table(tmp_path / "t.csv")
    assert t.groups.tolist() == ["own/anna"] and t.x[0, 48 - 17, 3] == pytest.approx(0.02, abs=1e-4) and t.iod[0] == 80
    assert [t.classes[k] for k in t.label] == ["positive"]
    clips = {r["clip"]: r for r in rows(tmp_path / "t.csv.clips.csv")}
    assert "not what `mercam extract` writes" in clips["b"]["reason"] and clips["b"]["mend"]
