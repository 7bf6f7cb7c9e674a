"""An alert as a person reads it: what, since when, why, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from reconciler.model import ANSWERS, AlertState, Json, Level, Notice, Quiet, Word
from reconciler.render.text import harmless
from reconciler.steps.silences import EVERYBODY

_SHOWN: Final = 10


def notice_text(fleet: str, notice: Notice, now: datetime) -> tuple[str, str]:
    """Title and body, without any markup."""
    first = notice.first
    word = "RESOLVED" if notice.word is Word.RESOLVED else str(first.trouble.level).upper()
    mark = "" if notice.word in (Word.FIRING, Word.RESOLVED) else f" ({notice.word})"
    title = f"[{fleet}] {word}{mark}: {_who(notice)}: {first.trouble.cause}"
    return harmless(title), "\n".join(map(harmless, _lines(notice, now)))


def level_of(notice: Notice) -> Level | None:
    return None if notice.word is Word.RESOLVED else notice.first.trouble.level


def silence_lines(quiets: Sequence[Quiet]) -> list[str]:
    """Of whom nothing is told, and until when."""
    return [
        harmless(
            f"{it.child if it.child != EVERYBODY else 'all children'}{f', {it.cause} alone' if it.cause else ''}: "
            f"until {it.until:%Y-%m-%d %H:%M} UTC"
        )
        for it in quiets
    ] or ["Nobody is silenced."]


def silences_json(quiets: Iterable[Quiet]) -> Json:
    """The child is EVERYBODY where all are meant, the cause None where it is every one."""
    return [{"child": it.child, "cause": it.cause or None, "until": it.until.isoformat()} for it in quiets]


def _who(notice: Notice) -> str:
    names = [state.trouble.child for state in notice.states]
    if names == [""]:
        return "the whole fleet"
    if len(names) == 1:
        says = "gives no answer" if notice.first.trouble.key == ANSWERS else "needs somebody"
        return f"{names[0]} {'is well again' if notice.word is Word.RESOLVED else says}"
    return f"{len(names)} children in {_regions(notice.states)}"


def _regions(states: tuple[AlertState, ...]) -> str:
    found = Counter(state.region or "no region" for state in states)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{region} ({count})" for region, count in found.most_common())


def _lines(notice: Notice, now: datetime) -> list[str]:
    first = notice.first
    since = min(state.since for state in notice.states)
    lines = [f"since {since:%Y-%m-%d %H:%M} UTC ({age(now, since)})"]
    if len(notice.states) > 1:
        names = [state.trouble.child for state in notice.states]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"they are: {', '.join(names[:_SHOWN])}{more}")
    lines.append(first.trouble.text)
    if notice.word is Word.FLAPPING:
        lines.append("it comes and goes, and is told again when it is steady")
    if notice.word is not Word.RESOLVED:
        lines += [f"to mend: {first.trouble.mend}", f"README: cause-{first.trouble.cause}"]
    return lines


def age(now: datetime, since: datetime) -> str:
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
