"""What every renderer needs: host text made harmless, durations and values as people read them."""

from __future__ import annotations

import json
from typing import Final

from reconciler.model import Json

LONGEST_VALUE: Final = 60


def harmless(text: str) -> str:
    """Text from outside for a terminal: everything that does not print (control, bidi, newlines) as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def value_text(value: Json) -> str:
    """A JSON value on one line, shortened; what is not there says so."""
    if value is None:
        return "(none)"
    text = harmless(json.dumps(value, ensure_ascii=False, sort_keys=True))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def seconds_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def count_text(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"
