"""mercam and its peers on the same clip, in the same run, each on one processor core.

    python3 -m venv benches/peers/.venv
    benches/peers/.venv/bin/pip install -r benches/peers/requirements.txt
    benches/peers/.venv/bin/python benches/peers/compare.py --clip CLIP.y4m

The clip is planar 8-bit YUV4MPEG2. Peers get RGB pictures that are in memory already, so that only their own work is
timed; mercam's figure is that of `mercam bench`, which is everything from the picture to the detection. The programs
take turns (`--rounds`), so that a busy machine hinders all alike, and the middle round of each counts. The last column
is the frame rate relative to mercam's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

WARM_UP = 20


def pictures(clip: Path):
    """Yields the clip's pictures as uint8 [height, width, 3] RGB."""
    import cv2
    import numpy as np

    with clip.open("rb") as f:
        header = f.readline().decode("ascii", "replace").split()
        if not header or header[0] != "YUV4MPEG2":
            sys.exit(f"{clip}: not a YUV4MPEG2 file; make one with: ffmpeg -i FILE -pix_fmt yuv420p {clip}")
        tags = {tag[0]: tag[1:] for tag in header[1:]}
        width, height = int(tags["W"]), int(tags["H"])
        if not tags.get("C", "420").startswith("420"):
            sys.exit(f"{clip}: is {tags['C']}; make it 4:2:0 with: ffmpeg -i {clip} -pix_fmt yuv420p OUT.y4m")
        size = width * height * 3 // 2
        while f.readline():
            data = f.read(size)
            if len(data) < size:
                return
            yuv = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
            yield cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420)


def mediapipe_face_mesh():
    """MediaPipe Face Mesh, video mode, one face; detects again only when the face is lost."""
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=False)
    return lambda rgb: bool(mesh.process(rgb).multi_face_landmarks)


def mediapipe_attention():
    """MediaPipe Face Mesh with its attention network (iris and lips refined)."""
    import mediapipe

    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=True)
    return lambda rgb: bool(mesh.process(rgb).multi_face_landmarks)


def dlib_68():
    """dlib: HOG detector and 68-point shape predictor on every frame, as its examples do."""
    import dlib
    import face_recognition_models

    detect = dlib.get_frontal_face_detector()
    predict = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())

    def run(rgb):
        boxes = detect(rgb, 0)
        return bool(boxes) and predict(rgb, boxes[0]).num_parts == 68

    return run


PEERS = {
    "MediaPipe Face Mesh": mediapipe_face_mesh,
    "MediaPipe Face Mesh, attention": mediapipe_attention,
    "dlib HOG + 68 landmarks": dlib_68,
}


def run_peer(name: str, clip: Path, frames: int) -> dict:
    """Times one peer in this process."""
    # Memory before the clip is held, so that the clip does not count as the peer's.
    run = PEERS[name]()
    times, found = [], 0
    for k, rgb in enumerate(pictures(clip)):
        if k == frames + WARM_UP:
            break
        start = time.perf_counter()
        seen = run(rgb)
        spent = time.perf_counter() - start
        if k >= WARM_UP:
            times.append(spent)
            found += seen
    return {
        "fps": len(times) / sum(times),
        "p50": 1e3 * statistics.median(times),
        "p99": 1e3 * sorted(times)[int(0.99 * (len(times) - 1))],
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "found": found / len(times),
    }


def run_mercam(binary: str, clip: Path, frames: int) -> dict:
    """Times the whole of mercam: face, movement, spotting and recognition."""
    command = [binary, "bench", "--source", f"y4m:{clip}", "--frames", str(frames), "--warm-up", str(WARM_UP), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    frame = next(s for s in report["stations"] if s["station"] == "frame")
    return {
        "fps": report["fps"],
        "p50": frame["p50_ms"],
        "p99": frame["p99_ms"],
        "rss": report["resident_kib"]["most"] / 1024,
        "found": report["frames_with_face"] / report["frames"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True, help="YUV4MPEG2 file with one face")
    parser.add_argument("--frames", type=int, default=400, help="frames to time (default 400)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each program (default 3)")
    parser.add_argument("--mercam", default="target/debug/mercam", help="the mercam binary (default target/debug/mercam)")
    parser.add_argument("--core", type=int, default=0, help="the processor core that all run on (default 0)")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    if args.peer:
        print(json.dumps(run_peer(args.peer, args.clip, args.frames)))
        return
    rounds: dict[str, list[dict]] = {}
    for turn in range(args.rounds):
        for name in ["mercam", *PEERS]:
            print(f"round {turn + 1} of {args.rounds}: {name}", file=sys.stderr)
            if name == "mercam":
                result = run_mercam(args.mercam, args.clip, args.frames)
            else:
                command = [sys.executable, __file__, "--peer", name, "--clip", str(args.clip)]
                command += ["--frames", str(args.frames), "--core", str(args.core)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                result = json.loads(done.stdout.splitlines()[-1])
            rounds.setdefault(name, []).append(result)
    middle = {name: sorted(r, key=lambda x: x["fps"])[len(r) // 2] for name, r in rounds.items()}
    print("| program | frames/s | p50 ms | p99 ms | most memory MiB | frames with a face | rate against mercam |")
    print("|---|---|---|---|---|---|---|")
    for name, r in middle.items():
        print(
            f"| {name} | {r['fps']:.1f} | {r['p50']:.2f} | {r['p99']:.1f} | {r['rss']:.0f} | {100 * r['found']:.0f} % "
            f"| {r['fps'] / middle['mercam']['fps']:.2f} |"
        )


if __name__ == "__main__":
    main()
