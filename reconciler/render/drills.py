"""What came of drills, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import Drill, Json
from reconciler.render.text import harmless


def drill_lines(drills: Iterable[Drill]) -> list[tuple[str, str | None]]:
    lines: list[tuple[str, str | None]] = []
    for found in drills:
        about = f" {found.backup.id}" if found.backup else ""
        if found.is_proven:
            how = f"{age_text(found.age)} old, and ran again after {age_text(found.seconds)} with all that it holds"
            lines.append((f"{found.child}:{about} proven: {how}", "green"))
            continue
        lines.append((f"{found.child}:{about} not proven: {harmless(found.problem)}", "red"))
        lines += [(f"  {harmless(line)}", None) for line in found.advice.splitlines()]
    return lines


def drill_json(drills: Iterable[Drill]) -> Json:
    """`rpo_seconds` is what would be lost, `rto_seconds` how long it would take; null where that was not proven."""
    return [
        {
            "child": found.child,
            "proven": found.is_proven,
            "backup": found.backup.id if found.backup else None,
            "version": found.backup.version if found.backup else None,
            "rpo_seconds": found.age,
            "rto_seconds": found.seconds if found.is_proven else None,
            "problem": found.problem or None,
            "advice": found.advice or None,
            "left": found.left or None,
        }
        for found in drills
    ]


def age_text(seconds: int | None) -> str:
    """In the two largest units that say something: 26 h, 3 min 12 s."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(seconds, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
