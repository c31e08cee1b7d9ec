"""`mercam-train prepare`: from a database as it is handed out to a movement table."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np

from . import datasets
from .datasets import SCHEMES, Clip, Corrections, Excluded, Finding, Inventory, label_of
from .datasets.emotions import scheme_of
from .datasets.extract import ClipError, Extractor, Measured, find_binary, measure
from .datasets.summary import Outcome, text, write
from .table import MovementTable, make_table, save_table

DESCRIPTION = """\
Reads a micro-expression database in the layout in which it is handed out, runs `mercam extract` on every clip, and
writes one movement table. Nothing is dropped silently: OUT.clips.csv lists every clip found, used or not, with the
reason; OUT.findings.csv every inconsistency with file, row, column and what to do. Where each database is applied for
and how it has to lie: docs/guide/datasets.md.

Interrupted runs go on where they were: measured clips are kept in OUT.cache by a hash of the pictures and of mercam.
"""
EXAMPLES = """\
examples:
  mercam-train prepare --dataset casme2 --root CASME2 --out casme2.npz --classes 5
  mercam-train prepare --dataset megc2019 --root MEGC --out megc.npz
  mercam-train prepare --dataset casme2 --root CASME2 --dataset samm --root SAMM --out both.npz
  mercam-train prepare --dataset samm --root SAMM --out samm.npz --dry-run     what is there, what is wrong with it
