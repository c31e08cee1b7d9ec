"""Compares two files of JSON-line events: equal in everything but the last digits of numbers.

    cross/compare-events.py EXPECTED FOUND
"""

import json
import sys

EXACT = ("kind", "face", "class", "component", "reason", "id")
TIMES = ("onset", "apex", "offset", "at")
TIME_US = 2000
RATIO = 0.01


def numbers(value, path=""):
    """Yields (path, number) for every number in a value, wall-clock times left out."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in ("unix_us", "sha256"):
                yield from numbers(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from numbers(part, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def main() -> None:
    expected, found = ([json.loads(line) for line in open(path)] for path in sys.argv[1:3])
    if len(expected) != len(found):
        sys.exit(f"{len(expected)} events expected, {len(found)} found")
    worst, same = 0.0, 0
    for index, (a, b) in enumerate(zip(expected, found)):
        for key in EXACT:
            if a.get(key) != b.get(key):
                sys.exit(f"event {index}: {key} is {b.get(key)!r} instead of {a.get(key)!r}")
        left, right = dict(numbers(a)), dict(numbers(b))
        if left.keys() != right.keys():
            sys.exit(f"event {index}: other numbers: {sorted(left.keys() ^ right.keys())}")
        same += left == right
        for path, x in left.items():
            if path.split(".")[1] in TIMES:
                if abs(x - right[path]) > TIME_US:
                    sys.exit(f"event {index}: {path} is {right[path]} instead of {x}")
                continue
            difference = abs(x - right[path]) / max(abs(x), 1.0 if "probabilities" in path or "weight" in path else 0.1)
            worst = max(worst, difference)
            if difference > RATIO:
                sys.exit(f"event {index}: {path} is {right[path]} instead of {x}")
    detections = sum(e["kind"] == "confirmed" for e in expected)
    print(
        f"{len(expected)} events, {detections} confirmed detections: all alike, {same} to the bit; "
        f"largest difference {100 * worst:.3f} %"
    )


if __name__ == "__main__":
    main()
