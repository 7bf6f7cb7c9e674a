"""A diagnosis as people read it: each check, then the cause, its evidence and what mends it; and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from reconciler.model import Diagnosis, Json, Verdict
from reconciler.render.text import harmless

_WORDS: Final = {
    Verdict.OK: ("ok", "green"),
    Verdict.FAILED: ("FAILED", "red"),
    Verdict.UNKNOWN: ("unknown", "yellow"),
    Verdict.SKIPPED: ("skipped", None),
}
_COLUMN: Final = max(len(word) for word, _ in _WORDS.values())
_NAME: Final = len("start limit")
Line = tuple[str, str | None]


def diagnosis_lines(found: Diagnosis, *, whole: bool) -> list[Line]:
    """`whole`: every check has a line. Else only those that say something."""
    lines: list[Line] = [(found.child, None)]
    shown = [it for it in found.findings if whole or it.verdict in (Verdict.FAILED, Verdict.UNKNOWN)]
    for finding in shown:
        word, color = _WORDS[finding.verdict]
        lines.append((f"  {word:{_COLUMN}}  {finding.check:{_NAME}}  {harmless(finding.text)}", color))
    if found.cause is None:
        unsure = f", but {harmless(found.unseen)}" if found.unseen else "."
        return [*lines, (f"  Nothing is wrong that can be seen{unsure}", "yellow" if found.unseen else None)]
    return [
        *lines,
        (f"  Cause:     {found.cause} (README, under cause-{found.cause})", "red"),
        (f"  Evidence:  {harmless(found.evidence)}", None),
        *((f"  {'To mend:' if number == 0 else '':9}  {harmless(line)}", None)
          for number, line in enumerate(found.mend.splitlines())),
    ]  # fmt: skip


def diagnosis_json(found: Iterable[Diagnosis]) -> Json:
    """Everything, by child."""
    return {it.child: {name: value for name, value in asdict(it).items() if name != "child"} for it in found}
