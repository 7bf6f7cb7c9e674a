"""What hosts keep of earlier versions, and what the fleet keeps away from, as tables and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rich.text import Text

from reconciler.commands.switching import is_aside_name
from reconciler.model import Child, Hold, Json
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless
from reconciler.steps.versions import present


def checkpoint_table(children: Mapping[str, Child]) -> Sheet:
    """A row per checkpoint, the newest first; one for a child that has none."""
    rows = [row for name, child in children.items() for row in _rows(name, child)]
    return Sheet(("CHILD", "CHECKPOINT", "OF VERSION", "MADE", "SIZE", "NOW AT"), tuple(rows))


def checkpoint_json(children: Mapping[str, Child]) -> dict[str, Json]:
    return {name: _child_json(child) for name, child in children.items()}


def quarantine_lines(quarantined: Mapping[str, Hold]) -> list[tuple[str, str | None]]:
    if not quarantined:
        return [("No version is quarantined.", None)]
    return [(f"{harmless(hold.version)}  {_since(hold)}{harmless(hold.reason)}", None) for hold in quarantined.values()]


def quarantine_json(quarantined: Mapping[str, Hold]) -> list[Json]:
    return [dict(asdict(hold)) for hold in quarantined.values()]


def moment(at: str) -> str:
    """2026-11-26 18:45 UTC, of an ISO time in UTC."""
    return f"{harmless(at)[:16].replace('T', ' ')} UTC" if at else NO_CELL


def size_text(size: int) -> str:
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _rows(name: str, child: Child) -> Iterator[tuple[Text, ...]]:
    facts = child.facts
    if facts is None:
        why = child.silence_detail or "nobody has looked at it"
        yield tuple(Text(cell) for cell in (harmless(name), NO_CELL, NO_CELL, NO_CELL, NO_CELL, harmless(why)))
        return
    now = harmless(present(facts) or NO_CELL)
    for checkpoint in reversed(facts.checkpoints):
        made, size = moment(checkpoint.at), size_text(checkpoint.size)
        whose = f", {harmless(checkpoint.of)}'s" if checkpoint.of else ", left" if checkpoint.is_left else ""
        cells = (harmless(name), harmless(checkpoint.id), f"{harmless(checkpoint.version)}{whose}", made, size, now)
        yield tuple(Text(cell) for cell in cells)
    for aside in sorted(filter(is_aside_name, facts.asides), reverse=True):
        version = aside.partition("@")[2].rstrip("+")
        cells = (harmless(name), harmless(aside), f"{harmless(version)}, set aside", NO_CELL, NO_CELL, now)
        yield tuple(Text(cell) for cell in cells)
    if not facts.checkpoints and not facts.asides:
        yield tuple(Text(cell) for cell in (harmless(name), NO_CELL, NO_CELL, NO_CELL, NO_CELL, now))


def _child_json(child: Child) -> Json:
    facts = child.facts
    if facts is None:
        return {
            "version": None,
            "checkpoints": [],
            "asides": [],
            "held": None,
            "noted": [],
            "switch": None,
            "unknown": child.silence_detail or True,
        }
    return {
        "version": present(facts),
        "checkpoints": [dict(asdict(checkpoint)) for checkpoint in facts.checkpoints],
        "asides": [*facts.asides],
        "held": dict(asdict(facts.held)) if facts.held else None,
        "noted": [dict(asdict(held)) for held in facts.noted],
        "switch": dict(asdict(facts.switch)) if facts.switch else None,
    }


def _since(hold: Hold) -> str:
    return f"since {moment(hold.at)}  " if hold.at else ""
