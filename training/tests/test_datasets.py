import re

import pytest
import trees

from mercam_training import datasets
from mercam_training.datasets import Corrections, DatasetError
from mercam_training.datasets.emotions import canonical, label_of, scheme_of
from mercam_training.datasets.sheet import SheetError
from mercam_training.datasets.units import action_units


def clips(inventory):
    return {c.name: c for c in inventory.clips}


def reasons(inventory):
    return {e.clip: e.reason for e in inventory.excluded}


def said(inventory, clip):
    return " | ".join(str(f) for f in inventory.findings if f.clip == clip)


def test_casme_believes_the_folder_where_the_sheet_is_wrong(tmp_path):
    i = datasets.load("casme", trees.casme(tmp_path))
    c = clips(i)
    assert i.found == 3 and not i.excluded
    assert (c["EP01_5"].onset, c["EP01_5"].apex, c["EP01_5"].offset) == (46, 52, 60) and c["EP01_5"].apex_known and c["EP01_5"].fps == 60
    assert c["EP01_5"].subject == "01" and c["EP01_5"].aus == "4" and len(c["EP01_5"].frames) == 15
    wrong = c["EP02_1"]
    assert (wrong.onset, wrong.apex, wrong.offset, wrong.apex_known) == (100, 125, 149, False) and wrong.emotion == "tense"
    assert re.search(
        r"casme.xlsx, row 3, column OnsetF: EP02_1: .*onset 200 is not among the frames 100 to 149; 100 is taken", said(i, "EP02_1")
    )
    assert c["EP03_4"].offset == 40 and "row 4, column OffsetF" in said(i, "EP03_4")


def test_casme2_with_its_slashes_and_wrong_offsets(tmp_path):
    i = datasets.load("casme2", trees.casme2(tmp_path))
    c = clips(i)
    assert i.found == 7 and reasons(i) == {"EP99_01": "no folder", "EP16_01": "unreadable folder"}
    assert "CASME2_RAW_selected/sub26/EP99_01" in said(i, "EP99_01") and "row 7" in said(i, "EP99_01")
    assert c["EP02_01f"].apex == 59 and c["EP02_01f"].fps == 200 and c["EP02_01f"].frames[0][1].name == "img46.jpg"
    assert (c["EP03_02"].apex, c["EP03_02"].apex_known, c["EP03_02"].aus) == (20, False, "4+L10") and not said(i, "EP03_02")
    assert c["EP12_01f"].offset == 91 and "offset 900" in said(i, "EP12_01f")
    assert c["EP13_02f"].aus == ""


def test_samm_below_its_free_text(tmp_path):
    i = datasets.load("samm", trees.samm(tmp_path))
    c = clips(i)
    assert i.found == 3 and not i.excluded
    assert (c["006_1_2"].onset, c["006_1_2"].apex, c["006_1_2"].subject, c["006_1_2"].aus) == (5562, 5584, "006", "R12+14")
    assert not c["006_1_3"].apex_known and c["006_1_3"].apex == 110 and c["006_1_3"].aus == "R12" and "first is taken" in said(i, "006_1_3")
    assert c["037_3_1"].offset == 70 and "row 17, column Offset Frame" in said(i, "037_3_1") and c["037_3_1"].aus == "4+7"


@pytest.mark.parametrize(("kind", "fps"), [("HS", 100), ("VIS", 25), ("NIR", 25)])
def test_smic_short_release_by_its_folders(tmp_path, kind, fps):
    i = datasets.load(f"smic-{kind.lower()}", trees.smic_short(tmp_path, kind))
    c = clips(i)
    assert set(c) == {"s01_ne_01", "s01_po_02", "s20_sur_01", "s20_ne_02"} and not i.excluded
    first = c["s01_ne_01"]
    assert (first.onset, first.apex, first.offset, first.apex_known, first.fps) == (120, 135, 149, False, fps)
    assert first.emotion == "negative" and first.subject == "s01" and first.database == f"smic-{kind.lower()}"
    assert c["s20_ne_02"].emotion == "surprise" and "named ne but lies in surprise" in said(i, "s20_ne_02")
    assert "holds no folder micro" in said(i, "s11")


