"""What mercam's own tracker makes of a movement, measured: `python -m mercam_training.tracker --mercam PATH`.

mercam draws films in which every landmark's place is known (`mercam synth`), follows them as it follows a camera
(`mercam extract`), and both are compared between pairs of frames. Written to data/tracker.csv, one line per film. The
defaults of the generator of synthetic movements (SynthConfig) are these figures; a test holds them together. The anchor
column is larger than a real face's, because a drawn face's landmarks are not where the face mesh puts them.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .face import COMPONENT_OF, COMPONENTS, FIRST_NODE, eye_centres, register, to_face_frame
from .parity import find_mercam
from .progress import Bar

#: IOD in pixels, frames per second, camera noise in grey levels, quality of the JPEG (0: none), head motion.
FILMS = tuple(
    (iod, fps, noise, jpeg, motion)
    for iod, fps in ((50, 30), (50, 60), (80, 30), (80, 100), (130, 30), (130, 60))
    for noise, jpeg, motion in ((1.5, 0, 1.0), (4.0, 80, 2.0))
)
FIELDS = ("iod_px", "fps", "camera_noise", "jpeg", "motion", "noise_px", "common", "gain_10", "gain_50", "gain_90", "anchor", "moved")
SECONDS = 20.0


@dataclass(frozen=True)
class Film:
    """True and followed landmarks [n, 68, 2], pixels, at the times [n] (microseconds); onset and apex of its events."""

    time: np.ndarray
    true: np.ndarray
    seen: np.ndarray
    events: list[tuple[int, int]]
    busy: list[tuple[int, int]]


def read(truth: Path, stream: Path) -> Film:
    """The frames in which the face was followed."""
    t = json.loads(truth.read_text(encoding="utf-8"))
    place = {f["us"]: f["landmarks"][0] for f in t["frames"] if f["landmarks"]}
    found = [json.loads(line) for line in stream.read_text(encoding="utf-8").splitlines()[1:]]
    rows = [(f["us"], place[f["us"]], f["faces"][0]["landmarks"]) for f in found if f["faces"] and f["us"] in place]
    time, true, seen = (np.array(c, float) for c in zip(*rows, strict=True))
    events = [(e["onset"], e["apex"]) for e in t["events"] if e["kind"] == "micro"]
    return Film(time, true, seen, events, [(e["onset"], e["offset"]) for e in t["events"]])


def movement(p: np.ndarray, onset: np.ndarray, apex: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Movement [n, 51, 2] as mercam measures it, in the face frame of `first` [n, 68, 2]."""
    a, b = eye_centres(first)
    d = b - a
    size = (d**2).sum(-1)[:, None, None]
    move = register(p[apex], p[onset]) - p[onset]
    x, y = (move * d[:, None]).sum(-1, keepdims=True), move[..., 1:] * d[:, None, :1] - move[..., :1] * d[:, None, 1:]
    return (np.concatenate([x, y], -1) / size)[:, FIRST_NODE:]


def measure(film: Film) -> dict[str, float]:
    """Noise of a landmark in pixels, the share of it that a component has in common, gain (quantiles over components
    of events that moved), anchor error in IOD. Noise is that of the finished movement: removing the head's motion by
    noisy points makes it a tenth larger, and up to a fifth of it common."""
    busy = np.zeros(len(film.time), bool)
    for on, off in film.busy:
        busy |= (film.time > on - 100_000) & (film.time < off + 200_000)
    onset = np.flatnonzero(~busy)
    apex = np.searchsorted(film.time, film.time[onset] + 150_000)
    keep = apex < len(film.time)
    onset, apex = onset[keep], apex[keep]
    keep = ~busy[apex]
    onset, apex = onset[keep][::3], apex[keep][::3]
    iod = np.linalg.norm(np.subtract(*eye_centres(film.true)), axis=-1).mean()
    error = movement(film.seen, onset, apex, film.true[onset]) - movement(film.true, onset, apex, film.true[onset])
    part = COMPONENT_OF[FIRST_NODE:]
    common, total = [], []
    for k in range(len(COMPONENTS)):
        e = error[:, part == k]
        m, n = e.mean(1), e.shape[1]
        rest = (e - m[:, None]).var() * n / (n - 1)
        common.append(max((m**2).mean() - rest / n, 0.0))
        total.append(common[-1] + rest)
    gains = []
    for on, top in film.events:
        a, b = np.searchsorted(film.time, (on, top))
        if b >= len(film.time) or b <= a:
            continue
        at = np.array([a]), np.array([b])
        true, seen = (movement(p, *at, film.true[at[0]])[0] for p in (film.true, film.seen))
        for k in range(len(COMPONENTS)):
            w = part == k
            if np.hypot(*true[w].T).max() > 0.008:
                gains.append((true[w] * seen[w]).sum() / (true[w] ** 2).sum())
    anchor = to_face_frame(film.seen) - to_face_frame(film.true)
    low, middle, high = np.percentile(gains, (10, 50, 90)) if gains else (np.nan,) * 3
    return {
        "noise_px": float(np.sqrt(np.mean(total) / 2) * iod), "common": float(np.sum(common) / np.sum(total)),
        "gain_10": float(low), "gain_50": float(middle), "gain_90": float(high),
        "anchor": float(np.sqrt(anchor[:, FIRST_NODE:].var())), "moved": len(gains),
    }  # fmt: skip


def film(mercam: Path, folder: Path, seed: int, iod: int, fps: int, noise: float, jpeg: int, motion: float) -> dict[str, float]:
    clip, stream = folder / "film.y4m", folder / "film.jsonl"
    settings = {"iod": iod, "camera_noise": noise, "camera.jpeg": jpeg, "motion": motion, "script.gap_min_ms": 500, "script.gap_max_ms": 900}
    options = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
    for command in (
        ["synth", "--face", "drawn", "--seed", str(seed), "--fps", str(fps), "--duration", f"{SECONDS:.0f}s", *options, "--out", clip],
        ["extract", "--source", f"y4m:{clip}", "--out", stream, "--log", "error"],
    ):
        done = subprocess.run([str(mercam), *map(str, command)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"mercam {command[0]}: {done.stderr.strip()}")
    head = dict(zip(FIELDS, (iod, fps, noise, jpeg, motion), strict=False))
    return head | measure(read(clip.with_name("film.truth.json"), stream))


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m mercam_training.tracker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mercam", metavar="PATH", help="binary to measure (default: the one built in this source tree, or on the PATH)")
    p.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / "tracker.csv", metavar="FILE")
    a = p.parse_args()
    binary = find_mercam(a.mercam)
    if binary is None:
        raise SystemExit("there is no mercam binary: cargo build, or name one with --mercam")
    bar, rows = Bar("films"), []
    with tempfile.TemporaryDirectory() as t:
        for i, settings in enumerate(FILMS):
            rows.append(film(binary, Path(t), 500 + i, *settings))
            bar(i + 1, len(FILMS))
    with a.out.open("w", newline="", encoding="utf-8") as f:
        f.write("# mercam's tracker on drawn films with exact truth; written by python -m mercam_training.tracker\n")
        w = csv.DictWriter(f, FIELDS)
        w.writeheader()
        w.writerows({k: round(v, 4) for k, v in r.items()} for r in rows)
    print(a.out)


if __name__ == "__main__":
    main()
