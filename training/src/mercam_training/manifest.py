"""models/manifest.toml: which files belong together, with their SHA-256. mercam checks it at start."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: What the manifest lists; the card is prose and may be edited.
FILES = (("dere_grl.int8.onnx", "int8"), ("dere_grl.fp32.onnx", "fp32"), ("evaluation.json", None))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(models: Path, model_id: str) -> None:
    lines = ["# Written by `mercam-train`; mercam refuses a model file that differs from its line here.", f'model_id = "{model_id}"']
    for name, precision in FILES:
        path = models / name
        lines += ["", "[[file]]", f'name = "{name}"', f'sha256 = "{sha256(path)}"', f"bytes = {path.stat().st_size}"]
        lines += [f'precision = "{precision}"'] if precision else []
    (models / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
