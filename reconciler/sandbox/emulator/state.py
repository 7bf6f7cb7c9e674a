"""The emulator's memory in one SQLite file, so that a new process knows the servers of the one before.

A save writes the rows that changed and no others, whatever the project's size. Never contains user_data or a token.
It outlives the process, not a power cut: nothing waits for the disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.resources import (
    Action,
    Firewall,
    Image,
    Network,
    PlacementGroup,
    PrimaryIp,
    Server,
    SshKey,
)
from reconciler.sandbox.emulator.tables import Table

_KINDS = {
    "servers": Server,
    "ssh_keys": SshKey,
    "firewalls": Firewall,
    "placement_groups": PlacementGroup,
    "networks": Network,
    "primary_ips": PrimaryIp,
    "images": Image,
    "actions": Action,
}
_LAYOUT = """
CREATE TABLE IF NOT EXISTS rows (kind TEXT, id INTEGER, body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""


class StateFile:
    """`counters` are the few values that are no rows: the last id, the last address."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        # Opened where the world is made, used in the event loop's thread alone.
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_LAYOUT}")
        except sqlite3.DatabaseError as error:
            self.close()
            raise _foreign(path) from error
        self._path = path

    def load(self, tables: Mapping[str, Table[Any]]) -> dict[str, str]:
        """Fill the tables; the counters. Raises SandboxError for a file of another version."""
        try:
            for kind, _, body in self._database.execute("SELECT * FROM rows ORDER BY kind, id"):
                tables[kind].put(_KINDS[kind](**_with_tuples(json.loads(body))))
            counters = dict(self._database.execute("SELECT * FROM counters"))
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise _foreign(self._path) from error
        for table in tables.values():
            table.take_changes()  # what was just read needs no saving
        return counters

    def save(self, tables: Mapping[str, Table[Any]], counters: Mapping[str, str]) -> None:
        """All that changed, or nothing of it."""
        changes = [(kind, *change) for kind, table in tables.items() for change in table.take_changes()]
        put = [(kind, number, json.dumps(asdict(row))) for kind, number, row in changes if row is not None]
        gone = [(kind, number) for kind, number, row in changes if row is None]
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", put)
        self._database.executemany("DELETE FROM rows WHERE kind = ? AND id = ?", gone)
        self._database.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", counters.items())
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()


def _foreign(path: Path) -> SandboxError:
    return SandboxError(
        f"{path} is not a state file of this sandbox's version", "Run `fleet sandbox down`, then `fleet sandbox up`."
    )


def _with_tuples(value: Any) -> Any:
    """JSON's lists as tuples: rows are values."""
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value
