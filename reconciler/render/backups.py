"""Backups as tables, lines and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from rich.text import Text

from reconciler.model import Backup, Json, KeptBackups, MadeBackup, Purpose, VerifiedBackup
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless
from reconciler.render.versions import moment, size_text

_WHY: Final = {
    Purpose.COPY: "",
    Purpose.UPDATE: ", before an update",
    Purpose.LAST: ", the last of its server",
    Purpose.SLEEP: ", to sleep",
    Purpose.FORK: ", a fork",
    Purpose.EARLIER: ", of before, from its server",
}
__all__ = [
    "backup_json",
    "backup_table",
    "made_json",
    "made_lines",
    "problem_lines",
    "size_text",
    "verified_json",
    "verified_lines",
]


def backup_table(kept: Mapping[str, KeptBackups]) -> Sheet:
    """A row per backup, the newest first; one for a child that has none."""
    rows = [row for name, found in kept.items() for row in _rows(name, found)]
    return Sheet(("CHILD", "BACKUP", "MADE", "OF VERSION", "SIZE", "HOLDS"), tuple(rows))


def backup_json(kept: Mapping[str, KeptBackups]) -> dict[str, Json]:
    return {
        name: {
            "where": found.where,
            "backups": [dict(asdict(backup)) for backup in found.backups],
            "problems": [*found.problems],
        }
        for name, found in kept.items()
    }


def problem_lines(kept: Mapping[str, KeptBackups]) -> list[str]:
    return [f"Warning: {name}: {harmless(problem)}" for name, found in kept.items() for problem in found.problems]


def made_lines(made: Iterable[MadeBackup]) -> list[tuple[str, str | None]]:
    """What came of each child."""
    lines: list[tuple[str, str | None]] = []
    for outcome in made:
        if outcome.backup is None:
            lines.append((f"{outcome.child}: no backup: {harmless(outcome.problem)}", "red"))
            lines += [(f"  {line}", None) for line in harmless(outcome.advice).splitlines()]
            continue
        backup = outcome.backup
        lines.append((f"{outcome.child}: {backup.id}, {size_text(backup.sealed_size)}, {_holds(backup)}", "green"))
        if outcome.removed:
            lines.append((f"  removed: {', '.join(it.id for it in outcome.removed)}", None))
        if outcome.problem:
            lines.append((f"  {harmless(outcome.problem)}", "red"))
            lines += [(f"  {line}", None) for line in harmless(outcome.advice).splitlines()]
    return lines


def made_json(made: Iterable[MadeBackup]) -> dict[str, Json]:
    return {
        outcome.child: {
            "backup": None if outcome.backup is None else dict(asdict(outcome.backup)),
            "removed": [backup.id for backup in outcome.removed],
            "problem": outcome.problem or None,
            "advice": outcome.advice,
        }
        for outcome in made
    }


def verified_lines(found: Iterable[VerifiedBackup]) -> list[tuple[str, str | None]]:
    lines: list[tuple[str, str | None]] = []
    for it in found:
        if it.problem or it.backup is None:
            lines.append((f"{it.child}: {harmless(it.problem)}", "red"))
            lines += [(f"  {harmless(line)}", None) for line in it.advice.splitlines()]
            continue
        how = (
            "opens, and is what its host has made" if it.is_opened else "is what was kept; to open it: --identity FILE"
        )
        size = size_text(it.backup.sealed_size)
        lines.append((f"{it.child}: {it.backup.id} ({size}) {how}", "green" if it.is_opened else None))
    return lines


def verified_json(found: Iterable[VerifiedBackup]) -> dict[str, Json]:
    return {
        it.child: {
            "backup": it.backup.id if it.backup else None,
            "is_kept": it.is_kept,
            "is_opened": it.is_opened,
            "problem": it.problem or None,
            "advice": it.advice or None,
        }
        for it in found
    }


def _rows(name: str, found: KeptBackups) -> Iterator[tuple[Text, ...]]:
    for backup in found.backups:
        cells = name, backup.id, moment(backup.at), backup.version, size_text(backup.sealed_size), _holds(backup)
        yield tuple(Text(harmless(cell)) for cell in cells)
    if not found.backups:
        yield tuple(Text(cell) for cell in (harmless(name), *(NO_CELL,) * 5))


def _holds(backup: Backup) -> str:
    """As a host has counted: of no child in another form than ours."""
    holds: Any = backup.holds
    try:
        rows = sum(int(count) for tables in holds["databases"].values() for count in tables.values())
        counted = f"{rows} rows, {int(holds['workspace']['files'])} files"
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        counted = NO_CELL
    return f"{counted}{_WHY[backup.purpose]}"
