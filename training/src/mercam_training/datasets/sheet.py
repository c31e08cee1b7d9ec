"""Annotation sheets (.xlsx, .xls, .csv) as rows of text, with the place of every cell for messages."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class SheetError(SystemExit):
    """A sheet that cannot be read; as an error of the command it ends with this text and status 1."""


def plain(name: str) -> str:
    """A column's name without case, blanks and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def as_text(value) -> str:
    """A cell as a person reads it: 46.0 is 46."""
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).strip()


@dataclass(frozen=True)
class Row:
    """One line of a sheet; `number` as a spreadsheet shows it, from 1."""

    file: str
    number: int
    cells: dict[str, str]
    values: tuple[str, ...]

    def get(self, *names: str) -> str:
        """The cell of the first of these columns that the sheet has; "" when empty or without such a column."""
        return next((self.cells[plain(n)] for n in names if plain(n) in self.cells), "")


class Sheet:
    """The cells of one sheet."""

    def __init__(self, path: Path, shown: str, name: str, lines: list[list[str]]):
        self.path, self.shown, self.name, self.lines = path, shown, name, lines

    def rows(self) -> Iterator[Row]:
        """Lines without a header, empty ones left out."""
        for k, line in enumerate(self.lines, 1):
            if any(line):
                yield Row(self.shown, k, {}, tuple(line))

    def table(self, *needed: str | tuple[str, ...]) -> list[Row]:
        """Rows below the line that names the columns `needed` (a tuple: any one of these); it may stand below free text."""
        wanted = [n if isinstance(n, tuple) else (n,) for n in needed]
        best: list[str] = [n[0] for n in wanted]
        for k, line in enumerate(self.lines[:60]):
            names = [plain(c) for c in line]
            missing = [n[0] for n in wanted if not any(plain(m) in names for m in n)]
            if not missing:
                return self._below(k, names)
            if len(missing) < len(best):
                best = missing
        text = f"{self.shown}: sheet {self.name!r}: column {best[0]!r} is missing"
        raise SheetError(f"{text}; needed are {', '.join(' or '.join(n) for n in wanted)} in one of the first 60 rows")

    def _below(self, header: int, names: list[str]) -> list[Row]:
        found = []
        for k, line in enumerate(self.lines[header + 1 :], header + 2):
            cells: dict[str, str] = {}
            for n, c in zip(names, line, strict=False):
                if n:
                    cells.setdefault(n, c)
            if any(cells.values()):
                found.append(Row(self.shown, k, cells, tuple(line)))
        return found


def read_sheets(path: Path, shown: str) -> dict[str, Sheet]:
    """Every sheet of a file by its name."""
    kind = path.suffix.lower()
    try:
        if kind == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as f:
                return {path.stem: Sheet(path, shown, path.stem, [[c.strip() for c in line] for line in csv.reader(f)])}
        if kind in (".xlsx", ".xlsm"):
            return _xlsx(path, shown)
        if kind == ".xls":
            return _xls(path, shown)
    except ImportError as e:
        raise SheetError(f"{shown}: reading {kind} needs the package {e.name}: pip install 'mercam-training[datasets]'") from None
    except Exception as e:  # noqa: BLE001  the libraries raise whatever a damaged file makes them stumble over
        raise SheetError(f"{shown}: cannot be read as {kind} ({e}); fetch it again, or save it as .csv") from None
    raise SheetError(f"{shown}: {kind!r} is no kind of sheet; .xlsx, .xls and .csv are")


def _xlsx(path: Path, shown: str) -> dict[str, Sheet]:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        return {s.title: Sheet(path, shown, s.title, [[as_text(v) for v in line] for line in s.iter_rows(values_only=True)]) for s in book}
    finally:
        book.close()


def _xls(path: Path, shown: str) -> dict[str, Sheet]:
    import xlrd

    found = {}
    for s in xlrd.open_workbook(path).sheets():
        lines = [[as_text(s.cell_value(r, c)) for c in range(s.ncols)] for r in range(s.nrows)]
        found[s.name] = Sheet(path, shown, s.name, lines)
    return found


def first_sheet(path: Path, shown: str) -> Sheet:
    return next(iter(read_sheets(path, shown).values()))
