"""What every renderer needs: host text made harmless, durations and values as people read them."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Final

from reconciler.model import Json

LONGEST_VALUE: Final = 60

# What a CI system would take for a command to itself: GitHub's `::set-output ...` at the beginning of a line, and
# Azure's `##vso[...]` and GitHub's old `##[...]` anywhere in one.
_COMMAND_AT_START: Final = re.compile(r"(?<!\S)::(?=[A-Za-z])")
_COMMAND_ANYWHERE: Final = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)


def harmless(text: str) -> str:
    """Text from outside for a terminal or a CI log: what does not print, and what begins a CI command, as an escape."""
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _COMMAND_ANYWHERE.sub(r"#\\x23", _COMMAND_AT_START.sub(r"\\x3a:", printable))


def json_text(value: Json, *, indent: int | None = 2) -> str:
    """JSON for standard output: ASCII, so no character drives a terminal, and no CI command stands in it.

    Without `indent` it is one line, its keys in order.
    """
    return json.dumps(value, indent=indent, sort_keys=indent is None).replace("##", "\\u0023#")


def json_line(value: Json) -> str:
    """A JSON value on one line, whole, with characters as people write them."""
    return harmless(json.dumps(value, ensure_ascii=False, sort_keys=True))


def value_text(value: Json) -> str:
    """A JSON value on one line, shortened; what is not there says so."""
    if value is None:
        return "(none)"
    text = json_line(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def folded(line: str, width: int | None) -> list[str]:
    """The line in pieces of at most `width` columns, the later ones indented; a longer word stays whole."""
    if width is None or len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def seconds_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def count_text(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"
