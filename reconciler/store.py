"""The state directory on disk: a lock, an append-only journal, a record per child. Rebuildable, and without secrets."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

from reconciler import wholefile
from reconciler.commands.release import exact
from reconciler.errors import LockHeld, StateError
from reconciler.model import Event, Record
from reconciler.ports import Clock

_BLOCK: Final = 1 << 16  # bytes
_LONGEST: Final = 1 << 20  # bytes of an event, a record or a lock file: none that we write comes near
_LONGEST_HOLDER: Final = 200  # bytes of the words in the lock


class DirectoryStore:
    """A Store in `directory`, made on the first write: looking at a fleet leaves nothing behind."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._journal = directory / "journal.jsonl"
        self._records = directory / "children"

    @contextmanager
    def lock(self, operation: str) -> Iterator[None]:
        """A kernel lock: it ends with its holder, however that one dies."""
        self._make()
        with self._writing():
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = file.read(_LONGEST_HOLDER).decode("utf-8", "replace").strip(" \0\n")
                raise LockHeld(
                    f"another run holds the lock: {holder or 'it has not said who it is'}",
                    "wait until it has ended; the lock is freed by itself when its process ends",
                ) from error
            since = self._clock.now().isoformat(timespec="seconds")
            with self._writing():
                file.truncate(0)
                file.write(f"{operation}, process {os.getpid()}, since {since}\n".encode())
                self._drop_torn_line()
            yield

    def append(self, event: Event, durable: bool) -> None:
        self._make()
        line = json.dumps(asdict(event), sort_keys=True) + "\n"
        with self._writing(), self._journal.open("a", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(line)
            file.flush()
            if durable:
                os.fdatasync(file.fileno())

    def events(self) -> Iterable[Event]:
        """All events in their order. A torn last line (a crash while writing) is left out.

        Any other line that cannot be read is an event `unreadable` with its number: one bad line hides no history.
        """
        unreadable = 0
        with self._reading():
            for number, line in enumerate(self._lines(), start=1):
                if unreadable:
                    yield Event("unreadable", "", "", {"line": unreadable})
                event = _event(line)
                unreadable = 0 if event else number
                if event:
                    yield event

    def records(self) -> dict[str, Record]:
        """Every readable record; a broken one is left out, for it decides nothing."""
        found = {}
        with self._reading():
            there = sorted(self._records.iterdir()) if self._records.is_dir() else []
        for path in (path for path in there if path.suffix == ".json"):
            try:
                record = Record(**json.loads(_content(path)))
            except (OSError, ValueError, TypeError):
                continue
            found[record.child] = record
        return found

    def save(self, record: Record) -> None:
        self._make()
        text = json.dumps(asdict(record), indent=1, sort_keys=True) + "\n"
        with self._writing():
            self._records.mkdir(mode=0o700, exist_ok=True)
            wholefile.replace(self._records / f"{record.child}.json", text.encode(), 0o600)

    def forget(self, child: str) -> None:
        with self._writing():
            (self._records / f"{child}.json").unlink(missing_ok=True)

    def lockfile(self, version: str) -> bytes | None:
        """None as well for one that cannot be read: a child's host has it too."""
        path = self._lockfile(version)
        try:
            return _content(path)
        except (OSError, ValueError):
            return None

    def keep_lockfile(self, version: str, content: bytes) -> None:
        path = self._lockfile(version)
        self._make()
        with self._writing():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            wholefile.replace(path, content, 0o600)

    def _lockfile(self, version: str) -> Path:
        return self._directory / "releases" / f"{exact(version)}.lock.json"

    def _make(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"cannot make the state directory {self._directory}: {error.strerror}",
                "name another one with --state-dir",
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"cannot read {error.filename or self._directory}: {error.strerror}",
                "see to whom it belongs, or name another directory with --state-dir",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"cannot write {error.filename or self._directory}: {error.strerror}",
                "see to whom it belongs and how full the disk is, or name another directory with --state-dir",
            ) from error

    def _drop_torn_line(self) -> None:
        """What a crash left without an end was never written, and would swallow the line that comes next."""
        if self._has_journal():
            with self._journal.open("r+b") as file:
                file.truncate(_end_of_last_line(file))

    def _lines(self) -> Iterator[bytes]:
        """Those that have their end; of one that is too long for an event only the beginning."""
        if not self._has_journal():
            return
        with self._journal.open("rb") as file:
            while line := file.readline(_LONGEST):
                rest = line
                while rest and not rest.endswith(b"\n"):
                    rest = file.readline(_LONGEST)
                if rest:
                    yield line

    def _has_journal(self) -> bool:
        """Raises OSError when that is no file: a device has no end, and a pipe waits for somebody."""
        if self._journal.exists() and not self._journal.is_file():
            raise OSError(errno.EINVAL, "it is no file", str(self._journal))
        return self._journal.exists()


def _content(path: Path) -> bytes:
    """Raises OSError, ValueError when it is no file or has more than any record."""
    if not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("it is too long")
    return content


def _event(line: bytes) -> Event | None:
    try:
        event = Event(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (event.event, event.at, event.run)
    return event if all(isinstance(text, str) for text in texts) and isinstance(event.fields, dict) else None


def _end_of_last_line(file: BinaryIO) -> int:
    """Looked for from the back: a journal grows for years."""
    start = file.seek(0, os.SEEK_END)
    while start:
        end, start = start, max(0, start - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
    return 0
