"""From the pictures of a clip to one movement: `mercam extract` on them, cached by what they contain."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..face import COUNT, FIRST_NODE, register, to_face_frame
from .clips import Clip, DatasetError

#: The face is averaged over this time after the onset and on both sides of the apex (src/spotting/describe.rs averages
#: too), but never over more than this share of the rise, so that a short movement is not flattened.
MEAN_MS = 12.0
MEAN_SHARE = 0.1
#: No micro-expression moves a landmark this far, in IOD: the tracker has lost it.
FAR = 0.3
#: Raised when the meaning of what is cached changes.
CACHE_VERSION = 1
#: Read by mercam as they are; others are converted.
DIRECT = {".jpg", ".jpeg", ".png", ".pgm"}


class ClipError(Exception):
    """Why a clip gives no movement: the short reason, the text, the mend."""

    def __init__(self, reason: str, text: str, mend: str):
        super().__init__(f"{text}; {mend}")
        self.reason, self.text, self.mend = reason, text, mend


@dataclass(frozen=True)
class Track:
    """What mercam saw: one row per frame with a face."""

    place: np.ndarray  #: [T] position of the frame in the clip, from 0
    face: np.ndarray  #: [T, 68, 2] landmarks in the face frame, head motion removed, IOD
    iod: np.ndarray  #: [T] inter-ocular distance, pixels


def find_binary(given: Path | None) -> Path:
    """The mercam binary: as given, $MERCAM_BIN, on the path, or built in this repository."""
    named = given or (Path(os.environ["MERCAM_BIN"]) if os.environ.get("MERCAM_BIN") else None)
    if named:
        if not named.is_file():
            raise DatasetError(f"{named}: there is no such file; --mercam (or MERCAM_BIN) names the mercam binary")
        return named
    if on_path := shutil.which("mercam"):
        return Path(on_path)
    for built in ("release", "debug"):
        path = Path(__file__).resolve().parents[4] / "target" / built / "mercam"
        if path.is_file():
            return path
    raise DatasetError("the mercam binary is not found: build it with `cargo build --release`, or name it with --mercam or MERCAM_BIN")


class Extractor:
    """Runs one binary with one set of settings."""

    def __init__(self, binary: Path, cache: Path, settings: tuple[str, ...] = (), timeout_s: float = 600):
        self.binary, self.cache, self.settings, self.timeout_s = binary, cache, settings, timeout_s

    @cached_property
    def identity(self) -> str:
        """Hash of the binary and its settings: another build measures anew."""
        digest = hashlib.sha256(json.dumps([CACHE_VERSION, *self.settings]).encode())
        with self.binary.open("rb") as f:
            while chunk := f.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    @cached_property
    def version(self) -> str:
        try:
            return subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError) as e:
            raise DatasetError(f"{self.binary}: does not run ({e}); build mercam for this machine") from None

    def key(self, files: list[Path], fps: float) -> str:
        """Hash of everything that the result depends on: binary, settings, rate, the pictures' bytes in order."""
        digest = hashlib.sha256(f"{self.identity} {fps}".encode())
        for path in files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:32]

    def track(self, files: list[Path], fps: float) -> tuple[Track, bool]:
        """What mercam sees in these pictures, and whether it was in the cache."""
        try:
            stored = self.cache / f"{self.key(files, fps)}.npz"
        except OSError as e:
            raise ClipError("unreadable picture", f"{e.filename}: {e.strerror}", "give yourself the right to read it") from None
        if stored.is_file():
            try:
                with np.load(stored) as z:
                    return Track(z["place"], z["face"], z["iod"]), True
            except (OSError, ValueError, KeyError, EOFError):
                stored.unlink(missing_ok=True)  # cut off by a full disk: measured again
        found = self._run(files, fps)
        self.cache.mkdir(parents=True, exist_ok=True)
        part = stored.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as f:
            np.savez(f, **vars(found))
        part.replace(stored)
        return found, False

    def _run(self, files: list[Path], fps: float) -> Track:
        with tempfile.TemporaryDirectory(prefix="mercam-") as folder:
            pictures, out = Path(folder) / "p", Path(folder) / "out.csv"
            pictures.mkdir()
            for k, path in enumerate(files):
                _hand_over(path, pictures / f"{k:06}{path.suffix.lower()}")
            command = [self.binary, "extract", "--source", f"images:{pictures}?fps={fps:g}", "--out", out, "--log", "error"]
            command += [part for s in self.settings for part in ("--set", s)]
            # mercam reads its settings from MERCAM_* too; what is measured has to depend on --set alone.
            env = {k: v for k, v in os.environ.items() if not k.startswith("MERCAM_")}
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=self.timeout_s, env=env, check=False)
            except subprocess.TimeoutExpired:
                raise ClipError(
                    "too slow", f"mercam took more than {self.timeout_s:g} s", "use a release build, or raise --timeout"
                ) from None
            except OSError as e:
                raise DatasetError(f"{self.binary}: does not run ({e}); build mercam for this machine") from None
            if done.returncode != 0:
                text = " ".join(done.stderr.replace(str(pictures), files[0].parent.name).split())[-400:]
                raise ClipError(
                    "mercam failed", f"mercam ended with status {done.returncode}: {text}", "see the message; are the pictures whole?"
                )
            return _read(out)


