"""Miniature copies of the databases: exact layout, sheets and quirks, a few clips, empty pictures."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import openpyxl


def pictures(folder: Path, numbers, name: str = "img{}.jpg") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in numbers:
        (folder / name.format(n)).write_bytes(b"picture")
    return folder


def book(path: Path, sheets: dict[str, list[list]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    b = openpyxl.Workbook()
    b.remove(b.active)
    for name, rows in sheets.items():
        sheet = b.create_sheet(name)
        for row in rows:
            sheet.append(row)
    b.save(path)
    return path


def casme(root: Path) -> Path:
    head = ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AUs", "Emotion"]
    rows = [
        head,
        [1, "EP01_5", None, 46, 52, 0, 60, None, "4", "disgust"],
        [1, "EP02_1", None, 200, 210, 0, 215, None, "L12", "tense"],  # the sheet is wrong, the folder holds 100 to 149
        [12, "EP03_4", None, 20, 30, 0, 42, None, "1+2", "surprise"],  # the offset lies beyond the folder
    ]
    book(root / "casme.xlsx", {"Sheet1": rows})
    pictures(root / "CASME_raw_selected" / "sub01" / "EP01_5", range(46, 61))
    pictures(root / "CASME_raw_selected" / "sub01" / "EP02_1", range(100, 150))
    pictures(root / "CASME_raw_selected" / "sub12" / "EP03_4", range(20, 41))
    return root


def casme2(root: Path) -> Path:
    head = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion"]
    rows = [
        head,
        [1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"],
        [1, "EP03_02", None, 10, "/", 30, None, "4+L10", "disgust"],  # no apex
        [4, "EP12_01f", None, 60, 70, 900, None, "4", "disgust"],  # offset beyond the folder
        [4, "EP13_02f", None, 5, 9, 12, None, "?", "others"],
        [26, "EP15_01", None, 1, 5, 9, None, "15", "sadness"],
        [26, "EP99_01", None, 1, 5, 9, None, "4", "repression"],  # no folder
        [26, "EP16_01", None, 1, 5, 9, None, "4", "repression"],  # a folder without pictures
    ]
    book(root / "CASME2-coding-20140508.xlsx", {"Sheet1": rows})
    images = root / "CASME2_RAW_selected"
    for subject, clip, first, last in (
        ("sub01", "EP02_01f", 46, 86), ("sub01", "EP03_02", 10, 30), ("sub04", "EP12_01f", 60, 91),
        ("sub04", "EP13_02f", 5, 12), ("sub26", "EP15_01", 1, 9),
    ):  # fmt: skip
        pictures(images / subject / clip, range(first, last + 1))
    (images / "sub26" / "EP16_01").mkdir()
    return root


def samm(root: Path) -> Path:
    text = [["SAMM Micro-Expressions"], *[[f"Free text {k}"] for k in range(12)]]
    head = ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
            "Action Units", "Estimated Emotion", "Objective Classes", "Notes"]  # fmt: skip
    rows = [
        [6, "006_1_2", 1, 5562, 5584, 5632, 71, "Micro - 1/2", "R12B + 14", "Happiness", 1, None],
        [6, "006_1_3", 1, 100, -1, 120, 21, "Micro - 1/2", "R12 or R15", "Other", 6, None],
        [37, "037_3_1", 3, 50, 60, 40, 21, "Micro", "A4+AU7", "Anger", 4, None],  # the offset is before the onset
    ]
    book(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO ONLY": [*text, head, *rows]})
    pictures(root / "SAMM" / "006" / "006_1_2", range(5562, 5633), "006_{:05}.jpg")
    pictures(root / "SAMM" / "006" / "006_1_3", range(100, 121), "006_{:05}.jpg")
    pictures(root / "SAMM" / "037" / "037_3_1", range(50, 71), "037_{:05}.jpg")
    return root


def smic_short(root: Path, kind: str = "HS") -> Path:
    base = root / kind
    pictures(base / "s1" / "micro" / "negative" / "s1_ne_01", range(120, 150), "image{:06}.bmp")
    pictures(base / "s1" / "micro" / "positive" / "s1_po_02", range(1, 20), "image{:06}.bmp")
    pictures(base / "s20" / "micro" / "surprise" / "s20_sur_01", range(7, 30), "image{:06}.bmp")
    pictures(base / "s20" / "micro" / "surprise" / "s20_ne_02", range(7, 30), "image{:06}.bmp")  # in the wrong folder
    (base / "s11").mkdir()  # nobody has micro-expressions here
    return root


def smic_long(root: Path) -> Path:
    base = root / "SMIC-E_raw image" / "HS_long" / "SMIC-HS-E"
    head = ["Subject", "Filename", None, "OnsetF", "OffsetF", "FirstF", "LastF", "Emotion"]
    rows = [
        head,
        [1, "s01_ne_01", None, 140, 160, 120, 180, "negative"],
        [1, "s01_sur_02", None, 500, 520, 490, 530, "surprise"],  # the onset is not there
        [2, "s02_po_01", None, 310, 330, 300, 350, "positive"],  # files counted from 1
        [None, None, None, None, None, None, None, "157 clips"],
    ]
    book(base / "SMIC-HS-E_annotation.xlsx", {"Sheet1": rows})
    pictures(base / "HS" / "s01" / "s01_ne_01", range(120, 181), "image{:06}.jpg")
    pictures(base / "HS" / "s01" / "s01_sur_02", range(510, 531), "image{:06}.jpg")
    pictures(base / "HS" / "s02" / "s02_po_01", range(1, 52), "image{:06}.jpg")
    return root


def casme_squared(root: Path) -> Path:
    rows = [
        [1, "anger1_1", 557, 572, 608, "4+7", "negative", "macro-expression", "anger"],
        [1, "disgust1_2", 10, 16, 20, "4", "negative", "micro-expression", "disgust"],
        [2, "happy3_1", 5, 9, 0, "12", "positive", "micro-expression", "happy"],  # no offset
        [2, "happy4_1", 5, 0, 13, "1+2", "surprise", "micro-expression", "happy"],  # no apex; lies with s15
        [9, "happy3_1", 5, 9, 13, "12", "positive", "micro-expression", "happy"],  # no such index
    ]
    rule1 = [[1, "s15"], [2, "s16"]]
    rule2 = [["anger1", 401], ["disgust1", "0101"], ["happy3", 505], ["happy4", 507]]
    book(root / "CAS(ME)^2code_final(Updated).xlsx", {"CASFEcode_final": rows, "naming rule1": rule1, "naming rule2": rule2})
    pictures(root / "rawpic" / "s15" / "15_0101disgustingteeth", range(1, 31), "img{:03}.jpg")
    pictures(root / "rawpic" / "s16" / "16_0505funnyinnovations", range(1, 31), "img{:03}.jpg")
    pictures(root / "rawpic" / "s15" / "16_0507climbingthewall", range(1, 31), "img{:03}.jpg")
    return root


def casme_cubed(root: Path) -> Path:
    head = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
    rows = [
        head,
        ["spNO.1", "b", "175", "180", "190", "4", "VII", "disgust"],
        ["spNO.1", "b", "196", "199", "204", "6+12", "I", "happy"],
        ["spNO.2", "a", "20", "18", "26", "2", "II", "surprise"],  # apex before onset
        ["spNO.2", "a", "900", "903", "910", "2", "II", "surprise"],  # onset not there
        ["spNO.2", "a", "30", "33", "3", "4，7", "VII", "fear"],  # offset too small, Chinese comma
    ]
    book(root / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"Sheet1": rows})
    pictures(root / "part_A" / "data" / "spNO.1" / "b" / "color", range(150, 220), "{}.jpg")
    pictures(root / "part_A" / "data" / "spNO.2" / "a" / "color", range(1, 50), "{}.jpg")
    return root


def mmew(root: Path) -> Path:
    head = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion", "remarks"]
    rows = [
        head,
        [1, "S01-01-001", 1, 8, 20, "4+7", "anger", None],
        [1, "S01-02-001", 1, 99, 150, "12", "happiness", None],  # apex and offset beyond the folder
        [30, "S30-01-003", 1, 5, 10, "14", "others", None],  # lies with repression
    ]
    book(root / "MMEW_Micro_Exp.xlsx", {"Sheet1": rows})
    pictures(root / "Micro_Expression" / "anger" / "S01-01-001", range(1, 21), "{}.jpg")
    pictures(root / "Micro_Expression" / "happiness" / "S01-02-001", range(1, 31), "{}.jpg")
    pictures(root / "Micro_Expression" / "repression" / "S30-01-003", range(1, 11), "{}.jpg")
    return root


def fourdme(root: Path, rows: int = 147) -> Path:
    kinds = ["Positive", "Negative", "Surprise", "Repression", "Others"]
    head = ["sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion", *kinds, "eye blink", "Total", "AU4"]
    lines = [head]
    for k in range(rows):
        hot = [0, 1, 0, 0, 0]
        lines.append([f"{k // 10 + 1:02}", f"clip{k}", 10, 15, 20, f"AU{k % 20 + 1}", "Negative", *hot, 0, 1, 1])
        pictures(root / "gray_micro" / f"{k // 10 + 1:02}" / f"clip{k}", range(10, 21), "{}.jpg")
    lines[1][5:12] = ["AU4+AU7(k)", "Positive", 1, 0, 0, 0, 0]
    lines[2][5:12] = ["AU12", "Positive", 0, 0, 1, 0, 0]  # text and columns disagree
    lines[3][5:12] = ["AU1", "Negative+Surprise", 0, 1, 1, 0, 0]
    lines[4][5:12] = ["AU1", "Negative+Repression", 0, 1, 0, 1, 0]
    book(root / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": lines})
    return root


def dfme(root: Path) -> Path:
    head = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU"]
    rows = [
        ["1", "1_a", 0, 40, 80, "happiness", 4, 500, "6+12"],
        ["1", "1_b", 300, 340, 380, "fear", 0, 200, "1+2"],  # number and word disagree; files counted from 0
        ["2", "2_a", 0, 10, 20, "sadness", 5, "", "15"],  # no rate
    ]
    book(root / "training.xlsx", {"Sheet1": [head, *rows]})
    book(root / "testA.xlsx", {"Sheet1": [head, ["3", "3_a", 0, 9, 18, "surprise", 6, 300, "1+2+5"]]})
    for clip, count in (("1_a", 81), ("1_b", 81), ("2_a", 21)):
        pictures(root / "part1" / clip[0] / clip, range(count), "{}.jpg")
    pictures(root / "testA" / "3_a", range(19), "{}.jpg")
    return root


def megc2019(root: Path) -> Path:
    casme2(root / "CASME2")
    samm(root / "SAMM")
    smic_short(root / "SMIC" / "SMIC_all_raw")
    with (root / "combined_3class_gt.csv").open("w", newline="") as f:
        csv.writer(f).writerows([
            ["casme2", "sub01", "EP02_01f", 1], ["casme2", "sub04", "EP12_01f", 0], ["casme2", "sub26", "EP99_01", 0],
            ["smic", "s01", "s01_ne_01", 0], ["smic", "s20", "s20_sur_01", 2], ["samm", "6", "006_1_2", 1],
            ["samm", "37", "037_3_1", 2], ["samm", "32", "032_3_1", 0],
        ])  # fmt: skip
    return root


def own(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    lines = [
        "subject,clip,folder,onset,apex,offset,fps,emotion,aus",
        "anna,smile,day1/smile,5,9,14,60,happiness,6+12",
        "anna,blink,,,,,60,none,45",
        "bert,gone,day2/gone,1,2,3,60,disgust,",
    ]
    (root / "clips.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pictures(root / "day1" / "smile", range(1, 31), "{:04}.png")
    pictures(root / "blink", range(12), "{:04}.png")
    return root


def old_book(path: Path, rows: list[list]) -> Path:
    """The rows as an .xls file (BIFF 2, the oldest and smallest form)."""
    records = [struct.pack("<HHHH", 0x0009, 4, 2, 0x10)]
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            place = struct.pack("<HH3x", r, c)
            if isinstance(value, (int, float)):
                records.append(struct.pack("<HH", 0x0003, 15) + place + struct.pack("<d", value))
            elif value:
                text = value.encode("latin-1")
                records.append(struct.pack("<HH", 0x0004, 8 + len(text)) + place + bytes([len(text)]) + text)
    path.write_bytes(b"".join(records) + struct.pack("<HH", 0x000A, 0))
    return path
