"""Compares two files of JSON-line events.

    cross/compare-events.py [--equal] EXPECTED FOUND

They have to be the same events with the same classes; no time may differ by more than a millisecond (onset, apex and
offset are found between two frames) and no other number by more than a thousandth; with --equal, nothing at all. What
belongs to the run and not to the events (its name, the machine's temperature, wall-clock times, how many events waited
when the status was written) is left out.
"""

import json
import sys

OF_THE_RUN = ("run", "device", "board", "unix_us", "waiting")
TIMES = ("onset", "apex", "offset", "at")
TOLERANCE = 0.001
TIME_TOLERANCE_US = 1000


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


def by_name(left: dict, right: dict) -> None:
    """Names the relations instead of numbering them: of two that weigh the same either may come first, or be the last of
    the list. What is missing on one side counts with the smallest weight that is on it."""
    named = [{f"{r['from']} to {r['to']}": r["weight"] for r in side.get("relations", [])} for side in (left, right)]
    if not all(named):
        return
    for side, own, other in ((left, *named), (right, *reversed(named))):
        least = min(own.values())
        side["relations"] = own | {name: least for name in other.keys() - own.keys()}


def is_measured(path: str, value) -> bool:
    """Whether a value comes out of sums of floats: those alone may differ a little."""
    return isinstance(value, float) or path.split(".")[0] in TIMES


def difference(path: str, expected: float, found: float) -> float:
    """Relative; absolute for what is between 0 and 1 by definition, and for times, in units of what they may differ."""
    if path.split(".")[0] in TIMES:
        return abs(expected - found) / TIME_TOLERANCE_US * TOLERANCE
    scale = 1.0 if path.startswith(("probabilities", "relations")) else max(abs(expected), 0.1)
    return abs(expected - found) / scale


def main(equal: bool, expected_file: str, found_file: str) -> None:
    with open(expected_file) as a, open(found_file) as b:
        expected, found = [json.loads(line) for line in a], [json.loads(line) for line in b]
    if len(expected) != len(found):
        sys.exit(f"{len(expected)} events expected, {len(found)} found")
    if not expected:
        sys.exit("there are no events to compare")
    largest, latest, same = 0.0, 0, 0
    for index, pair in enumerate(zip(expected, found)):
        if not equal:
            by_name(*pair)
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
            apart = difference(path, x, y)
            if apart > TOLERANCE:
                sys.exit(f"event {index}: {path} is {y!r} instead of {x!r}: too far apart")
            if path.split(".")[0] in TIMES:
                latest = max(latest, abs(x - y))
            else:
                largest = max(largest, apart)
    detections = sum(event["kind"] == "confirmed" for event in expected)
    print(f"{len(expected)} events, {detections} of them confirmed detections; {same} equal, largest difference {largest:.1e}, {latest} us")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    equal = arguments[:1] == ["--equal"]
    if len(arguments) != 2 + equal:
        sys.exit(__doc__)
    main(equal, *arguments[-2:])
