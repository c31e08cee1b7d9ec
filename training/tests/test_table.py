import json

import numpy as np
import pytest

from mercam_training import steps
from mercam_training.actions import CLASSES
from mercam_training.face import COUNT
from mercam_training.moves import from_table
from mercam_training.table import MovementTable, TableError, concat, load_table, make_header, make_table, save_table


def mine(rows: int = 6) -> MovementTable:
    """Somebody's own features: optical flow u, v and strain at the 51 landmarks, five classes."""
    rng = np.random.default_rng(3)
    classes = ["happiness", "surprise", "disgust", "repression", "others"]
    return make_table(
        rng.normal(size=(rows, 51, 3)), np.arange(rows) % 5, [f"s{i // 2}" for i in range(rows)], classes,
        features=("u", "v", "strain"), database="casme2", aus=["4+L12"] * rows, iod=80, fps=200, extra={"clip": np.array(["EP01"] * rows)},
    )  # fmt: skip


def test_features_of_others_come_back_as_they_went(tmp_path):
    t = mine()
    save_table(tmp_path / "t.npz", t)
    back = load_table(tmp_path / "t.npz")
    assert back.header == t.header and back.extra["clip"].tolist() == ["EP01"] * 6
    for key in ("x", "label", "subject", "database", "aus", "iod", "fps"):
        assert np.array_equal(getattr(back, key), getattr(t, key)), key
    assert back.x.dtype == np.float32 and back.label.dtype == np.int64
    assert back.mirror_sign.tolist() == [-1, 1, 1] and not back.is_place.any()
    assert set(back.components) == {"right_brow", "left_brow", "nose", "right_eye", "left_eye", "mouth"}
    assert np.array_equal(back.mirror[back.mirror], np.arange(51)) and back.mirror[0] == 26 - 17


def test_a_table_made_with_numpy_alone_is_read(tmp_path):
    """The recipe of the reference page, without this package."""
    header = {"format": "mercam-movement-table", "version": 2, "nodes": list(range(48, 68)), "features": ["u", "v"], "classes": ["a", "b"]}
    np.savez(tmp_path / "t.npz", header=json.dumps(header), x=np.zeros((3, 20, 2)), label=[0, 1, 0], subject=["1", "2", "2"])
    t = load_table(tmp_path / "t.npz")
    assert len(t) == 3 and t.database.tolist() == ["", "", ""] and np.isnan(t.iod).all() and t.components == {"mouth": list(range(20))}
    assert t.groups.tolist() == ["/1", "/2", "/2"]


def test_another_numbering_names_its_own_components(tmp_path):
    own = {"scheme": "mesh478", "components": {"brows": [0, 1], "mouth": [2]}, "mirror": [1, 0, 2], "kind": ["place", "movement"]}
    t = make_table(np.ones((2, 3, 2)), [0, 0], ["a", "b"], ["c"], nodes=(336, 107, 13), features=("depth", "w"), header=own)
    assert t.components["mouth"] == [2] and t.mirror.tolist() == [1, 0, 2] and t.is_place.tolist() == [True, False]
    with pytest.raises(TableError, match="components"):
        make_table(t.x, t.label, t.subject, ["c"], nodes=(336, 107, 13), features=("a", "b"), header={"scheme": "mesh478"})


def test_half_a_face_has_no_mirror_image():
    t = make_table(np.zeros((1, 5, 1)), [0], ["a"], ["c"], nodes=range(17, 22), features=["u"])
    assert t.mirror is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": np.array([0, 1, 2, 3, 4, 7])}, r"row 6, column label: 7 .*0 to 4"),
        ({"label": np.zeros(6)}, "label.*float64"),
        ({"subject": np.array(["a"] * 5)}, "subject.*6 rows"),
        ({"subject": np.array(["a", "", "b", "c", "d", "e"])}, "row 2, column subject"),
        ({"x": np.zeros((6, 50, 3))}, r"\[6, 50, 3\].*51 nodes, 3 features"),
        ({"x": np.zeros((0, 51, 3))}, "no rows"),
        ({"aus": np.array(["4", "R12", "", "-", "4 & 7", "1"])}, "row 5, column aus: '4 & 7'.*4\\+L12"),
        ({"fps": np.array([200, 200, 0, 1, 1, 1])}, "row 3, column fps.*above 0"),
        ({"iod": np.array(["a"] * 6)}, "iod.*numbers"),
    ],
)
def test_a_wrong_array_is_named_with_its_place(tmp_path, change, says):
    save_table(tmp_path / "t.npz", mine())
    with np.load(tmp_path / "t.npz") as z:
        arrays = {k: z[k] for k in z.files}
    np.savez(tmp_path / "t.npz", **(arrays | change))
    with pytest.raises(TableError, match=says):
        load_table(tmp_path / "t.npz")


