"""mercam-train: from action-unit statistics and tables of movement to models/dere_grl.*.onnx."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import steps
from .finetune import TUNE
from .prepare import add_prepare_parser
from .protocols import PROTOCOLS

ABOUT = """\
Trains, measures, exports and quantises mercam's DeRe-GRL network.

Without data of your own: `mercam-train all --config configs/shipped.toml` makes the shipped model from synthetic
movements. With a table of movements (docs/reference/movement-table.md): `mercam-train evaluate --table T.npz
--protocol megc2019` says how well it is learned, `mercam-train all --table T.npz --models mine` makes a model of it.
docs/guide/training.md is the long form."""


def _common(s: argparse.ArgumentParser, *groups: str) -> None:
    s.add_argument("--config", type=Path, metavar="FILE", help="experiment file (TOML); what it does not name keeps its default")
    if "run" in groups or "fit" in groups:
        s.add_argument("--run", type=Path, default=Path("runs/default"), metavar="DIR", help="folder of the checkpoint, the settings in force and the results (default %(default)s); a run that was interrupted goes on when the same command is given again")  # fmt: skip
    if "models" in groups:
        s.add_argument("--models", type=Path, default=Path("../models"), metavar="DIR", help="folder of the ONNX files (default %(default)s, the shipped ones)")  # fmt: skip
        s.add_argument("--model-id", default=steps.MODEL_ID, help="name that goes into the files and into every detection (default %(default)s)")  # fmt: skip
    if "fit" in groups:
        s.add_argument("--seed", type=int, help="of weights, data and order; on CPU the same seed gives the same weights")
        s.add_argument("--epochs", type=int, help="of training; with a table, of fine-tuning")
        s.add_argument("--batch", type=int, help="movements per step of training on synthetic movements")
        s.add_argument("--rate", type=float, help="largest learning rate of training on synthetic movements")
        s.add_argument("--device", help="auto (CUDA when there is one), cpu (reproducible), cuda, cuda:1 (default: the experiment file's, cpu)")  # fmt: skip
        s.add_argument("--threads", type=int, help="CPU threads (default 1; more are slower on a busy machine)")
        s.add_argument("--amp", action="store_true", help="mixed precision (bfloat16); pays on a GPU with wider networks than the shipped one")  # fmt: skip
        s.add_argument("--compile", action="store_true", help="torch.compile; pays from some thousand steps on, needs a C++ compiler")
    if "table" in groups:
        s.add_argument("--table", type=Path, metavar="FILE", help="movement table, .npz or .csv (docs/reference/movement-table.md)")
        s.add_argument("--pretrained", metavar="KIND", help="synthetic (default: pre-train on synthetic movements, then fine-tune on the table), shipped (the weights of the shipped model, no pre-training), none, or a checkpoint")  # fmt: skip
        s.add_argument("--tune", choices=TUNE, help="what fine-tuning changes: the last layer (default), ADM, RRM and last layer, or the backbone too")  # fmt: skip
    if "parity" in groups:
        s.add_argument("--mercam", metavar="PATH", help="mercam binary to compare with (default: the one built in this source tree, or on the PATH); none leaves it out")  # fmt: skip
        s.add_argument("--samples", type=int, default=2000, help="movements compared (default %(default)s)")
        s.add_argument("--fixture", type=Path, default=Path("../tests/data/dere_grl.parity.bin"), metavar="FILE", help="samples with answers for the Rust tests (default %(default)s)")  # fmt: skip
    if "count" in groups:
        s.add_argument("--count", type=int, default=20_000, help="synthetic movements (default %(default)s)")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="mercam-train", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, do, text: str, *groups: str, more: str = "") -> argparse.ArgumentParser:
        s = sub.add_parser(name, help=text, description=f"{text}.\n\n{more}".strip(), formatter_class=argparse.RawDescriptionHelpFormatter)
        s.set_defaults(do=do, table=None, count=20_000, out=None, fixture=None)
        _common(s, *groups)
        return s

    add_prepare_parser(sub)
    s = add("synth", steps.synth, "write synthetic movements as a movement table", "count", more="""\
