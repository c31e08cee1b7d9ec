"""Do the exported files say what the network says? And the samples with answers that the Rust tests run.

Fixture, little endian: "DGP1", u32 samples n, u32 samples with all outputs f, SHA-256 of the int8 and of the fp32
file, n * 51 * 4 int16 (places / 16384, movements / 65536, IOD), then for int8 and for fp32: n * 4 float32
probabilities, f * 6 actions, f * Q * Q relations.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import onnx
import torch

from .export import Deploy
from .manifest import sha256
from .model import DeReGrl
from .quantise import run

STEPS = np.array([16384, 16384, 65536, 65536], np.float32)
FULL = 50


def rounded(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples as the fixture's int16, and the float32 values these stand for."""
    i = np.clip(np.rint(x * STEPS), -32768, 32767).astype("<i2")
    return i, i.astype(np.float32) / STEPS


def compare(net: DeReGrl, fp32: Path, int8: Path, x: np.ndarray) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Differences between the eager network, the fp32 file and the int8 file; and the files' answers."""
    with torch.no_grad():
        eager = [o.numpy() for o in Deploy(net)(torch.from_numpy(x))]
        z, actions, relations = net(torch.from_numpy(x))
        training = [torch.softmax(z / net.temperature, -1).numpy(), actions.numpy(), relations.numpy()]
    answers = {"fp32": run(onnx.load(fp32), x), "int8": run(onnx.load(int8), x)}

    def gap(a, b):
        return max(float(np.abs(p - q).max()) for p, q in zip(a, b, strict=True))

    a, b = answers["fp32"], answers["int8"]
    result = {
        "samples": len(x),
        "fold_gap": gap(training, eager),
        "export_gap": gap(eager, a),
        "int8_argmax": float((a[0].argmax(1) == b[0].argmax(1)).mean()),
        "int8_gap": {n: float(np.abs(p - q).max()) for n, p, q in zip(("probs", "actions", "relations"), a, b, strict=True)},
        "int8_mean_gap_probs": float(np.abs(a[0] - b[0]).mean()),
    }
    return result, answers


def write_fixture(path: Path, fp32: Path, int8: Path, values: np.ndarray, answers: dict[str, list[np.ndarray]]) -> None:
    """Writes the samples and onnxruntime's answers for tests/dere_grl.rs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as f:
        f.write(b"DGP1" + struct.pack("<II", len(values), FULL) + bytes.fromhex(sha256(int8)) + bytes.fromhex(sha256(fp32)))
        f.write(values.tobytes())
        for name in ("int8", "fp32"):
            probs, actions, relations = (o.astype("<f4") for o in answers[name])
            f.write(probs.tobytes() + actions[:FULL].tobytes() + relations[:FULL].tobytes())
