"""Words for emotions, and the classes they stand for (design: MEGC 2019 and each database's own custom)."""

from __future__ import annotations

import re

#: Spellings that mean the same.
_SAME = {
    "happy": "happiness", "happyness": "happiness", "sad": "sadness", "surprised": "surprise", "angry": "anger", "other": "others",
    "disgusted": "disgust", "tense": "tense", "tension": "tense", "negtive": "negative", "nagetive": "negative", "fearful": "fear",
    "po": "positive", "ne": "negative", "sur": "surprise", "suprise": "surprise", "surprising": "surprise", "fears": "fear",
}  # fmt: skip
_NEGATIVE = ("repression", "anger", "contempt", "disgust", "fear", "sadness", "negative")

#: The classes of each scheme, in the order of their labels.
SCHEMES: dict[str, tuple[str, ...]] = {
    "3": ("negative", "positive", "surprise"),
    "3+none": ("negative", "positive", "surprise", "none"),
    "4": ("negative", "positive", "surprise", "others"),
    "5-casme2": ("happiness", "surprise", "disgust", "repression", "others"),
    "5-samm": ("anger", "contempt", "happiness", "surprise", "others"),
    "5-4dme": ("positive", "negative", "surprise", "repression", "others"),
    "7": ("happiness", "surprise", "anger", "disgust", "fear", "sadness", "others"),
    "7-dfme": ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
}
#: What `--classes 5` and `--classes 7` mean for a database that has a custom of its own.
OWN = {("5", "samm"): "5-samm", ("5", "4dme"): "5-4dme", ("7", "dfme"): "7-dfme"}


def canonical(text: str) -> str:
    """Words in lower case, one spelling each, several joined by "+" in alphabetical order."""
    words = [w for w in re.split(r"[^a-z]+", text.lower()) if w and w not in ("and", "or")]
    return "+".join(sorted({_SAME.get(w, w) for w in words}))


def scheme_of(classes: str, database: str) -> str:
    """The scheme's full name: "5" is the database's own five."""
    if classes == "5":
        return OWN.get((classes, database), "5-casme2")
    return OWN.get((classes, database), classes)


def label_of(emotion: str, scheme: str, database: str) -> tuple[str, str]:
    """Class of an emotion, or "" and the reason why it has none in this scheme."""
    if not emotion:
        return "", "no emotion"
    found = {_one(word, scheme, database) for word in emotion.split("+")}
    if "" in found:
        return "", f"emotion {emotion} not in classes {scheme}"
    if len(found) > 1:
        return "", f"emotions {emotion} of several classes"
    return found.pop(), ""


def _one(word: str, scheme: str, database: str) -> str:
    if scheme in ("3", "3+none", "4"):
        if database == "casme2" and word in ("fear", "sadness"):
            return ""  # MEGC 2019 leaves these nine clips out
        if word in _NEGATIVE:
            return "negative"
        name = {"happiness": "positive", "positive": "positive", "surprise": "surprise"}.get(word, word)
        return name if name in SCHEMES[scheme] else ""
    return word if word in SCHEMES[scheme] else ""