Invented faces, action units with the shares, sides and strengths of real micro-expressions, head turns, tracker noise,
blinks, speech. No picture and no landmark of a person is in it.

  mercam-train synth --out moves.npz --count 1000
  mercam-train synth --shifted --out bed.npz      # 442 movements drawn otherwise than the training data""")  # fmt: skip
    s.add_argument("--out", type=Path, required=True, metavar="FILE", help=".npz or .csv")
    s.add_argument("--seed", type=int, help="another draw")
    s.add_argument("--shifted", action="store_true", help="the test bed: as MEGC2019 in numbers, with other people, directions and noise than training")  # fmt: skip

    add("train", steps.train, "train a network", "fit", "table", more="""\
Without --table: on synthetic movements, drawn anew each epoch. With --table: pre-trained on synthetic movements, then
fine-tuned on all rows of the table. No row is kept back: measure with `evaluate --protocol`.""")
    add("export", steps.export_, "write the fp32 ONNX file", "run", "models")
    add("quantise", steps.quantise_, "write the int8 ONNX file", "run", "models", more="""\
Static int8 of all products with a constant side; ranges from movements that no measurement uses (synthetic people of
their own, or the training rows of the table).""")  # fmt: skip
    s = add("evaluate", steps.evaluate, "measure", "fit", "table", "models", "count", more="""\
  mercam-train evaluate                                    # both ONNX files on held-back synthetic people
  mercam-train evaluate --table T.npz                      # both ONNX files on the rows of a table
  mercam-train evaluate --table T.npz --protocol megc2019  # cross-validation: network, ablations, linear baselines

Protocols:
""" + "\n".join(f"  {k:9} {v}" for k, v in PROTOCOLS.items()) + """

True and false positives are summed over the folds before F1. The number of epochs is fixed, or chosen on training
subjects ([finetune] validation); nothing sees the left-out subject's labels. On a cluster give each node a part:
  --fold-shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT  and run once more without it to put them together.""")  # fmt: skip
    s.add_argument("--protocol", choices=sorted(PROTOCOLS), help="cross-validation on --table")
    s.add_argument("--databases", metavar="A,B", help="databases of the table that take part (default: the protocol's own, or all)")
    s.add_argument("--seeds", metavar="1,2,3", help="seeds of every network")
    s.add_argument("--no-ablations", action="store_true", help="the full network and the baselines only")
    s.add_argument("--workers", type=int, default=1, help="folds at a time, each in a process of its own (default %(default)s)")
    s.add_argument("--fold-shard", metavar="I/N", help="only part I of N of the folds; all parts share --run")

    add("parity", steps.parity_, "compare PyTorch, onnxruntime and mercam, both files", "run", "models", "parity", more="""\
Prints the share of equal classes, the largest differences and the worst case; fails when eager and fp32 differ by more
than 1e-5 or classes agree in less than 99.5 %. Writes the Rust fixture, the figures of the card, the manifest.""")  # fmt: skip
    s = add("report", steps.report_, "draw one HTML file from a run's folder", "run", "models", more="""\
Training curves, confusion, reliability, methods with intervals, component actions drawn on a face. No other file is
needed to look at it.""")  # fmt: skip
    s.add_argument("--out", type=Path, metavar="FILE", help="default: report.html in the run's folder")
    s = add("all", steps.all_, "train, export, quantise, evaluate, compare, report", "fit", "table", "models", "parity", "count", more="""\
  mercam-train all --config configs/shipped.toml                 # makes the shipped model again
  mercam-train all --table T.npz --models mine --run runs/mine   # a model of your table""")  # fmt: skip
    s.add_argument("--ablations", action="store_true", help="also train the ablations on synthetic movements, for the card")
    return p


def main() -> None:
    a = parser().parse_args()
    try:
        a.do(a)
    except ValueError as e:
        raise SystemExit(f"mercam-train: {e}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on where it was") from None


if __name__ == "__main__":
    main()
