"""Do the exported files say what the network says, in onnxruntime and in mercam? And the samples with answers that the
Rust tests run.

Fixture, little endian: "DGP1", u32 samples n, u32 samples with all outputs f, SHA-256 of the int8 and of the fp32
file, n * 51 * 4 int16 (places / 16384, movements / 65536, IOD), then for int8 and for fp32: n * 4 float32
probabilities, f * 6 actions, f * Q * Q relations.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import tempfile
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
OUTPUTS = ("probs", "actions", "relations")
#: What has to hold: eager against the fp32 file; the class that int8 and fp32 name, and that mercam and onnxruntime name.
EXPORT_GAP = 1e-5
ARGMAX = 0.995


def rounded(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples as the fixture's int16, and the float32 values these stand for."""
    i = np.clip(np.rint(x * STEPS), -32768, 32767).astype("<i2")
    return i, i.astype(np.float32) / STEPS


def gaps(a: list[np.ndarray], b: list[np.ndarray]) -> dict:
    """Largest differences of two sets of answers, the share of equal classes, and the worst sample."""
    off = np.abs(a[0] - b[0]).max(1)
    worst = int(off.argmax())
    return {
        "argmax": float((a[0].argmax(1) == b[0].argmax(1)).mean()),
        "gap": {n: float(np.abs(p - q).max()) for n, p, q in zip(OUTPUTS, a, b, strict=True)},
        "mean_gap_probs": float(np.abs(a[0] - b[0]).mean()),
        "worst": {"sample": worst, "first": np.round(a[0][worst], 4).tolist(), "second": np.round(b[0][worst], 4).tolist()},
    }


@torch.no_grad()
def compare(net: DeReGrl, fp32: Path, int8: Path, x: np.ndarray) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Differences between the eager network, the fp32 file and the int8 file; and the files' answers."""
    folded = [o.numpy() for o in Deploy(net)(torch.from_numpy(x))]
    z, actions, relations = net(torch.from_numpy(x))
    eager = [torch.softmax(z / net.temperature, -1).numpy(), actions.numpy(), relations.numpy()]
    answers = {"fp32": run(onnx.load(fp32), x), "int8": run(onnx.load(int8), x)}
    result = {"samples": len(x), "fold_gap": max(gaps(eager, folded)["gap"].values())}
    result["export_gap"] = max(gaps(eager, answers["fp32"])["gap"].values())
    quantised = gaps(answers["fp32"], answers["int8"])
    result |= {"int8_argmax": quantised["argmax"], "int8_gap": quantised["gap"], "int8_mean_gap_probs": quantised["mean_gap_probs"],
               "int8_worst": quantised["worst"]}  # fmt: skip
    return result, answers


def find_mercam(given: str | None) -> Path | None:
    """The mercam binary: the one named, one built in this source tree, or one on the PATH. "none": no comparison."""
    if given == "none":
        return None
    root = Path(__file__).resolve().parents[3]
    tried = [Path(given)] if given else [root / "target" / kind / "mercam" for kind in ("release", "debug")]
    for path in tried:
        if path.is_file():
            return path
    if given:
        raise SystemExit(f"--mercam: there is no {given}; build it with `cargo build`, or say --mercam none")
    return Path(p) if (p := shutil.which("mercam")) else None


def component_relations(w: np.ndarray, parts: int) -> np.ndarray:
    """Relations between actions [n, Q, Q] as mercam tells them, between components [n, P, P]: the sum over what is drawn
    on, the mean over what is rebuilt."""
    n, q, _ = w.shape
    k = q // parts
    return w.reshape(n, parts, k, parts, k).sum(4).mean(2)


def tract(mercam: Path, models: Path, precision: str, x: np.ndarray, classes: list[str]) -> list[np.ndarray]:
    """Probabilities, actions and component relations that the mercam binary answers with."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for row in x:
            f.write(json.dumps([float(v) for v in row.reshape(-1)]) + "\n")
        f.flush()
        args = [str(mercam), "recognise", "--input", f.name, "--model", str(models), "--precision", precision]
        done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{mercam} recognise failed ({done.returncode}): {done.stderr.strip() or 'no message; is this mercam older?'}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if len(rows) != len(x):
        raise SystemExit(f"{mercam} recognise answered {len(rows)} of {len(x)} movements")
    wrong = next((r for r in rows if r["class"] != classes[int(np.argmax(r["probabilities"]))]), None)
    if wrong:
        raise SystemExit(f"mercam names {wrong['class']!r}, its probabilities say another of {classes}")
    return [np.array([r[k] for r in rows], np.float32) for k in ("probabilities", "actions", "relations")]


def compare_tract(mercam: Path, models: Path, x: np.ndarray, answers: dict[str, list[np.ndarray]], classes: list[str]) -> dict:
    """mercam against onnxruntime, for both files."""
    found = {}
    for precision in ("fp32", "int8"):
        probs, actions, relations = answers[precision]
        ours = [probs, actions, component_relations(relations, actions.shape[1])]
        found[precision] = gaps(ours, tract(mercam, models, precision, x, classes))
    return found


def failures(result: dict) -> list[str]:
    """What does not hold, in words."""
    found = []
    if result["export_gap"] > EXPORT_GAP:
        found.append(f"the fp32 file differs from the network by {result['export_gap']:.1e}, more than {EXPORT_GAP:.0e}")
    if result["int8_argmax"] < ARGMAX:
        found.append(f"int8 names fp32's class in {result['int8_argmax']:.4f} of the samples, less than {ARGMAX}")
    for precision, r in result.get("tract", {}).items():
        if r["argmax"] < ARGMAX:
            found.append(f"mercam names onnxruntime's class ({precision}) in {r['argmax']:.4f} of the samples, less than {ARGMAX}")
    return found


def text(result: dict) -> str:
    """The comparison for a terminal, with the worst case."""
    lines = [f"{result['samples']} samples; eager against the fp32 file: {result['export_gap']:.1e} at most"]
    lines.append(f"fp32 against int8 (onnxruntime): same class {result['int8_argmax']:.4f}, largest differences {result['int8_gap']}")
    lines.append(f"  worst: sample {result['int8_worst']['sample']}, {result['int8_worst']['first']} against {result['int8_worst']['second']}")
    for precision, r in result.get("tract", {}).items():
        lines.append(f"onnxruntime against mercam ({precision}): same class {r['argmax']:.4f}, largest differences {r['gap']}")
        lines.append(f"  worst: sample {r['worst']['sample']}, {r['worst']['first']} against {r['worst']['second']}")
    if "tract" not in result:
        lines.append("mercam was not compared: no binary (cargo build makes one; --mercam PATH names one)")
    return "\n".join(lines)


def write_fixture(path: Path, fp32: Path, int8: Path, values: np.ndarray, answers: dict[str, list[np.ndarray]]) -> None:
    """Writes the samples and onnxruntime's answers for tests/dere_grl.rs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as f:
        f.write(b"DGP1" + struct.pack("<II", len(values), FULL) + bytes.fromhex(sha256(int8)) + bytes.fromhex(sha256(fp32)))
        f.write(values.tobytes())
        for name in ("int8", "fp32"):
            probs, actions, relations = (o.astype("<f4") for o in answers[name])
            f.write(probs.tobytes() + actions[:FULL].tobytes() + relations[:FULL].tobytes())
