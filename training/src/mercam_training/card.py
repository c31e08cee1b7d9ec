"""The machine-made part of models/MODEL_CARD.md: figures between two markers, prose around them untouched."""

from __future__ import annotations

from pathlib import Path

from .actions import CLASSES

BEGIN = "<!-- figures: written by mercam-train, do not edit -->"
END = "<!-- end of figures -->"


def figures(e: dict) -> str:
    """Tables in Markdown from evaluation.json."""
    i, f, p = e["held_back"]["int8"], e["held_back"]["fp32"], e["parity"]
    out = [
        f"Model `{e['model_id']}`, {e['parameters']:,} parameters, {e['int8_matmuls']} products in int8, temperature {e['temperature']:.2f}.",
        f"Held-back **synthetic** movements: {i['samples']:,} samples of {i['people']} invented people that no other step has seen.",
        "",
        "| | int8 | fp32 |",
        "|---|---|---|",
    ]
    rows = [("UF1 (macro F1, four classes)", "uf1"), ("UF1 of the three expressive classes", "uf1_expressive"), ("UAR", "uar"),
            ("accuracy", "accuracy"), ("calibration error (ECE, 15 bins)", "ece")]  # fmt: skip
    out += [f"| {name} | {i[k]:.4f} | {f[k]:.4f} |" for name, k in rows]
    out += [f"| F1 {c} | {i['f1'][k]:.4f} | {f['f1'][k]:.4f} |" for k, c in enumerate(CLASSES)]
    out += [f"| file, bytes | {e['bytes']['int8']:,} | {e['bytes']['fp32']:,} |"]
    out += [
        "",
        (
            f"The classes share action-unit combinations, so somebody who saw every action unit perfectly would reach UF1 {i['uf1_ceiling']:.4f} "
            "on the same samples."
        ),
        "",
        "Confusion (int8; rows true, columns said):",
        "",
        "| | " + " | ".join(CLASSES) + " |",
        "|---|" + "---|" * len(CLASSES),
    ]
    out += [f"| {c} | " + " | ".join(map(str, row)) + " |" for c, row in zip(CLASSES, i["confusion"], strict=True)]
    out += [
        "",
        "Accuracy on micro-expressions by largest landmark movement (int8):",
        "",
        "| movement, IOD | samples | accuracy |",
        "|---|---|---|",
    ]
    out += [f"| {a['iod'][0]} to {a['iod'][1]} | {a['samples']} | {a['accuracy']:.3f} |" for a in i["by_amplitude"]]
    out += ["", "Distractors answered with `none` (int8): " + ", ".join(f"{k} {v:.3f}" for k, v in i["rejected"].items()) + "."]
    out += [
        "",
        (
            f"Agreement on {p['samples']:,} samples: int8 and fp32 name the same class in {p['int8_argmax']:.4f}; mean difference of a probability "
            f"{p['int8_mean_gap_probs']:.4f}, largest {p['int8_gap']['probs']:.3f}. fp32 file against the network in PyTorch: {p['export_gap']:.1e}."
        ),
    ]
    if e.get("ablations"):
        out += [
            "",
            "Ablations, each trained as the shipped model, fp32, same held-back samples:",
            "",
            "| network | parameters | UF1 | UAR |",
            "|---|---|---|---|",
        ]
        out += [f"| {a['name']} | {a['parameters']:,} | {a['uf1']:.4f} | {a['uar']:.4f} |" for a in e["ablations"]]
    return "\n".join(out)


def write(path: Path, e: dict) -> None:
    """Replaces what is between the markers; a missing card or marker is an error, prose is never invented here."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path}: the markers {BEGIN!r} and {END!r} are missing; the figures go between them")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    path.write_text(f"{head}{BEGIN}\n\n{figures(e)}\n\n{END}{tail}", encoding="utf-8")