def _hand_over(path: Path, to: Path) -> None:
    """A link to the picture, or a grey copy where mercam does not read the kind."""
    if path.suffix.lower() in DIRECT:
        to.symlink_to(path.resolve())
        return
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DatasetError(f"{path}: reading {path.suffix} needs Pillow: pip install 'mercam-training[datasets]'") from None
    try:
        with Image.open(path) as picture:
            picture.convert("L").save(to.with_suffix(".pgm"))
    except (OSError, UnidentifiedImageError, SyntaxError) as e:
        raise ClipError("unreadable picture", f"{path}: {e}", "unpack it again") from None


def _read(path: Path) -> Track:
    """The face seen in most frames."""
    by_face: dict[str, list[tuple[int, np.ndarray, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                xy = [[float(row[f"{c}_{k}"]) + float(row[f"d{c}_{k}"]) for c in "xy"] for k in range(COUNT)]
                by_face.setdefault(row["face"], []).append((int(row["sequence"]), np.array(xy), float(row["iod_px"])))
    except (OSError, KeyError, TypeError, ValueError) as e:
        text = f"{path.name} is not what `mercam extract` writes ({type(e).__name__}: {e})"
        raise ClipError("mercam failed", text, "take a mercam that fits this mercam-train") from None
    if not by_face:
        raise ClipError("no face", "mercam finds no face in these pictures", "look at them; is the face whole and upright?")
    place, face, iod = zip(*max(by_face.values(), key=len), strict=True)
    return Track(np.array(place), np.array(face), np.array(iod))


@dataclass(frozen=True)
class Measured:
    """One movement: mercam's own features of landmarks 17-67."""

    x: np.ndarray  #: [51, 4] x, y, dx, dy
    iod: float
    apex: int  #: frame number


def measure(clip: Clip, extractor: Extractor, interval: str, missing_apex: str) -> tuple[Measured, bool]:
    """The movement of a clip, and whether it was in the cache.

    `interval`: "apex" hands over the frames from onset to apex (and at most 12 ms more), "whole" those to the offset.
    `missing_apex`: where no apex is known, "middle" takes the frame midway, "peak" the one that moved most.
    """
    half = int(min(MEAN_MS * clip.fps / 1000, MEAN_SHARE * (clip.apex - clip.onset)))
    search = missing_apex == "peak" and not clip.apex_known
    last = clip.offset if interval == "whole" or search else min(clip.offset, clip.apex + half)
    chosen = [(n, p) for n, p in clip.frames if n <= last]
    if chosen[0][1].suffix == ".csv":  # measured by `mercam extract` before
        track, cached = _read(chosen[0][1]), True
        numbers = track.place
    else:
        track, cached = extractor.track([p for _, p in chosen], clip.fps)
        if track.place.max() >= len(chosen):
            text = f"mercam speaks of frame {track.place.max() + 1} of {len(chosen)}"
            raise ClipError("mercam failed", text, "take a mercam that fits this mercam-train")
        numbers = np.array([n for n, _ in chosen])[track.place]

    def mean(first: int, last: int, what: str) -> np.ndarray:
        rows = (numbers >= first) & (numbers <= last)
        if not rows.any():
            text = f"mercam has no face at the {what}, frame {first}; {len(numbers)} of {len(chosen)} frames have one"
            raise ClipError(f"no face at {what}", text, "look at the pictures; is the face whole and upright?")
        return track.face[rows].mean(0)

    onset_last = min(clip.onset + half, clip.apex - 1)
    shape = to_face_frame(mean(clip.onset, onset_last, "onset")[None])
    apex = clip.apex
    if search:
        moved = register(track.face, np.repeat(shape, len(track.face), 0)) - shape
        size = np.hypot(moved[..., 0], moved[..., 1])[:, FIRST_NODE:].mean(1)
        size[(numbers <= onset_last) | (numbers > clip.offset)] = 0
        apex = int(numbers[size.argmax()])
    moved = register(mean(max(apex - half, clip.onset + 1), apex + half, "apex")[None], shape) - shape
    x = np.concatenate([shape, moved], -1)[0, FIRST_NODE:].astype(np.float32)
    far = np.hypot(x[:, 2], x[:, 3])
    if not np.isfinite(x).all() or far.max() > FAR:
        worst = FIRST_NODE + int(np.nan_to_num(far, nan=np.inf).argmax())
        text = f"landmark {worst} moved {far.max():.2f} IOD from onset to apex, more than any micro-expression"
        raise ClipError("tracking lost", text, "look at the pictures; is something in front of the face?")
    return Measured(x, float(track.iod[(numbers >= clip.onset).argmax()]), apex), cached
