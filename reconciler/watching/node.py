"""Whether Node.js has mended something insecure since the release that is on the host."""

from __future__ import annotations

import re
from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "node security"
CAUSE: Final = Cause.NODE_INSECURE
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_MEND: Final = "a newer version of this tool brings it: install that, then fleet apply {name}"


def judge(it: Watched) -> Told:
    there = _numbers((it.examined.node if it.examined else None) or "")
    if there is None or it.node_fixes is None:
        return Told("nobody could ask", is_unknown=True)
    later = [found for found in map(_numbers, it.node_fixes) if found and found[0] == there[0] and found > there]
    if later:
        text = f"Node.js {_text(max(later))} mends something insecure in {_text(there)}"
        return Told(text, CAUSE, _MEND)
    return Told(f"nothing is known against {_text(there)}")


def _numbers(version: str) -> tuple[int, ...] | None:
    found = _NUMBERS.fullmatch(version.strip())
    return tuple(map(int, found.groups())) if found else None


def _text(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
