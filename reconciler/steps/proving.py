"""Whether a throw-away that was given a backup remembers all that the backup holds: before its first start, and after.

Of every other child these steps do nothing: whoever shall serve a user is not kept from it by a count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler import commands
from reconciler.errors import BackupDamaged, HostError, ProofFailed
from reconciler.managed import files
from reconciler.model import Backup, Json
from reconciler.steps.work import Work

SHOWN: Final = 10  # differences; more are counted
# What no gateway loses by starting: who was let in, and what was said (openclaw.sqlite and openclaw-agent.sqlite of
# 2026.9.6). Other tables are queues, leases and codes that end, and grow and shrink by themselves.
LASTING: Final = (
    *("channel_pairing_allow_entries", "device_pairing_paired"),
    *("session_nodes", "session_windows", "transcript_events"),
)


def ensure_same_memory(work: Work) -> bool:
    """What lies on the host before the first start is, row for row and file for file, what the backup's note says.

    Raises BackupDamaged with every table that differs; HostError.
    """
    backup = _on_trial(work)
    if backup is None:
        return False
    if found := [*differences(_claimed(backup), _held(work, live=False))]:
        raise BackupDamaged(
            f"what was restored is not what the backup {backup.id} of {backup.child} holds: {_listed(found)}",
            f"make another one, and try that: fleet backup create {backup.child}; fleet drill {backup.child}",
        )
    return True


def ensure_nothing_forgotten(work: Work) -> bool:
    """The gateway that has started has all the sessions and pairings of the backup. Raises ProofFailed, HostError.

    It is stopped to be asked: it keeps databases locked while it runs (measured, 2026.9.5).
    """
    backup = _on_trial(work)
    if backup is None:
        return False
    work.connection().run(commands.stop_unit(files.UNIT))
    if found := [*losses(_claimed(backup), _held(work, live=True))]:
        raise ProofFailed(
            f"the gateway has started with the backup {backup.id} of {backup.child}, and has lost: {_listed(found)}",
            f"OpenClaw {backup.version} did that at its start; nothing of {backup.child} itself was touched",
        )
    return True


def differences(noted: Json, found: Json) -> Iterator[str]:
    """Table by table, and of the workspace as a whole, where `found` is not as was noted. Pure."""
    before, after = _tables(noted), _tables(found)
    for table in sorted(before.keys() | after.keys()):
        if before.get(table) != after.get(table):
            yield f"{table}: {_rows(after.get(table))}, not {_rows(before.get(table))}"
    workspace, there = _workspace(noted), _workspace(found)
    if workspace != there:
        same_count = workspace.get("files") == there.get("files")
        what = "files of other content" if same_count else f"{there.get('files')} files, not {workspace.get('files')}"
        yield f"workspace: {what}"


def losses(noted: Json, found: Json) -> Iterator[str]:
    """Of the tables that only grow, those that have fewer rows than was noted. Pure."""
    after = _tables(found)
    for table, rows in sorted(_tables(noted).items()):
        if table.rpartition(" ")[2] in LASTING and after.get(table, 0) < rows:
            yield f"{table}: {_rows(after.get(table))}, not {_rows(rows)}"


def _on_trial(work: Work) -> Backup | None:
    """What a throw-away was given; None of whoever is none."""
    return work.keeping.memory.backup if work.keeping.memory is not None and work.declared().is_throwaway else None


def _claimed(backup: Backup) -> Json:
    """What its note says, which comes from the gateway's user: of what is no map, nothing."""
    return dict(backup.holds) if isinstance(backup.holds, Mapping) else {}


def _held(work: Work, *, live: bool) -> Json:
    printed = work.connection().run(commands.summarize_state(live=live)).stdout
    try:
        found: Json = json.loads(printed)
    except (ValueError, RecursionError) as error:
        raise HostError("what the host says of its state cannot be read", "try again") from error
    return found


def _tables(holds: Json) -> dict[str, int]:
    """Rows by "DATABASE TABLE". A note that says something else says nothing of rows."""
    databases: Any = holds.get("databases") if isinstance(holds, dict) else None
    found = databases.items() if isinstance(databases, dict) else ()
    return {
        f"{database} {table}": rows
        for database, tables in found
        if isinstance(tables, dict)
        for table, rows in tables.items()
        if isinstance(rows, int)
    }


def _workspace(holds: Json) -> dict[str, Json]:
    workspace = holds.get("workspace") if isinstance(holds, dict) else None
    return workspace if isinstance(workspace, dict) else {}


def _rows(count: int | None) -> str:
    return "no such table" if count is None else f"{count} rows"


def _listed(found: list[str]) -> str:
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more
