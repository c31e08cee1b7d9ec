"""The grammar of action-unit strings: "4+L12", "R12B + R15", "6or7", "AU4(k)", "4+7?", "(B) 14"."""

from __future__ import annotations

import re

_PART = re.compile(r"\(?\s*(?:AU)?\s*\(?([LRA]|left|right|unilateral)?\)?\s*0*(\d{1,2})\s*(?:\(?[A-E]\)?)?", re.IGNORECASE)
_NONE = {"", "nan", "none", "?", "/", "0", "-", "n/a"}


def action_units(text: str | None) -> tuple[str, list[str]]:
    """Canonical form ("4+L12"; "" when not annotated) and what is doubtful about it.

    Sides L and R are kept, the asymmetry mark A and intensities A-E are not. Of alternatives ("6/7", "6 or 7") the
    first is taken; doubtful units marked (k) are left out, those with a question mark are kept.
    """
    if text is None or text.strip().lower() in _NONE:
        return "", []
    doubt, found = [], []
    for part in re.split(r"[+,，、;；&]", text):
        part = part.strip()
        if not part:
            continue
        if "(k)" in part.lower():
            doubt.append(f"{part!r} is marked doubtful and left out")
            continue
        choices = [c for c in re.split(r"/|\s*\bor\b\s*|(?<=\d)or(?=\d)", part, flags=re.IGNORECASE) if re.search(r"\d", c)]
        if len(choices) > 1:
            doubt.append(f"of {part!r} the first is taken")
        if "?" in part:
            doubt.append(f"{part!r} is kept although marked doubtful")
        m = _PART.search(choices[0]) if choices else None
        if m is None:
            doubt.append(f"{part!r} is no action unit and left out")
            continue
        side = {"l": "L", "left": "L", "r": "R", "right": "R"}.get((m[1] or "").lower(), "")
        unit = f"{side}{int(m[2])}"
        if unit not in found:
            found.append(unit)
    return "+".join(found) or "-", doubt