def test_smic_long_release_by_its_sheet(tmp_path):
    i = datasets.load("smic-hs", trees.smic_long(tmp_path))
    assert i.found == 3 and reasons(i) == {"s01_sur_02": "onset not there"}
    shifted = clips(i)["s02_po_01"]
    assert (shifted.onset, shifted.offset) == (11, 31) and "column FirstF" in said(i, "s02_po_01") and "row 5" in said(i, "?")
    c = clips(i)["s01_ne_01"]
    assert (c.onset, c.apex, c.offset, len(c.frames)) == (140, 150, 160, 21)
    assert "column OnsetF" in said(i, "s01_sur_02") and "510 to 530" in said(i, "s01_sur_02")


def test_casme_squared_by_its_naming_rules(tmp_path):
    i = datasets.load("cas-me-2", trees.casme_squared(tmp_path))
    c = clips(i)
    assert i.found == 5 and reasons(i) == {"anger1_1@557": "macro-expression", "happy3_1@5": "no name"}
    assert c["disgust1_2@10"].subject == "s15" and c["disgust1_2@10"].apex == 16
    assert c["happy3_1@5"].offset == 9 and "offset None" in said(i, "happy3_1@5")
    assert not c["happy4_1@5"].apex_known and "the video of s16 lies there" in said(i, "happy4_1@5")


def test_casme_cubed_with_several_clips_in_one_video(tmp_path):
    i = datasets.load("cas-me-3", trees.casme_cubed(tmp_path))
    c = clips(i)
    assert i.found == 5 and reasons(i) == {"a@900": "onset not there"}
    assert c["b@175"].apex == 180 and c["b@196"].emotion == "happiness" and c["b@196"].aus == "6+12"
    assert not c["a@20"].apex_known and "apex 18" in said(i, "a@20")
    assert c["a@30"].offset == 33 and c["a@30"].aus == "4+7" and c["a@30"].apex == 33
    assert "row 5, column Onset" in said(i, "a@900") and "--corrections" in said(i, "a@900")


def test_corrections_replace_values_and_have_to_fit(tmp_path):
    trees.casme_cubed(tmp_path)
    fix = tmp_path / "fix.csv"
    fix.write_text("subject,clip,column,value\nspNO.2,a@900,onset,40\nspNO.2,a@900,apex,43\nspNO.2,a@900,offset,46\n")
    i = datasets.load("cas-me-3", tmp_path, Corrections.read(fix))
    assert not i.excluded and clips(i)["a@900"].apex == 43
    fix.write_text("subject,clip,column,value\nspNO.2,a@901,onset,40\n")
    with pytest.raises(DatasetError, match="no clip 'a@901'"):
        datasets.load("cas-me-3", tmp_path, Corrections.read(fix))
    fix.write_text("subject,clip,column,value\nspNO.2,a@900,start,40\n")
    with pytest.raises(DatasetError, match="line 2, column column: 'start'"):
        Corrections.read(fix)


def test_mmew_in_the_folder_of_another_emotion(tmp_path):
    i = datasets.load("mmew", trees.mmew(tmp_path))
    c = clips(i)
    assert i.found == 3 and not i.excluded
    assert c["S01-02-001"].offset == 30 and not c["S01-02-001"].apex_known
    assert c["S30-01-003"].emotion == "others" and "the clip lies in Micro_Expression/repression" in said(i, "S30-01-003")


def test_fourdme_one_hot_doubtful_and_swapped(tmp_path):
    i = datasets.load("4dme", trees.fourdme(tmp_path))
    c = clips(i)
    assert i.found == 147 and not i.excluded
    assert c["clip0"].aus == "4" and "marked doubtful" in said(i, "clip0")
    assert c["clip1"].emotion == "surprise" and "column Emotion" in said(i, "clip1")
    assert c["clip2"].emotion == "negative+surprise" and label_of("negative+surprise", "3", "4dme") == (
        "",
        "emotions negative+surprise of several classes",
    )
    assert label_of(c["clip3"].emotion, "3", "4dme") == ("negative", "")
    assert (c["clip143"].aus, c["clip144"].aus, c["clip145"].aus, c["clip146"].aus) == ("4", "6", "5", "7") and "row 146" in said(
        i, "clip144"
    )


