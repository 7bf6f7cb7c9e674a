"""The emulator's state file: what it keeps, and that a save costs what changed and not what there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.resources import Action, Firewall, SshKey
from reconciler.sandbox.emulator.state import StateFile
from reconciler.sandbox.emulator.tables import Table

KEY = SshKey(1, "me", "2026-11-22T00:00:00Z", "ssh-ed25519 AAAA", "aa:bb", {"a": "b"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def tables(*keys: SshKey) -> dict[str, Table[Any]]:
    made: dict[str, Table[Any]] = {"ssh_keys": Table(), "firewalls": Table(), "actions": Table()}
    for key in keys:
        made["ssh_keys"].put(key)
    return made


@pytest.fixture
def state(path: Path) -> Iterator[StateFile]:
    with closing(StateFile(path)) as state:
        yield state


def read_again(path: Path) -> tuple[dict[str, Table[Any]], dict[str, str]]:
    """What a new process finds."""
    found = tables()
    with closing(StateFile(path)) as state:
        return found, state.load(found)


def ask(path: Path, statement: str, *values: object) -> list[Any]:
    """Over a connection of its own."""
    with closing(sqlite3.connect(path)) as aside, aside:
        return aside.execute(statement, values).fetchall()


def test_what_is_saved_is_read_again_as_the_same_values(path: Path, state: StateFile) -> None:
    rule: Any = {"direction": "in", "source_ips": ("0.0.0.0/0",)}
    written = tables(KEY)
    written["firewalls"].put(Firewall(2, "fw", "2026-11-22T00:00:00Z", (rule,), ("env=prod",), (7,)))
    written["actions"].put(Action(3, "create_server", "error", "x", (("server", 7),), "y", ("code", "text")))
    state.save(written, {"last_id": "3"})
    read, counters = read_again(path)
    assert (read, counters) == (written, {"last_id": "3"})
    assert read["ssh_keys"].named("me") == KEY


def test_a_save_writes_only_what_changed(path: Path, state: StateFile) -> None:
    known = tables(*(replace(KEY, id=number, name=f"key{number}") for number in range(1, 1001)))
    state.save(known, {})
    ask(path, "DELETE FROM rows")
    known["ssh_keys"].put(replace(KEY, id=500, name="renamed"))
    known["ssh_keys"].remove(7)
    state.save(known, {})
    assert ask(path, "SELECT id FROM rows") == [(500,)]


def test_a_removed_row_stays_away(path: Path, state: StateFile) -> None:
    known = tables(KEY)
    state.save(known, {})
    known["ssh_keys"].remove(1)
    state.save(known, {})
    assert read_again(path)[0] == tables()


@pytest.mark.parametrize("row", [None, ("ships", 1, "{}"), ("ssh_keys", 1, "{"), ("ssh_keys", 1, '{"colour": 1}')])
def test_a_file_of_another_version_is_refused_with_the_way_out(path: Path, row: tuple[str, int, str] | None) -> None:
    if row is None:
        path.write_text("what an older version wrote, long enough to be looked at: " + "x" * 100)
    else:
        read_again(path)
        ask(path, "INSERT INTO rows VALUES (?, ?, ?)", *row)
    with pytest.raises(SandboxError, match="not a state file of this sandbox's version") as caught:
        read_again(path)
    assert "fleet sandbox down" in caught.value.advice


def test_names_follow_their_rows() -> None:
    known: Table[SshKey] = Table()
    known.put(KEY)
    known.put(replace(KEY, name="renamed"))
    assert known.named("me") is None
    assert known.referred("renamed") == known.referred(1) == known.referred("1") == known[1]
    known.remove(1)
    assert known.named("renamed") is None
