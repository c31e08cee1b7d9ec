"""What a loader finds: clips, findings, and the checks that are the same in every database."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .frames import FrameFolder
from .sheet import Row
from .units import action_units


class DatasetError(SystemExit):
    """A database that cannot be read at all; as an error of the command it ends with this text and status 1."""


@dataclass(frozen=True)
class Finding:
    """Something inconsistent: where it is, what it is, and what to do or what was done."""

    clip: str
    file: str
    row: int | None  #: line of the sheet as a spreadsheet shows it, from 1
    column: str
    text: str
    mend: str

    def __str__(self) -> str:
        row = f", row {self.row}" if self.row else ""
        column = f", column {self.column}" if self.column else ""
        return f"{self.file}{row}{column}: {self.clip}: {self.text}; {self.mend}"


@dataclass(frozen=True)
class Excluded:
    """A clip that cannot be used, and why; `reason` is the short form that the summary counts by."""

    clip: str
    subject: str
    emotion: str
    reason: str
    finding: Finding
    database: str = ""


@dataclass(frozen=True)
class Clip:
    """A clip that can be used. Frame numbers are those of the file names."""

    database: str
    subject: str
    name: str
    emotion: str  #: in the words of emotions.py; several joined by "+"
    aus: str  #: canonical, see units.py
    onset: int
    apex: int
    offset: int
    apex_known: bool  #: False: the frame midway between onset and offset stands in
    fps: float
    frames: tuple[tuple[int, Path], ...]  #: number and file, from onset to offset
    source: str  #: sheet and row, or folder
    label: str = ""  #: class that a list gives; "" the emotion decides

    @property
    def id(self) -> str:
        return f"{self.database}/{self.subject}/{self.name}"


@dataclass
class Inventory:
    """Everything found in one database."""

    database: str
    clips: list[Clip] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def found(self) -> int:
        return len(self.clips) + len(self.excluded)

    def reasons(self) -> Counter:
        return Counter(e.reason for e in self.excluded)


class Corrections:
    """Values that replace those of a sheet: a CSV with the columns subject, clip, column, value."""

    COLUMNS = ("onset", "apex", "offset", "emotion", "aus")

    def __init__(self, values: dict[tuple[str, str], dict[str, str]] | None = None, path: Path | None = None):
        self.values = values or {}
        self.path = path
        self.used: set[tuple[str, str]] = set()

    @classmethod
    def read(cls, path: Path) -> Corrections:
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file; --corrections is a CSV with the columns subject, clip, column, value")
        values: dict[tuple[str, str], dict[str, str]] = {}
        with path.open(newline="", encoding="utf-8-sig") as f:
            table = csv.DictReader(f)
            missing = [c for c in ("subject", "clip", "column", "value") if c not in (table.fieldnames or [])]
            if missing:
                raise DatasetError(f"{path}: column {missing[0]!r} is missing; needed are subject, clip, column, value")
            for row in table:
                if row["column"] not in cls.COLUMNS:
                    where = f"{path}, line {table.line_num}, column column"
                    raise DatasetError(f"{where}: {row['column']!r} is none of {', '.join(cls.COLUMNS)}")
                values.setdefault((row["subject"], row["clip"]), {})[row["column"]] = row["value"] or ""
        return cls(values, path)

    def of(self, subject: str, clip: str) -> dict[str, str]:
        found = self.values.get((subject, clip), {})
        if found:
            self.used.add((subject, clip))
        return found

    def check_used(self, inventory: Inventory) -> None:
        for subject, clip in sorted(set(self.values) - self.used):
            text = f"{self.path}: no clip {clip!r} of subject {subject!r} in {inventory.database}"
            raise DatasetError(f"{text}; write both as the summary does")


class Collector:
    """Takes the entries of a sheet or folder one by one, checks each against its frames, and keeps the score.

    `cut`: the folders hold just the clip, so a frame number that is not there is an error of the sheet, and the
    folder is believed. Otherwise the folders hold long videos, and such a clip cannot be used.
    """

    def __init__(self, database: str, root: Path, fps: float, corrections: Corrections, cut: bool):
        self.inventory = Inventory(database)
        self.root, self.fps, self.corrections, self.cut = root, fps, corrections, cut
        self._folders: dict[Path, FrameFolder] = {}
        self._seen: dict[tuple[str, str], str] = {}

    def name(self, path: Path) -> str:
        """A path as messages show it, below the root."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def note(self, clip: str, file: str, row: int | None, column: str, text: str, mend: str) -> Finding:
        finding = Finding(clip, file, row, column, text, mend)
        self.inventory.findings.append(finding)
        return finding

    def exclude(self, subject: str, clip: str, emotion: str, reason: str, finding: Finding) -> None:
        self.inventory.excluded.append(Excluded(clip, subject, emotion, reason, finding, self.inventory.database))

    def add(
        self,
        row: Row | None,
        subject: str,
        clip: str,
        emotion: str,
        folder: Path | None,
        tried: str,
        *,
        onset: str = "",
        apex: str = "",
        offset: str = "",
        aus: str | None = None,
        columns: tuple[str, str, str] = ("onset", "apex", "offset"),
        fps: float | None = None,
        whole: bool = False,
    ) -> None:
        """One entry. `columns` are the sheet's names of onset, apex and offset; without a row the folder is all there is.

        `whole`: an empty onset or offset means the folder's first or last frame.
        """
        file, line = (row.file, row.number) if row else (self.name(folder) if folder else tried, None)
        fixed = self.corrections.of(subject, clip)
        onset, apex, offset = fixed.get("onset", onset), fixed.get("apex", apex), fixed.get("offset", offset)
        emotion, aus = fixed.get("emotion", emotion), fixed.get("aus", aus)

        def drop(reason: str, column: str, text: str, mend: str) -> None:
            self.exclude(subject, clip, emotion, reason, self.note(clip, file, line, column, text, mend))

        if not clip or not subject:
            return drop("no name", "", f"subject is {subject!r}, clip is {clip!r}", "write both into the sheet, or delete the row")
        key, here = (subject, clip), f"{file}, row {line}" if line else file
        if key in self._seen:
            return drop("listed twice", "", f"subject {subject} has this clip already in {self._seen[key]}", "delete one of the two")
        self._seen[key] = here
        if folder is None:
            return drop("no folder", "", f"there is no folder {tried}", "unpack it there, or correct the name in the sheet")
        frames = self._folders.get(folder)
        if frames is None:
            frames = self._folders[folder] = FrameFolder.of_extract(folder) if folder.is_file() else FrameFolder(folder)
        shown = self.name(folder)
        if frames.problem:
            return drop("unreadable folder", "", f"{shown}: {frames.problem}", frames.mend)
        numbers = [self._number(v) for v in (onset, apex, offset)]
        for value, number, column in zip((onset, apex, offset), numbers, columns, strict=True):
            if value and number is None and value not in ("/", "-", "?", "-1", "0"):
                self.note(clip, file, line, column, f"{value!r} is no frame number", "taken as not known")
        first, middle, last = numbers[0], numbers[1] or None, numbers[2] or None
        if first == 0 and not frames.has(0):
            first = None
        if row is None or whole:
            first, last = (frames.first if not onset else first), (frames.last if not offset else last)
        if first is None and not self.cut:
            return drop("no onset", columns[0], f"{onset!r} is no frame number", "write the onset into the sheet, or into --corrections")
        found = self._place(frames, first, middle, last, lambda c, t, m: self.note(clip, file, line, columns[c], f"{shown}: {t}", m))
        if isinstance(found, str):
            text = f"{columns[0]} {onset} is not among the frames {frames.first} to {frames.last} of {shown}"
            return drop("onset not there", columns[0], text, found)
        first, middle, last = found
        if last - first < 1:
            text = f"{shown}: {first} to {last} is one frame"
            return drop("too short", columns[2], text, "correct onset and offset in the sheet, or in --corrections")
        known = middle is not None and first < middle <= last
        if not known:
            if middle is not None:
                mend = "the frame midway is taken; correct it in --corrections"
                self.note(clip, file, line, columns[1], f"apex {middle} is not within {first + 1} to {last}", mend)
            middle = frames.nearest((first + last + 1) // 2)
        chosen = frames.between(first, last)
        gaps = last - first + 1 - len(chosen)
        if gaps:
            self.note(
                clip, shown, None, "", f"{gaps} of the frames {first} to {last} are missing", "the rest is used; unpack the folder again"
            )
        if middle not in dict(chosen):
            near = frames.nearest(middle)
            self.note(clip, shown, None, "", f"the apex frame {middle} is missing", f"{near} is taken, the nearest there is")
            middle = near
        if middle <= first:
            return drop("too short", columns[2], f"{shown}: no frame between {first} and {last}", "unpack the folder again")
        units, doubt = action_units(aus)
        for text in doubt:
            self.note(clip, file, line, "action units", text, "correct it in the sheet or in --corrections if that is wrong")
        self.inventory.clips.append(
            Clip(
                self.inventory.database, subject, clip, emotion, units, first, middle, last, known, fps or self.fps, tuple(chosen), here
            )
        )  # fmt: skip

    @staticmethod
    def _number(value: str) -> int | None:
        try:
            number = int(float(value))
        except ValueError:
            return None
        return number if number >= 0 else None

    def _place(self, frames: FrameFolder, first, middle, last, note):
        """Onset, apex and offset as frame numbers of the folder, or the mend as text when there is no onset."""
        begin, end = frames.first, frames.last
        if not self.cut:
            if not frames.has(first):
                return "unpack the whole video, or correct the onset in the sheet or in --corrections"
            if last is None or last <= first or last > end:
                best = min(end, last) if last and last > first else middle if middle and first < middle <= end else None
                if best is None:
                    note(
                        2, f"offset {last} is not after the onset {first}", "the clip is too short without it; correct it in --corrections"
                    )
                    return first, None, first
                note(2, f"offset {last} is not within {first + 1} to {end}", f"{best} is taken")
                last = best
            return first, middle, last
        inside = first is not None and begin <= first <= end and (last is None or first < last <= end)
        if not inside and first is not None and last is not None and last - first + 1 == len(frames):
            note(0, f"files are numbered {begin} to {end}, the sheet says {first} to {last}", "counted from the first file")
            return begin, None if middle is None else middle - first + begin, end
        if first is None or not begin <= first < end:
            note(0, f"onset {first} is not among the frames {begin} to {end}", f"{begin} is taken: the folder holds just the clip")
            first = begin
        if last is None or not first < last <= end:
            note(2, f"offset {last} is not within {first + 1} to {end}", f"{end} is taken: the folder holds just the clip")
            last = end
        return first, middle, last
