"""Small plots as SVG text: no library, so that a report is one file that opens anywhere."""

from __future__ import annotations

from html import escape

from .face import COMPONENTS, mean_face
from .layout import chains

COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#718096", "#975a16", "#319795", "#e53e3e")
W, H, LEFT, BOTTOM, TOP = 420, 240, 46, 34, 10


def _svg(width: float, height: float, body: list[str], label: str) -> str:
    head = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(label)}">'
    return head + "".join(body) + "</svg>"


def _text(x: float, y: float, s: str, anchor: str = "middle", size: int = 11, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{extra}>{escape(s)}</text>'


def lines(series: dict[str, list[tuple[float, float]]], x_name: str, y_name: str, diagonal: bool = False) -> str:
    """Curves of named points, with axes."""
    points = [p for s in series.values() for p in s]
    if not points:
        return ""
    x0, x1 = min(p[0] for p in points), max(p[0] for p in points)
    y0, y1 = min(0.0, *(p[1] for p in points)), max(p[1] for p in points)
    if diagonal:
        x0, x1, y0, y1 = 0.0, 1.0, 0.0, 1.0
    x1, y1 = max(x1, x0 + 1e-9), max(y1, y0 + 1e-9)

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - x0) / (x1 - x0) * (W - LEFT - 10), H - BOTTOM - (y - y0) / (y1 - y0) * (H - BOTTOM - TOP)

    body = []
    for k in range(5):
        y = y0 + (y1 - y0) * k / 4
        px, py = at(x0, y)
        body.append(f'<line x1="{px}" y1="{py:.1f}" x2="{W - 10}" y2="{py:.1f}" stroke="#e2e8f0"/>' + _text(px - 5, py + 4, f"{y:.3g}", "end"))
        x = x0 + (x1 - x0) * k / 4
        body.append(_text(at(x, y0)[0], H - BOTTOM + 15, f"{x:.3g}"))
    if diagonal:
        (ax, ay), (bx, by) = at(0, 0), at(1, 1)
        body.append(f'<line x1="{ax}" y1="{ay}" x2="{bx}" y2="{by}" stroke="#a0aec0" stroke-dasharray="4"/>')
    for k, (name, s) in enumerate(series.items()):
        c = COLOURS[k % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*p) for p in s))
        body.append(f'<polyline points="{path}" fill="none" stroke="{c}" stroke-width="1.8"><title>{escape(name)}</title></polyline>')
        if diagonal:
            body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{c}"/>' for x, y in (at(*p) for p in s)]
    body.append(_text((LEFT + W) / 2, H - 4, x_name) + _text(12, H / 2, y_name, extra=f' transform="rotate(-90 12 {H / 2})"'))
    legend = "".join(f'<span style="color:{COLOURS[k % len(COLOURS)]}">■ {escape(n)}</span> ' for k, n in enumerate(series))
    return f"<figure>{_svg(W, H, body, y_name)}<figcaption>{legend}</figcaption></figure>"


def intervals(rows: list[tuple[str, float, float, float]], name: str) -> str:
    """A dot with its interval per row: (name, value, low, high)."""
    low, high = min(r[2] for r in rows), max(r[3] for r in rows)
    span, body = max(high - low, 1e-6), []

    def at(v: float) -> float:
        return 250 + (v - low) / span * 300

    for k, (label, v, a, b) in enumerate(rows):
        y, c = 18 + 22 * k, COLOURS[0] if k == 0 else COLOURS[5]
        body.append(_text(240, y + 4, label, "end") + f'<line x1="{at(a):.1f}" y1="{y}" x2="{at(b):.1f}" y2="{y}" stroke="{c}" stroke-width="2"/>')
        body.append(f'<circle cx="{at(v):.1f}" cy="{y}" r="4" fill="{c}"/>' + _text(560, y + 4, f"{v:.3f} ({a:.3f} to {b:.3f})", "start"))
    return f"<figure>{_svg(720, 22 * len(rows) + 14, body, name)}<figcaption>{escape(name)}</figcaption></figure>"


def confusion(matrix: list[list[int]], classes: list[str], name: str) -> str:
    """Rows true, columns said; shade = share of the row."""
    n, size, left, top = len(classes), 54, 92, 34
    body = [_text(left + size * (k + 0.5), top - 8, c) for k, c in enumerate(classes)]
    for i, row in enumerate(matrix):
        body.append(_text(left - 6, top + size * (i + 0.5) + 4, classes[i], "end"))
        for j, v in enumerate(row):
            share = v / max(sum(row), 1)
            ink = "#fff" if share > 0.55 else "#1a202c"
            body.append(f'<rect x="{left + size * j}" y="{top + size * i}" width="{size}" height="{size}" fill="#2b6cb0" fill-opacity="{share:.3f}" stroke="#cbd5e0"/>')  # fmt: skip
            body.append(_text(left + size * (j + 0.5), top + size * (i + 0.5) + 4, str(v), extra=f' fill="{ink}"'))
    return f"<figure>{_svg(left + size * n + 8, top + size * n + 8, body, name)}<figcaption>{escape(name)}; rows true, columns said</figcaption></figure>"


def face(actions: dict[str, float], top: float, name: str) -> str:
    """A face whose components are shaded by how strongly they act; `top` is full shade."""
    p = mean_face()[:, :2] * 78 + [105, 62]
    body = []
    for component, first, last in COMPONENTS:
        v = next((actions[k] for k in (component, component.split("_")[-1] + "s", component) if k in actions), None)
        if v is None:
            continue
        xs, ys = p[first:last, 0], p[first:last, 1]
        share = min(max(v / max(top, 1e-9), 0), 1)
        body.append(f'<ellipse cx="{(xs.min() + xs.max()) / 2:.1f}" cy="{(ys.min() + ys.max()) / 2:.1f}" rx="{(xs.max() - xs.min()) / 2 + 9:.1f}" '
                    f'ry="{(ys.max() - ys.min()) / 2 + 8:.1f}" fill="#c53030" fill-opacity="{0.85 * share:.3f}">'
                    f"<title>{escape(component)} {v:.3f}</title></ellipse>")  # fmt: skip
    for a, b in chains(tuple(range(68))):
        body.append(f'<line x1="{p[a, 0]:.1f}" y1="{p[a, 1]:.1f}" x2="{p[b, 0]:.1f}" y2="{p[b, 1]:.1f}" stroke="#4a5568"/>')
    return f"<figure>{_svg(210, 222, body, name)}<figcaption>{escape(name)}</figcaption></figure>"
