"""One self-contained HTML file: what was evaluated and how it came out."""

from __future__ import annotations

from html import escape
from pathlib import Path

from . import svg
from .face import COMPONENTS

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1a202c}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #cbd5e0;padding:.25rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}figure{display:inline-block;margin:.5rem 1rem .5rem 0;vertical-align:top}
figcaption{font-size:12px;color:#4a5568}.note{background:#fffaf0;border-left:4px solid #dd6b20;padding:.4rem .8rem}"""


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in r) + "</tr>" for r in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def faces(actions: dict[str, list[float]], names: list[str]) -> str:
    """A face per class, all with one scale."""
    top = max(max(v) for v in actions.values())
    return "".join(svg.face(dict(zip(names, v, strict=False)), top, f"{c} (full shade {top:.2f})") for c, v in actions.items())


def component_names(count: int) -> list[str]:
    from .layout import SPLITS

    return next((list(s) for s in SPLITS.values() if len(s) == count), [n for n, _, _ in COMPONENTS])


def _methods(t: dict) -> str:
    names = list(t["databases"])
    head = ["method", "UF1 ± sd", "95 % interval", "UAR ± sd", "accuracy", "ECE", *(f"UF1 {d}" for d in names)]
    rows = []
    for m in t["methods"]:
        low, high = m["interval"]["uf1"]
        rows.append([m["name"], f"{m['uf1']:.3f} ± {m['sd']['uf1']:.3f}", f"{low:.3f} to {high:.3f}", f"{m['uar']:.3f} ± {m['sd']['uar']:.3f}",
                     f"{m['accuracy']:.3f}", f"{m['ece']:.3f}" if "ece" in m else "-",
                     *(f"{m['by_database'][d]['uf1']:.3f}" for d in names)])  # fmt: skip
    out = [_table(head, rows)]
    out.append(svg.intervals([(m["name"], m["together"]["uf1"], *m["interval"]["uf1"]) for m in t["methods"]],
                             "UF1 of the seeds' mean answer, with its 95 % interval over subjects"))  # fmt: skip
    out.append("<h3>Does it help?</h3><ul>" + "".join(f"<li>{escape(v['text'])}</li>" for v in t["verdicts"]) + "</ul>")
    first = t["methods"][0]
    out.append(svg.confusion(first["confusion"], t["classes"], first["name"]))
    curves = {m["name"]: [(b["confidence"], b["accuracy"]) for b in m["reliability"]] for m in t["methods"][:1] if "reliability" in m}
    if curves:
        out.append(svg.lines(curves, "confidence", "accuracy", diagonal=True))
    if first.get("actions"):
        out.append("<h3>Which components act, by class</h3>")
        out.append(faces(first["actions"], component_names(len(next(iter(first["actions"].values()))))))
    return "".join(out)


def _task(t: dict) -> str:
    out = [f"<h2>{escape(t['name'])}</h2><p>{t['rows']} movements of {t['subjects']} subjects in {t['folds']} folds. Classes: "]
    out.append(escape(", ".join(f"{c} {n}" for c, n in zip(t["classes"], t["class_counts"], strict=True))) + ". Databases: ")
    out.append(escape(", ".join(f"{d} {n}" for d, n in t["databases"].items())) + ".</p>")
    if t["excluded"]:
        out.append("<p>Not in: " + escape("; ".join(f"{e['rows']} rows, {e['reason']}" for e in t["excluded"])) + ".</p>")
    if t["target"] == "unit":
        units = list(t["methods"][0]["units"])
        rows = [[m["name"], f"{m['f1_binary']:.3f}", f"{m['f1_macro']:.3f}", *(f"{m['units'][u]:.2f}" for u in units)] for m in t["methods"]]
        out.append(_table(["method", "F1", "F1, mean of both", *(f"AU{u}" for u in units)], rows))
    else:
        out.append(_methods(t))
    curves = {m["name"]: list(enumerate(m["loss"], 1)) for m in t["methods"] if "loss" in m}
    if curves:
        out.append("<h3>Training loss, mean over the folds</h3>" + svg.lines(curves, "epoch", "loss"))
    return "".join(out)


def write_report(path: Path, evaluation: dict | None, history: dict | None, held: dict | None, actions: dict | None) -> None:
    """Writes the file from whatever there is: a cross-validation, a training curve, held-back figures, mean actions."""
    out = ["<h1>mercam training report</h1>"]
    if evaluation:
        out.append(f"<p>Table {escape(evaluation['table'])}, protocol {escape(evaluation['protocol'])}.</p>")
        out += [_task(t) for t in evaluation["tasks"]]
    if history and history["loss"]:
        out.append(f"<h2>Training</h2><p>{len(history['loss'])} epochs, {history['seconds']:.0f} s on {escape(history['device'])}.</p>")
        out.append(svg.lines({"loss": list(enumerate(history["loss"], 1))}, "epoch", "loss"))
        if history["accuracy"]:
            out.append(svg.lines({"accuracy": list(enumerate(history["accuracy"], 1))}, "epoch", "accuracy on training movements"))
        if history["validation"]:
            out.append(svg.lines({"UF1": list(enumerate(history["validation"], 1))}, "epoch", "UF1 on validation subjects"))
    if held and "held_back" in held:
        out.append('<h2>Held-back synthetic movements</h2><p class="note">' + escape(held["data"]) + ".</p>")
        rows = [[n, *(f"{r[k]:.4f}" for k in ("uf1", "uar", "accuracy", "ece"))] for n, r in held["held_back"].items()]
        rows += [[f"{b['name']} (ablation)", f"{b['uf1']:.4f}", f"{b['uar']:.4f}", "-", "-"] for b in held.get("ablations", [])]
        out.append(_table(["network", "UF1", "UAR", "accuracy", "ECE"], rows))
        r = held["held_back"]["int8"]
        out.append(svg.confusion(r["confusion"], ["negative", "positive", "surprise", "none"], "int8"))
        if "reliability" in r:
            out.append(svg.lines({"int8": [(b["confidence"], b["accuracy"]) for b in r["reliability"]]}, "confidence", "accuracy", diagonal=True))
    if actions:
        out.append("<h2>Which components act, by class (synthetic)</h2>" + faces(actions, component_names(6)))
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>mercam training report</title><style>{STYLE}</style><body>{"".join(out)}</body></html>\n'  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
