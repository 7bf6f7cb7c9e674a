"""How a change reads: both sides on one line where that shows all, else what was added (+) and taken away (-).

Whoever reviews a plan must see what it lets in: whatever is shortened still shows what differs, or how much is left
out.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator
from typing import Final

from reconciler.model import Change, Json
from reconciler.render.text import LONGEST_VALUE, harmless, json_line

LONGEST_PART: Final = 400  # characters of one entry
MOST_PARTS: Final = 20  # lines of one change
_LEAD: Final = 15  # characters before the first that differs, so that its place is found


def sides(change: Change) -> tuple[str, str]:
    """Before and after, each on one short line that shows where they first differ."""
    return _apart(_text(change.before), _text(change.after), LONGEST_VALUE)


def parts(change: Change) -> list[str]:
    """A heading and a line for each entry that comes or goes; nothing where the two sides say it all."""
    before, after = _entries(change.before), _entries(change.after)
    if before is None or after is None or len(" -> ".join(map(_text, (change.before, change.after)))) <= LONGEST_VALUE:
        return []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    differing = [part for part in matcher.get_opcodes() if part[0] != "equal"]
    pairs = [pair for _, a, b, c, d in differing for pair in _pairs(before[a:b], after[c:d])]
    added = [f"+ {new}" for _, new in pairs if new]
    gone = [f"- {old}" for old, _ in pairs if old]
    return [_heading(len(added), len(gone), len(before) - len(gone)), *_some([*added, *gone])]


def _text(value: Json) -> str:
    return "(none)" if value is None else json_line(value)


def _entries(value: Json) -> list[str] | None:
    """Of a list or a map, which has none where it is not there; None for what has no entries."""
    if isinstance(value, list):
        return [_text(entry) for entry in value]
    if isinstance(value, dict):
        return [f"{harmless(json.dumps(key, ensure_ascii=False))}: {_text(entry)}" for key, entry in value.items()]
    return [] if value is None else None


def _pairs(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """What stands in the place of what, each shortened beside the other; empty where there is no other."""
    for old, new in itertools.zip_longest(before, after, fillvalue=""):
        yield _apart(old, new, LONGEST_PART)


def _apart(before: str, after: str, longest: int) -> tuple[str, str]:
    """Both in `longest` characters; what they begin with alike is left out where it would hide what differs."""
    alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    start = alike - _LEAD if alike > longest - 2 * _LEAD and max(len(before), len(after)) > longest else 0
    return _cut(before, start, longest), _cut(after, start, longest)


def _cut(text: str, start: int, longest: int) -> str:
    rest = f"…{text[start:]}" if start else text
    return rest if len(rest) <= longest else rest[: longest - 1] + "…"


def _heading(added: int, gone: int, kept: int) -> str:
    tally = ((added, "added"), (gone, "taken away"), (kept, "unchanged"))
    return ", ".join(f"{count} {word}" for count, word in tally if count)


def _some(lines: list[str]) -> list[str]:
    if len(lines) <= MOST_PARTS:
        return lines
    return [*lines[: MOST_PARTS - 1], f"and {len(lines) - MOST_PARTS + 1} more, which fleet plan --json shows"]