def test_a_value_that_is_no_number_is_named_by_row_and_landmark(tmp_path):
    t = mine()
    t.x[3, 48 - 17, 2] = np.inf
    with pytest.raises(TableError, match="row 4, column strain48: not finite"):
        save_table(tmp_path / "t.npz", t)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other"}, "format"),
        ({"version": 3}, "reads 2"),
        ({"nodes": [*range(50), 49]}, "49 twice"),
        ({"nodes": [*range(50), 68]}, "68, and iBUG"),
        ({"features": "uvs"}, "features"),
        ({"mirror": [0]}, "mirror"),
        ({"mirror_sign": [1, 1]}, "mirror_sign"),
        ({"kind": ["place", "x", "y"]}, "kind"),
        ({"kind": [1, [2], "x"]}, "list of words"),
        ({"mirror": [0, "1"]}, "list of whole numbers"),
        ({"components": {"a": 3}}, "object of lists"),
        ({"components": {"a": [0, 51]}}, "51, which is no node"),
        ({"components": {"a": [0], "b": [0]}}, "'a' and 'b'"),
    ],
)
def test_a_wrong_header_is_named_with_its_key(tmp_path, change, says):
    t = mine()
    np.savez(tmp_path / "t.npz", header=json.dumps(t.header | change), x=t.x, label=t.label, subject=t.subject)
    with pytest.raises(TableError, match=says):
        load_table(tmp_path / "t.npz")


def test_files_that_are_no_tables_are_refused(tmp_path):
    cases = {"a.npz": b"nonsense", "b.txt": b"", "c.npz": None}
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(TableError, match=name):
            load_table(tmp_path / name)
    np.savez(tmp_path / "d.npz", header=json.dumps(make_header(["a"])), x=np.zeros((1, 51, 4)), label=[0])
    with pytest.raises(TableError, match="'subject' is missing"):
        load_table(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", header="{", x=np.zeros((1, 51, 4)), label=[0], subject=["a"])
    with pytest.raises(TableError, match="not JSON"):
        load_table(tmp_path / "e.npz")
    np.savez(tmp_path / "f.npz", header="{}", x=np.zeros((1, 51, 4)), label=[0], subject=np.array([None], object))
    with pytest.raises(TableError, match="Python objects"):
        load_table(tmp_path / "f.npz")


def test_csv_carries_database_units_and_scale(tmp_path, samples):
    x = samples.x[:4]
    t = make_table(x, [0, 1, 2, 3], ["a"] * 4, CLASSES, database="smic", aus=["4", "", "-", "L14"], iod=[60, 70, np.nan, 80], fps=100)
    save_table(tmp_path / "t.csv", t)
    back = load_table(tmp_path / "t.csv")
    assert np.abs(back.x - t.x).max() < 1e-5 and back.aus.tolist() == t.aus.tolist()
    assert np.array_equal(back.iod, t.iod, equal_nan=True) and back.groups.tolist() == ["smic/a"] * 4
    with pytest.raises(TableError, match="write .npz"):
        save_table(tmp_path / "u.csv", mine())
    text = (tmp_path / "t.csv").read_text().replace("smic,4,60", "smic,4,wide")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match="line 2, column iod: 'wide'"):
        load_table(tmp_path / "t.csv")


def test_tables_join_when_they_agree(tmp_path):
    a, b = mine(), mine(4)
    both = concat([a, b])
    assert len(both) == 10 and both.extra["clip"].shape == (10,)
    assert len(both.select(both.label == 0)) == 3
    with pytest.raises(TableError, match="tables 1 and 2 differ in features"):
        concat([a, make_table(np.zeros((1, 51, 1)), [0], ["a"], a.classes, features=["u"])])


def test_the_shipped_network_refuses_features_it_does_not_know():
    props = {"landmarks": "[17, 18]", "features": '["x", "y", "dx", "dy"]'}
    with pytest.raises(SystemExit, match="51 nodes with u, v, strain"):
        steps._fits(from_table(mine()), props, "t.npz")


def test_the_reference_page_shows_a_header_that_is_accepted():
    page = (table_page()).read_text(encoding="utf-8")
    block = page.split("```json\n")[1].split("```")[0]
    header = json.loads(block)
    t = make_table(np.zeros((1, len(header["nodes"]), len(header["features"]))), [0], ["a"], header["classes"],
                   nodes=header["nodes"], features=header["features"], header=header)  # fmt: skip
    assert len(t.nodes) <= COUNT


def table_page():
    from pathlib import Path

    return Path(__file__).parents[2] / "docs" / "reference" / "movement-table.md"


def test_a_damaged_file_is_refused_and_nothing_else_happens(tmp_path):
    """Bytes changed, cut off and swapped at random: either it still reads, or it says which file is wrong."""
    path, rng = tmp_path / "t.npz", np.random.default_rng(7)
    save_table(path, mine())
    whole = path.read_bytes()
    refused = 0
    for k in range(300):
        b = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            b[rng.integers(len(b))] = rng.integers(256)
        path.write_bytes(bytes(b[: rng.integers(len(b))]) if k % 5 == 0 else bytes(b))
        try:
            load_table(path)
        except TableError as e:
            assert "t.npz" in str(e)
            refused += 1
    assert refused > 100
