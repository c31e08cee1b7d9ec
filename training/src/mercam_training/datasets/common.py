"""What the loaders of single databases share: finding the one sheet and the one folder of pictures."""

from __future__ import annotations

from pathlib import Path

from .clips import DatasetError
from .frames import find_file, find_folder


def need_file(root: Path, patterns: tuple[str, ...], what: str, depth: int = 2) -> Path:
    """The file that matches the first pattern with a match, nearest to the root."""
    for pattern in patterns:
        found = find_file(root, pattern, depth)
        if found:
            return found[0]
    raise DatasetError(f"{root}: {what} is not here nor {depth} levels below; put it there or point --root at its folder")


def need_folder(root: Path, names: tuple[str, ...], what: str, depth: int = 2) -> Path:
    """The folder with the first of the names."""
    found = find_folder(root, names, depth)
    if found is None:
        raise DatasetError(f"{root}: the folder {what} is not here nor {depth} levels below; unpack it there or point --root at its parent")
    return found


def padded(number: str, width: int) -> str:
    """ "1", "01" and "sub01" as "01"."""
    digits = "".join(c for c in number if c.isdigit())
    return digits.zfill(width) if digits else number
