"""What was found, used and left out: as text, and as two CSV files beside the table."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .clips import Clip, Excluded, Finding


@dataclass
class Outcome:
    """Everything that happened to the clips of one table."""

    used: list[tuple[Clip, str]]  #: clip and class
    excluded: list[Excluded]
    findings: list[Finding]

    @property
    def found(self) -> int:
        return len(self.used) + len(self.excluded)


def text(o: Outcome, classes: tuple[str, ...]) -> str:
    """A table for the terminal: databases, classes, reasons."""
    databases = sorted({c.database for c, _ in o.used} | {e.database for e in o.excluded})
    lines = [f"{'database':12} {'found':>6} {'used':>6} {'excluded':>9} {'subjects':>9}  " + "  ".join(classes)]
    for d in databases:
        used = [(c, k) for c, k in o.used if c.database == d]
        out = sum(e.database == d for e in o.excluded)
        per_class = Counter(k for _, k in used)
        counts = "  ".join(f"{per_class[k]:>{len(k)}}" for k in classes)
        lines.append(f"{d:12} {len(used) + out:6} {len(used):6} {out:9} {len({c.subject for c, _ in used}):9}  {counts}")
    if o.excluded:
        lines.append("excluded because:")
        for (d, reason), n in sorted(Counter((e.database, e.reason) for e in o.excluded).items(), key=lambda i: -i[1]):
            example = next(e for e in o.excluded if (e.database, e.reason) == (d, reason))
            lines.append(f"  {n:5}  {d}: {reason} (as {example.clip})")
    if o.findings:
        lines.append(f"{len(o.findings)} findings; the first:")
        lines += [f"  {f}" for f in o.findings[:5]]
    return "\n".join(lines)


def write(stem: Path, o: Outcome, apexes: dict[str, int]) -> tuple[Path, Path]:
    """`<stem>.clips.csv` with every clip found, `<stem>.findings.csv` with every inconsistency."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    clips, findings = stem.with_name(stem.name + ".clips.csv"), stem.with_name(stem.name + ".findings.csv")
    with clips.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        head = ["database", "subject", "clip", "emotion", "class", "used", "reason", "mend", "onset", "apex", "offset", "apex_known", "aus"]
        out.writerow([*head, "source"])
        for c, label in o.used:
            apex = apexes.get(c.id, c.apex)
            out.writerow(
                [c.database, c.subject, c.name, c.emotion, label, "yes", "", "", c.onset, apex, c.offset, c.apex_known, c.aus, c.source]
            )
        for e in o.excluded:
            source = e.finding.file + (f", row {e.finding.row}" if e.finding.row else "")
            out.writerow(
                [e.database, e.subject, e.clip, e.emotion, "", "no", f"{e.reason}: {e.finding.text}", e.finding.mend, *[""] * 5, source]
            )
    with findings.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["clip", "file", "row", "column", "finding", "mend"])
        out.writerows([f.clip, f.file, f.row or "", f.column, f.text, f.mend] for f in o.findings)
    return clips, findings