def test_dfme_anywhere_below_the_root_with_a_rate_of_each_clip(tmp_path):
    i = datasets.load("dfme", trees.dfme(tmp_path))
    c = clips(i)
    assert i.found == 4 and not i.excluded
    assert (c["1_a"].onset, c["1_a"].apex, c["1_a"].fps) == (0, 40, 500) and not said(i, "1_a")
    assert (c["1_b"].onset, c["1_b"].apex, c["1_b"].offset, c["1_b"].emotion) == (0, 40, 80, "fear")
    assert "counted from the first file" in said(i, "1_b") and "0 is anger" in said(i, "1_b")
    assert "column Fps" in said(i, "2_a") and c["3_a"].fps == 300


def test_the_composite_list_takes_its_classes_from_the_list(tmp_path):
    i = datasets.load("megc2019", trees.megc2019(tmp_path))
    assert i.found == 8 and len(i.clips) == 6
    c = clips(i)
    assert {x.database for x in i.clips} == {"casme2", "smic-hs", "samm"}
    assert c["EP12_01f"].label == "negative" and c["s20_sur_01"].label == "surprise" and c["006_1_2"].label == "positive"
    assert "class is surprise, but" in said(i, "037_3_1") and c["037_3_1"].label == "surprise"
    assert reasons(i) == {"EP99_01": "no folder", "032_3_1": "not in its database"}
    assert "casme2 has 2 negative" in said(i, "casme2") and "results are not comparable" in said(i, "samm")
    (tmp_path / "SMIC").rename(tmp_path / "other")
    i = datasets.load("megc2019", tmp_path)
    assert len(i.clips) == 4 and i.found == 8 and "no folder smic" in said(i, "smic-hs")


@pytest.mark.parametrize(
    ("line", "says"),
    [("casme9,sub01,EP02_01f,1", "column database: 'casme9'"), ("samm,6,006_1_2,3", "column class: '3'"), ("samm,6", "2 columns")],
)
def test_a_damaged_list_is_refused_with_its_row(tmp_path, line, says):
    trees.megc2019(tmp_path)
    path = tmp_path / "combined_3class_gt.csv"
    path.write_text(path.read_text().replace("\r\n", "\n") + line + "\n")
    with pytest.raises(DatasetError, match=f"row 9.*{says}"):
        datasets.load("megc2019", tmp_path)


@pytest.mark.parametrize("name", sorted(datasets.DATASETS))
def test_an_empty_folder_says_what_has_to_be_there(tmp_path, name):
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path))):
        datasets.load(name, tmp_path)


def test_a_missing_column_a_broken_sheet_and_an_unknown_name(tmp_path):
    trees.casme2(tmp_path)
    path = tmp_path / "CASME2-coding-20140508.xlsx"
    trees.book(path, {"Sheet1": [["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"], [1, "EP02_01f", 1, 2, 3]]})
    with pytest.raises(SheetError, match=r"CASME2-coding-20140508.xlsx: sheet 'Sheet1': column 'Estimated Emotion' is missing"):
        datasets.load("casme2", tmp_path)
    path.write_bytes(b"not a sheet")
    with pytest.raises(SheetError, match="cannot be read as .xlsx"):
        datasets.load("casme2", tmp_path)
    with pytest.raises(DatasetError, match="unknown dataset 'casme4'; known are casme, casme2"):
        datasets.load("casme4", tmp_path)


def test_gaps_twins_and_double_rows_are_listed(tmp_path):
    trees.casme(tmp_path)
    images = tmp_path / "CASME_raw_selected" / "sub01" / "EP01_5"
    (images / "img50.jpg").unlink()
    (images / "img52.jpg").unlink()
    i = datasets.load("casme", tmp_path)
    assert clips(i)["EP01_5"].apex == 53 and "2 of the frames 46 to 60 are missing" in said(i, "EP01_5")
    trees.pictures(images, [53], "reg_img{}.jpg")
    assert "img53.jpg and reg_img53.jpg are both frame 53" in said(datasets.load("casme", tmp_path), "EP01_5")
    rows = [["Subject", "Filename", "OnsetF", "ApexF1", "OffsetF", "Emotion"], *[[12, "EP03_4", 20, 30, 40, "fear"]] * 2]
    trees.book(tmp_path / "casme.xlsx", {"Sheet1": rows})
    i = datasets.load("casme", tmp_path)
    assert i.reasons() == {"listed twice": 1} and "casme.xlsx, row 2" in said(i, "EP03_4")