"""


def add_prepare_parser(subparsers) -> argparse.ArgumentParser:
    """The sub-command for the parser of mercam-train."""
    p = subparsers.add_parser(
        "prepare", help="a micro-expression database to a movement table", description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--dataset", action="append", required=True, choices=list(datasets.DATASETS), help="the database; may be repeated")
    p.add_argument("--root", action="append", required=True, type=Path, help="folder into which it was unpacked; one for each --dataset")
    p.add_argument("--out", required=True, type=Path, metavar="TABLE", help="table to write, .npz (or .csv with 3 classes)")
    p.add_argument("--classes", default="3", choices=["3", "3+none", "4", "5", "7", "native"],
                   help="3: negative, positive, surprise; 3+none: with none; 4: with others; 5, 7: the database's own; native: every emotion (default 3)")  # fmt: skip
    p.add_argument("--interval", default="apex", choices=["apex", "whole"],
                   help="what mercam sees: onset to apex, or to the offset (slower, the same up to the apex; default apex)")  # fmt: skip
    p.add_argument("--missing-apex", default="middle", choices=["middle", "peak", "exclude"],
                   help="without a known apex: the frame midway, the one that moved most, or leave the clip out (default middle)")  # fmt: skip
    p.add_argument("--corrections", type=Path, metavar="CSV", help="values that replace those of the sheet: subject, clip, column, value")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="clips at a time (default: the number of cores, %(default)s)")
    p.add_argument(
        "--mercam", type=Path, metavar="BIN", help="the mercam binary (default: MERCAM_BIN, the path, target/ of the repository)"
    )
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of mercam; may be repeated")
    p.add_argument("--cache", type=Path, metavar="DIR", help="folder of measured clips (default OUT.cache); may be shared between tables")
    p.add_argument("--timeout", type=float, default=600, metavar="S", help="most seconds for one clip (default %(default)s)")
    p.add_argument("--dry-run", action="store_true", help="only read sheets and folders and report; needs no mercam")
    p.set_defaults(do=run)
    return p


def run(args: argparse.Namespace) -> None:
    """The command."""
    if len(args.dataset) != len(args.root):
        raise SystemExit(f"{len(args.dataset)} --dataset and {len(args.root)} --root: give one --root for each --dataset")
    if args.jobs < 1:
        raise SystemExit(f"--jobs is {args.jobs}; it has to be at least 1")
    if args.out.suffix not in (".npz", ".csv"):
        raise SystemExit(f"--out is {args.out}; a movement table ends in .npz or .csv")
    if args.out.suffix == ".csv" and args.classes not in ("3", "3+none"):
        raise SystemExit("--out ends in .csv, which holds mercam's classes only: write .npz, or take --classes 3 or 3+none")
    corrections = Corrections.read(args.corrections) if args.corrections else Corrections()
    if args.corrections and len(args.dataset) > 1:
        raise SystemExit("--corrections goes with one --dataset: prepare the databases one by one with a shared --cache")
    inventories = [datasets.load(name, root, corrections) for name, root in zip(args.dataset, args.root, strict=True)]
    classes, outcome = _labelled(inventories, args)
    apexes: dict[str, int] = {}
    measured: list[tuple[Clip, str, Measured]] = []
    extractor = None
    if not args.dry_run:
        extractor = Extractor(
            find_binary(args.mercam), args.cache or args.out.with_name(args.out.name + ".cache"), tuple(args.set), args.timeout
        )
        extractor.version  # noqa: B018  fails before the long work when the binary does not run
        measured = _measure(outcome, extractor, args)
        apexes = {c.id: m.apex for c, _, m in measured}
    clips, findings = write(args.out, outcome, apexes)
    print(text(outcome, classes))
    print(f"every clip: {clips}\nevery finding: {findings}")
    if extractor is None:
        return
    if not measured:
        raise SystemExit(f"no clip can be used, {args.out} is not written; the reasons are in {clips}")
    table = _table(measured, classes, outcome, extractor, args)
    save_table(args.out, table)
    print(f"{len(table)} movements of {len(np.unique(table.groups))} subjects: {args.out}")


def _labelled(inventories: list[Inventory], args: argparse.Namespace) -> tuple[tuple[str, ...], Outcome]:
    """The classes, and every clip with its class or the reason why it has none."""
    outcome = Outcome([], [e for i in inventories for e in i.excluded], [f for i in inventories for f in i.findings])
    schemes = {scheme_of(args.classes, name) for name in args.dataset}
    if args.classes == "native":
        classes = tuple(sorted({c.label or c.emotion for i in inventories for c in i.clips if c.label or c.emotion}))
    else:
        if len(schemes) > 1:
            raise SystemExit(f"--classes {args.classes} means different classes for {', '.join(args.dataset)}: take 3, 4 or native")
        classes = SCHEMES[schemes.pop()]
    for inventory in inventories:
        scheme = scheme_of(args.classes, inventory.database)
        for clip in inventory.clips:
            label, why = _label(clip, args.classes, scheme)
            if label and label not in classes:
                label, why = "", f"class {label} not in classes {args.classes}"
            if not why and args.missing_apex == "exclude" and not clip.apex_known:
                why = "apex not known"
            if why:
                finding = Finding(clip.name, clip.source, None, "", why, "as asked by --classes and --missing-apex")
                outcome.excluded.append(Excluded(clip.name, clip.subject, clip.emotion, why, finding, clip.database))
            else:
                outcome.used.append((clip, label))
    return classes, outcome


def _label(clip: Clip, classes: str, scheme: str) -> tuple[str, str]:
    if clip.label:
        return clip.label, ""
    if classes == "native":
        return clip.emotion, "" if clip.emotion else "no emotion"
    return label_of(clip.emotion, scheme, clip.database)


def _measure(outcome: Outcome, extractor: Extractor, args: argparse.Namespace) -> list[tuple[Clip, str, Measured]]:
    """Measures the clips side by side; those that fail go over to the excluded."""
    done: dict[int, Measured] = {}
    cached = failed = 0
    bar = Bar(len(outcome.used))
    with ThreadPoolExecutor(args.jobs) as pool:
        waiting = {pool.submit(measure, c, extractor, args.interval, args.missing_apex): k for k, (c, _) in enumerate(outcome.used)}
        try:
            for job in as_completed(waiting):
                clip, _ = outcome.used[waiting[job]]
                try:
                    done[waiting[job]], hit = job.result()
                    cached += hit
                except ClipError as e:
                    failed += 1
                    finding = Finding(clip.name, clip.source, None, "", e.text, e.mend)
                    outcome.findings.append(finding)
                    outcome.excluded.append(Excluded(clip.name, clip.subject, clip.emotion, e.reason, finding, clip.database))
                bar.step(f"{cached} from the cache, {failed} failed")
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is measured stays in the cache
            raise
    bar.end()
    result = [(c, label, done[k]) for k, (c, label) in enumerate(outcome.used) if k in done]
    outcome.used = [(c, label) for c, label, _ in result]
    return result


def _table(measured, classes: tuple[str, ...], outcome: Outcome, extractor: Extractor, args: argparse.Namespace) -> MovementTable:
    clips = [c for c, _, _ in measured]
    header = {
        "description": f"{', '.join(args.dataset)} by mercam-train prepare",
        "prepared": {
            "dataset": args.dataset, "classes": args.classes, "interval": args.interval, "missing_apex": args.missing_apex,
            "mercam": extractor.version, "settings": list(extractor.settings), "found": outcome.found, "used": len(clips),
        },
    }  # fmt: skip
    extra = {
        "clip": np.array([c.name for c in clips], str),
        "emotion": np.array([c.emotion for c in clips], str),
        "onset": np.array([c.onset for c in clips]),
        "apex": np.array([m.apex for _, _, m in measured]),
        "apex_known": np.array([c.apex_known for c in clips]),
    }
    if args.out.suffix == ".csv":
        extra = {}
    return make_table(
        np.stack([m.x for _, _, m in measured]), np.array([classes.index(label) for _, label, _ in measured]),
        np.array([c.subject for c in clips], str), classes, header=header, extra=extra,
        database=np.array([c.database for c in clips], str), aus=np.array([c.aus for c in clips], str),
        iod=np.array([m.iod for _, _, m in measured]), fps=np.array([c.fps for c in clips]),
    )  # fmt: skip


class Bar:
    """Progress on standard error: a line that moves on a terminal, a line for every tenth elsewhere."""

    def __init__(self, total: int):
        self.total, self.done, self.start, self.tty = total, 0, time.monotonic(), sys.stderr.isatty()

    def step(self, note: str) -> None:
        self.done += 1
        if not self.tty and self.done * 10 // self.total == (self.done - 1) * 10 // self.total:
            return
        left = (time.monotonic() - self.start) / self.done * (self.total - self.done)
        width = 30 * self.done // self.total
        line = f"[{'#' * width}{'.' * (30 - width)}] {self.done}/{self.total} clips, {note}, {left:.0f} s left"
        print(f"\r{line:100}" if self.tty else line, end="" if self.tty else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.tty and self.total:
            print(file=sys.stderr)
