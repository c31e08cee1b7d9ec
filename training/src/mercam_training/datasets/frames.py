"""The pictures of one folder by the number in their names."""

from __future__ import annotations

import csv
import re
from pathlib import Path

#: What `prepare` can hand to mercam: directly, or converted.
PICTURES = {".jpg", ".jpeg", ".png", ".pgm", ".bmp", ".tif", ".tiff"}


class FrameFolder:
    """Pictures numbered by the last run of digits in their names: img46.jpg, reg_img46.jpg, 006_05562.jpg, 175.jpg."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.problem = self.mend = ""
        found: dict[int, Path] = {}
        try:
            entries = sorted(folder.iterdir())
        except OSError as e:
            self.problem, self.mend = f"cannot be read ({e.strerror})", "give yourself the right to read it"
            entries = []
        for path in entries:
            if path.suffix.lower() not in PICTURES or path.name.startswith("."):
                continue
            digits = re.findall(r"\d+", path.stem)
            if not digits:
                continue
            number = int(digits[-1])
            if number in found:
                self.problem = f"{found[number].name} and {path.name} are both frame {number}"
                self.mend = "leave one of the two in the folder"
            found[number] = path
        self.files = dict(sorted(found.items()))
        if not self.files and not self.problem:
            self.problem = f"no numbered picture ({', '.join(sorted(PICTURES))}) is in it"
            self.mend = "unpack it again, or take its row out of the sheet"

    @classmethod
    def of_extract(cls, path: Path) -> FrameFolder:
        """The frames in which a file written by `mercam extract --out FILE.csv` has its most frequent face."""
        self = cls.__new__(cls)
        self.folder, self.problem, self.mend, self.files = path, "", "", {}
        found: dict[str, list[int]] = {}
        try:
            with path.open(newline="", encoding="utf-8") as f:
                for row in csv.DictReader(f):
                    found.setdefault(row["face"], []).append(int(row["sequence"]))
        except (OSError, KeyError, TypeError, ValueError) as e:
            self.problem = f"is not what `mercam extract` writes ({type(e).__name__}: {e})"
        if not found and not self.problem:
            self.problem = "has no frame with a face"
        self.mend = "make it with `mercam extract --source ... --out FILE.csv`"
        self.files = dict.fromkeys(sorted(max(found.values(), key=len, default=[])), path)
        return self

    def __len__(self) -> int:
        return len(self.files)

    @property
    def first(self) -> int:
        return next(iter(self.files))

    @property
    def last(self) -> int:
        return next(reversed(self.files))

    def has(self, number: int) -> bool:
        return number in self.files

    def nearest(self, number: int) -> int:
        """The frame number nearest to `number`, the later one of two."""
        return min(self.files, key=lambda n: (abs(n - number), -n))

    def between(self, first: int, last: int) -> list[tuple[int, Path]]:
        return [(n, p) for n, p in self.files.items() if first <= n <= last]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def subfolders(folder: Path) -> list[Path]:
    """Its visible sub-folders in order; none when it cannot be read."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def walk(root: Path, depth: int) -> list[Path]:
    """The folder and those below it, `depth` levels, nearest first."""
    level, found = [root], [root]
    for _ in range(depth):
        level = [s for p in level for s in subfolders(p)]
        found += level
    return found


def find_folder(root: Path, names: tuple[str, ...], depth: int = 2) -> Path | None:
    """The folder with the first of `names` that is there (case and punctuation do not count), nearest to the root."""
    folders = walk(root, depth)
    for name in names:
        for folder in folders:
            if _plain(folder.name) == _plain(name):
                return folder
    return None


def find_file(root: Path, pattern: str, depth: int = 2) -> list[Path]:
    """Files whose whole name matches the expression `pattern` in any case, nearest to the root first."""
    expression = re.compile(pattern, re.IGNORECASE)
    found = []
    for folder in walk(root, depth):
        try:
            files = sorted(p for p in folder.iterdir() if p.is_file())
        except OSError:
            continue
        found += [p for p in files if expression.fullmatch(p.name) and not p.name.startswith(("~$", "."))]
    return found


def child(folder: Path | None, *names: str) -> Path | None:
    """The first of the sub-folders `names` that is there, in any case."""
    names = tuple(n for n in names if n and n not in (".", "..") and "/" not in n and "\\" not in n)
    if folder is None:
        return None
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    below = {p.name.lower(): p for p in subfolders(folder)}
    return next((below[n.lower()] for n in names if n.lower() in below), None)
