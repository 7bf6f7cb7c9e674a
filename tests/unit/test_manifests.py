"""What is noted beside a backup: whoever has no fleet key can neither make a note nor change one."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler import keys
from reconciler.errors import BackupDamaged
from reconciler.manifests import (
    LARGEST_NOTE,
    NOTE,
    Known,
    _mac,
    fitted,
    is_note,
    known_of,
    read_note,
    stem_of,
    write_note,
)
from reconciler.model import Backup, Hold, Purpose
from tests.fakes.worlds import FLEET_KEY

KEY = keys.backup_key(FLEET_KEY)
BACKUP = Backup(
    "20261126T184500Z",
    "demo",
    "alice",
    "0123456789abcdef",
    "2026.9.6",
    "2026-11-26T18:45:00+00:00",
    114_000,
    "ab" * 32,
    115_000,
    "cd" * 32,
    keys.backup_recipient(FLEET_KEY),
    {"databases": {"state/openclaw.sqlite": {"pairing": 2}}, "workspace": {"files": 7}},
)
NAME = f"{stem_of(BACKUP)}{NOTE}"


def test_a_note_says_again_what_was_noted() -> None:
    assert NAME == "demo/alice/20261126T184500Z-0123456789abcdef.json"
    assert is_note(NAME)
    assert read_note(NAME, write_note(BACKUP, KEY), KEY) == BACKUP


def test_what_an_older_tool_does_not_know_is_written_only_where_there_is_such_a_thing() -> None:
    """It called every note damaged that has a field more."""
    held = Hold("2026.9.7", "never ready", "2026-11-26T18:45:00+00:00")
    note = write_note(replace(BACKUP, held=(held,)), KEY)
    assert json.loads(note)["held"] == [{"version": held.version, "reason": held.reason, "at": held.at}]
    assert read_note(NAME, note, KEY).held == (held,)
    newer = {**json.loads(note), "held": [{**json.loads(note)["held"][0], "is_fine": True}]}
    del newer["mac"]
    assert read_note(NAME, json.dumps({**newer, "mac": _mac(newer, KEY)}).encode(), KEY).held == (held,)


@pytest.mark.parametrize(
    "change",
    [{"version": "2026.9.7"}, {"digest": "00" * 32}, {"holds": {}}, {"format": 2}, {"more": 1}, {"mac": "00" * 32}],
    ids=str,
)
def test_a_note_that_was_changed_is_none(change: dict[str, Any]) -> None:
    body = {**json.loads(write_note(BACKUP, KEY)), **change}
    with pytest.raises(BackupDamaged, match="is not as it was written, or of another fleet key"):
        read_note(NAME, json.dumps(body).encode(), KEY)


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    "holds",
    [{"many": ["x"] * 150_000}, {"long": "x" * LARGEST_NOTE}, {"deep": [nested(200)] * 100}, nested(5000)],
    ids=["many", "long", "deep", "deeper"],
)
def test_no_note_is_written_that_is_too_long_to_be_read(holds: Any) -> None:
    told = fitted(replace(BACKUP, holds=holds), KEY)
    assert told == replace(BACKUP, holds={})
    assert fitted(BACKUP, KEY) == BACKUP


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"mac": 1}', b'{"mac": "x"}', b"\xff"])
def test_what_is_no_note_is_none(data: bytes) -> None:
    with pytest.raises(BackupDamaged):
        read_note(NAME, data, KEY)


@pytest.mark.parametrize("purpose", [Purpose.LAST, Purpose.SLEEP, Purpose.FORK])
def test_what_it_was_made_for_is_known_by_its_name_and_its_note_alike(purpose: Purpose) -> None:
    backup = replace(BACKUP, purpose=purpose)
    name = f"{stem_of(backup)}{NOTE}"
    assert name == f"demo/alice/20261126T184500Z-0123456789abcdef-{purpose}.json"
    assert known_of(name) == Known("alice", backup.id, purpose, stem_of(backup))
    assert known_of(NAME) == Known("alice", BACKUP.id, Purpose.COPY, stem_of(BACKUP))
    assert read_note(name, write_note(backup, KEY), KEY) == backup
    for other, written in ((NAME, backup), (name, BACKUP)):
        with pytest.raises(BackupDamaged):
            read_note(other, write_note(written, KEY), KEY)


def test_a_fork_of_before_there_were_other_purposes_is_one() -> None:
    body = {**json.loads(write_note(BACKUP, KEY)), "is_fork": True}
    del body["mac"]
    noted = json.dumps({**body, "mac": mac_of(body)}).encode()
    name = NAME.replace(".json", "-fork.json")
    assert read_note(name, noted, KEY) == replace(BACKUP, purpose=Purpose.FORK)


def mac_of(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(bytes.fromhex(KEY.reveal()), text, "sha256").hex()


def test_a_name_of_no_purpose_that_is_ours_is_no_note() -> None:
    assert known_of(NAME.replace(".json", "-copy.json")) is None
    assert known_of(NAME.replace(".json", "-other.json")) is None


@pytest.mark.parametrize("moment", ["99991231T235959Z", "90000101T000000Z", "20261399T184500Z"])
def test_what_has_the_name_of_no_real_moment_is_no_note(moment: str) -> None:
    assert known_of(NAME.replace(BACKUP.id, moment)) is None
    assert known_of(NAME.replace(BACKUP.id, "89991231T235959Z")) is not None


def test_an_older_tool_reads_what_was_made_for_nothing_special() -> None:
    assert "purpose" not in json.loads(write_note(BACKUP, KEY))


def test_a_note_of_one_child_does_not_speak_for_another() -> None:
    """Whoever can write to the storage can copy files there."""
    with pytest.raises(BackupDamaged):
        read_note(NAME.replace("alice", "bob"), write_note(BACKUP, KEY), KEY)
    with pytest.raises(BackupDamaged):
        read_note(NAME, write_note(replace(BACKUP, id="20261127T184500Z"), KEY), KEY)


def test_the_key_of_another_fleet_reads_no_note() -> None:
    with pytest.raises(BackupDamaged):
        read_note(NAME, write_note(BACKUP, KEY), keys.backup_key(keys.make_key(bytes(32))))


@pytest.mark.parametrize("name", ["demo/alice/x.age", "demo/alice/note.json", "demo/20261126T184500Z-0a.json", ""])
def test_what_others_keep_there_is_no_note(name: str) -> None:
    assert not is_note(name)
