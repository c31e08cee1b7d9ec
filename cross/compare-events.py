"""Compares two files of JSON-line events.

    cross/compare-events.py [--equal] EXPECTED FOUND

They have to be the same events, at the same times, with the same classes, and no number may differ by more than a
thousandth; with --equal, none at all. What belongs to the run and not to the events (its name, the machine's
temperature, wall-clock times) is left out.
"""

import json
import sys

OF_THE_RUN = ("run", "device", "board", "unix_us")
TIMES = ("onset", "apex", "offset", "at")
TOLERANCE = 0.001


def leaves(value, path=""):
    """Yields (path, value) for everything in an event that is no object and no list."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in OF_THE_RUN:
                yield from leaves(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def is_measured(path: str, value) -> bool:
    """Whether a value comes out of sums of floats: those alone may differ a little."""
    return isinstance(value, float) and path.split(".")[0] not in TIMES


def difference(path: str, expected: float, found: float) -> float:
    """Relative; for what is between 0 and 1 by definition, absolute."""
    scale = 1.0 if path.startswith(("probabilities", "relations")) else max(abs(expected), 0.1)
    return abs(expected - found) / scale


def main(equal: bool, expected_file: str, found_file: str) -> None:
    with open(expected_file) as a, open(found_file) as b:
        expected, found = [json.loads(line) for line in a], [json.loads(line) for line in b]
    if len(expected) != len(found):
        sys.exit(f"{len(expected)} events expected, {len(found)} found")
    if not expected:
        sys.exit("there are no events to compare")
    largest, same = 0.0, 0
    for index, pair in enumerate(zip(expected, found)):
        left, right = (dict(leaves(event)) for event in pair)
        if left.keys() != right.keys():
            sys.exit(f"event {index}: only one side has {sorted(left.keys() ^ right.keys())}")
        same += left == right
        for path, x in left.items():
            y = right[path]
            if x == y:
                continue
            if equal or not (is_measured(path, x) and is_measured(path, y)):
                sys.exit(f"event {index}: {path} is {y!r} instead of {x!r}")
            largest = max(largest, difference(path, x, y))
            if largest > TOLERANCE:
                sys.exit(f"event {index}: {path} is {y!r} instead of {x!r}, more than {TOLERANCE} apart")
    detections = sum(event["kind"] == "confirmed" for event in expected)
    print(f"{len(expected)} events, {detections} of them confirmed detections; {same} equal, largest difference {largest:.1e}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    equal = arguments[:1] == ["--equal"]
    if len(arguments) != 2 + equal:
        sys.exit(__doc__)
    main(equal, *arguments[-2:])
