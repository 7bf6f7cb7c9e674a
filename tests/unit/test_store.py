"""The state directory: its lock, its journal and its records, on a real disk."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import LockHeld, StateError
from reconciler.model import Event, Record
from reconciler.store import DirectoryStore
from tests.fakes.clock import FakeClock

HOLDER = """
import sys, time
from pathlib import Path
from reconciler.clock import SystemClock
from reconciler.store import DirectoryStore
with DirectoryStore(Path(sys.argv[1]), SystemClock()).lock("fleet apply"):
    print("held", flush=True)
    time.sleep(60)
"""

TORN = [
    b'{"event": "crea',
    b'{"event": "created", "at": "2026"}',
    b"\x00\x00\x00",
    b'{"event": "\xc3',
    b'{"event": "' + b"a" * (1 << 17),  # more than is read at once
]


def record(child: str) -> Record:
    return Record(child, 1, "192.0.2.1", "2026-11-22", "2026.9.6", "a_bot", "d", "done", "2026-11-22")


def event(number: int) -> Event:
    return Event("created", "2026-11-22", "run", {"number": number, "text": "ä\n\u202e"})


def write_everything(store: DirectoryStore) -> None:
    with store.lock("fleet apply"):
        store.append(event(1), durable=True)
        store.save(record("alice"))
        store.keep_lockfile("2026.9.6", b"{}")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


@pytest.fixture
def store(directory: Path) -> DirectoryStore:
    return DirectoryStore(directory, FakeClock())


@pytest.fixture
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_looking_writes_nothing(store: DirectoryStore, directory: Path) -> None:
    assert list(store.events()) == []
    assert store.records() == {}
    assert store.lockfile("2026.9.6") is None
    store.forget("alice")
    assert not directory.parent.exists()


def test_what_was_written_is_read_again(store: DirectoryStore, directory: Path) -> None:
    for number in range(3):
        store.append(event(number), durable=number == 1)
    store.save(record("alice"))
    store.save(record("bob"))
    store.forget("bob")
    again = DirectoryStore(directory, FakeClock())
    assert list(again.events()) == [event(0), event(1), event(2)]
    assert again.records() == {"alice": record("alice")}


def test_a_lock_file_is_kept_whole_by_its_version(store: DirectoryStore, directory: Path) -> None:
    store.keep_lockfile("2026.9.6", b"before")
    store.keep_lockfile("2026.9.6", b'{"lockfileVersion": 3}')
    store.keep_lockfile("2026.9.7-beta.1", b"")
    again = DirectoryStore(directory, FakeClock())
    kept = [again.lockfile(version) for version in ("2026.9.6", "2026.9.7-beta.1", "2026.9.8")]
    assert kept == [b'{"lockfileVersion": 3}', b"", None]
    assert sorted(path.name for path in (directory / "releases").iterdir()) == [
        "2026.9.6.lock.json",
        "2026.9.7-beta.1.lock.json",
    ]


@pytest.mark.parametrize("version", ["../2026.9.6", "2026.9.6/../../x", "latest", ""])
def test_no_lock_file_is_named_by_what_is_no_version(store: DirectoryStore, directory: Path, version: str) -> None:
    with pytest.raises(ValueError, match="is not an exact OpenClaw version"):
        store.keep_lockfile(version, b"{}")
    with pytest.raises(ValueError, match="is not an exact OpenClaw version"):
        store.lockfile(version)
    assert not directory.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.write_bytes(b"x" * ((1 << 20) + 1))])
def test_what_lies_in_the_place_of_a_lock_file_and_is_none_is_none(
    store: DirectoryStore, directory: Path, make: Callable[[Path], object]
) -> None:
    (directory / "releases").mkdir(parents=True)
    make(directory / "releases" / "2026.9.6.lock.json")
    assert store.lockfile("2026.9.6") is None


def test_only_the_owner_can_read_any_of_it(store: DirectoryStore, directory: Path) -> None:
    before = os.umask(0)
    try:
        write_everything(store)
    finally:
        os.umask(before)
    for path in [directory, *directory.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_second_process_is_told_who_holds_the_lock(store: DirectoryStore, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(LockHeld) as caught, store.lock("fleet destroy"):
        raise AssertionError("both have it")
    assert f"another run holds the lock: fleet apply, process {holder.pid}, since 2" in caught.value.summary
    assert caught.value.exit_code == 5


def test_a_killed_holder_holds_nothing(store: DirectoryStore, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with store.lock("fleet apply"):
        pass
    with store.lock("fleet apply"):
        pass


def test_a_refused_lock_leaves_the_holders_words(
    store: DirectoryStore, directory: Path, holder: subprocess.Popen[str]
) -> None:
    for _ in range(2):
        with pytest.raises(LockHeld, match=f"process {holder.pid}"), store.lock("fleet destroy"):
            raise AssertionError("both have it")
    assert str(holder.pid) in (directory / "lock").read_text()


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_a_torn_last_line_is_left_out(store: DirectoryStore, directory: Path, torn: bytes, newline: bytes) -> None:
    store.append(event(1), durable=True)
    with (directory / "journal.jsonl").open("ab") as file:
        file.write(torn + newline)
    assert list(store.events()) == [event(1)]


@pytest.mark.parametrize("torn", TORN)
def test_the_run_after_a_torn_line_writes_whole_ones(store: DirectoryStore, directory: Path, torn: bytes) -> None:
    store.append(event(1), durable=True)
    with (directory / "journal.jsonl").open("ab") as file:
        file.write(torn)
    with store.lock("fleet apply"):
        store.append(event(2), durable=True)
        store.append(event(3), durable=True)
    assert list(store.events()) == [event(1), event(2), event(3)]


def test_a_broken_line_in_the_middle_is_told_by_its_number_and_hides_nothing(
    store: DirectoryStore, directory: Path
) -> None:
    store.append(event(1), durable=True)
    with (directory / "journal.jsonl").open("a") as file:
        file.write('garbage\n{"event": 1, "at": [], "run": null, "fields": {}}\n')
    store.append(event(2), durable=True)
    found = list(store.events())
    assert [found[0], found[3]] == [event(1), event(2)]
    assert [(it.event, it.fields) for it in found[1:3]] == [("unreadable", {"line": 2}), ("unreadable", {"line": 3})]


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', '{"child": "alice"}', "\xff"])
def test_a_broken_record_is_left_out(store: DirectoryStore, directory: Path, text: str) -> None:
    store.save(record("bob"))
    (directory / "children" / "alice.json").write_bytes(text.encode("latin-1"))
    assert store.records() == {"bob": record("bob")}


def test_a_record_of_an_unknown_shape_is_left_out(store: DirectoryStore, directory: Path) -> None:
    store.save(record("alice"))
    path = directory / "children" / "alice.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "of_a_newer_tool": 1}))
    assert store.records() == {}


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = DirectoryStore(tmp_path / "file" / "state", FakeClock())
    with pytest.raises(StateError, match="cannot make the state directory") as caught:
        store.append(event(1), durable=False)
    assert "--state-dir" in caught.value.advice


@pytest.mark.parametrize("name", ["lock", "journal.jsonl", "children/alice.json"])
def test_what_cannot_be_written_is_said(store: DirectoryStore, directory: Path, name: str) -> None:
    (directory / name).mkdir(parents=True)  # a directory where a file belongs
    with pytest.raises(StateError, match=r"cannot write .*state"):
        write_everything(store)


@pytest.mark.parametrize("there", ["/dev/zero", "pipe", "."])
def test_a_journal_that_is_no_file_is_said_and_not_waited_for(
    store: DirectoryStore, directory: Path, there: str
) -> None:
    directory.mkdir(parents=True)
    os.mkfifo(directory / "pipe")
    (directory / "journal.jsonl").symlink_to(there)
    with pytest.raises(StateError, match=r"journal\.jsonl: it is no file"):
        list(store.events())
    with pytest.raises(StateError, match=r"journal\.jsonl: it is no file"), store.lock("fleet apply"):
        raise AssertionError("nothing can be written down")


def test_a_line_longer_than_any_event_hides_no_other(store: DirectoryStore, directory: Path) -> None:
    store.append(event(1), durable=True)
    with (directory / "journal.jsonl").open("ab") as file:
        file.write(b'"' + b"a" * (5 << 20) + b'"\n')
    store.append(event(2), durable=True)
    found = list(store.events())
    assert (found[0], found[1].fields, found[2:]) == (event(1), {"line": 2}, [event(2)])


def test_a_record_or_a_lock_without_an_end_stops_nobody(
    store: DirectoryStore, directory: Path, holder: subprocess.Popen[str]
) -> None:
    store.save(record("bob"))
    os.mkfifo(directory / "children" / "pipe.json")
    (directory / "children" / "alice.json").symlink_to("/dev/zero")
    assert store.records() == {"bob": record("bob")}
    with (directory / "lock").open("a") as file:
        file.truncate(1 << 30)
    with pytest.raises(LockHeld, match=f"process {holder.pid}") as caught, store.lock("fleet destroy"):
        raise AssertionError("both have it")
    assert len(caught.value.summary) < 2000