@pytest.mark.parametrize(
    ("text", "aus"),
    [("4+7", "4+7"), ("L14", "L14"), ("R12B + R15", "R12+R15"), ("A4C", "4"), ("AU4+AU7(k)", "4"), ("4+7?", "4+7"), ("6/7+12", "6+12"),
     ("R12 or R15", "R12"), ("6or7", "6"), ("?", ""), ("", ""), (None, ""), ("4，7", "4+7"), ("AU 04", "4"), ("4+4", "4"), ("4 & 12", "4+12"),
     ("nan", ""), ("blink", "-"), ("R14A", "R14")],
)  # fmt: skip
def test_the_grammar_of_action_units(text, aus):
    assert action_units(text)[0] == aus


def test_classes_of_emotions():
    assert (
        canonical("Happy") == "happiness"
        and canonical(" Others ") == "others"
        and canonical("Negative / Repression") == "negative+repression"
    )
    assert label_of("repression", "3", "casme2") == ("negative", "") and label_of("sadness", "3", "casme2")[0] == ""
    assert label_of("sadness", "3", "samm") == ("negative", "") and label_of("others", "3", "samm")[1] == "emotion others not in classes 3"
    assert label_of("others", "4", "cas-me-3") == ("others", "") and label_of("", "3", "samm") == ("", "no emotion")
    assert scheme_of("5", "samm") == "5-samm" and scheme_of("5", "casme2") == "5-casme2" and scheme_of("7", "dfme") == "7-dfme"
    assert scheme_of("7", "mmew") == "7" and scheme_of("3", "samm") == "3"


def test_clips_of_your_own(tmp_path):
    i = datasets.load("own", trees.own(tmp_path))
    c = clips(i)
    assert i.found == 3 and reasons(i) == {"gone": "no folder"} and "clips.csv, row 4" in said(i, "gone")
    assert (c["smile"].onset, c["smile"].apex, c["smile"].offset, c["smile"].fps, c["smile"].aus) == (5, 9, 14, 60, "6+12")
    assert (c["blink"].onset, c["blink"].apex, c["blink"].offset, c["blink"].apex_known) == (0, 6, 11, False)
    assert label_of("none", "3+none", "own") == ("none", "") and label_of("none", "3", "own")[0] == ""
    path = tmp_path / "clips.csv"
    path.write_text(path.read_text().replace("9,14,60", "9,14,fast"))
    with pytest.raises(DatasetError, match="clips.csv, row 2, column fps: 'fast'"):
        datasets.load("own", tmp_path)


def test_old_sheets_and_text_sheets_are_read_alike(tmp_path):
    trees.casme2(tmp_path)
    (tmp_path / "CASME2-coding-20140508.xlsx").unlink()
    lines = [["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"],
             [1, "EP02_01f", 46, 59, 86, "R12", "happiness"]]  # fmt: skip
    trees.old_book(tmp_path / "CASME2_label_Ver_2.xls", lines)
    old = datasets.load("casme2", tmp_path).clips
    (tmp_path / "CASME2_label_Ver_2.xls").unlink()
    (tmp_path / "CASME2-coding-updated.csv").write_text("\n".join(",".join(map(str, line)) for line in lines), encoding="utf-8-sig")
    text = datasets.load("casme2", tmp_path).clips
    assert len(old) == 1 and old[0].frames == text[0].frames and (old[0].apex, old[0].aus, old[0].subject) == (59, "R12", "01")
    assert old[0].source == "CASME2_label_Ver_2.xls, row 2"
    (tmp_path / "CASME2-coding-updated.csv").unlink()
    (tmp_path / "CASME2_label_Ver_2.xls").write_bytes(b"not a sheet")
    with pytest.raises(SheetError, match="cannot be read as .xls"):
        datasets.load("casme2", tmp_path)
