"""Backups in a directory, of this machine or mounted on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reconciler.errors import VaultError

PART: Final = ".part"  # what ends so was never finished
ABANDONED: Final = 86400.0  # seconds after which nobody goes on with one


class DirectoryVault:
    """Implements ports.Vault. Its files are the owner's alone: sealed, but how much there is, is nobody's business."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.where = str(directory)

    def put(self, name: str, source: Path) -> None:
        place = self._place(name)
        part = place.with_name(place.name + PART)
        with self._translated("write below", ""):
            _make(place.parent)
            _clear(place.parent)
            with source.open("rb") as data, os.fdopen(os.open(part, _NEW, 0o600), "wb") as file:
                shutil.copyfileobj(data, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
            _sync(place.parent)

    def get(self, name: str, target: Path) -> None:
        with self._translated("read", name):
            shutil.copyfile(self._place(name), target)

    def names(self, prefix: str) -> list[str]:
        with self._translated("list", prefix):
            below = self._place(prefix.rpartition("/")[0])
            found = [path for path in _files(below) if not path.name.endswith(PART)]
            names = sorted(path.relative_to(self.directory).as_posix() for path in found)
            return [name for name in names if name.startswith(prefix)]

    def remove(self, name: str) -> None:
        with self._translated("remove", name):
            self._place(name).unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        return self.directory / name

    @contextlib.contextmanager
    def _translated(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise VaultError(
                f"cannot {doing} {self._place(name)}: {error.strerror or error}",
                "look at that place: is it mounted, has it room, may this account write there?",
            ) from error


_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def _files(below: Path) -> Iterator[Path]:
    """None where nothing was ever kept. Raises OSError where nobody can tell: what cannot be read is not empty."""
    seen = set[tuple[int, int]]()  # links may lead in a circle
    for place, directories, names in os.walk(below, onerror=_raise_unless_missing, followlinks=True):
        known = {name: (Path(place) / name).stat() for name in directories}
        directories[:] = [name for name, it in known.items() if (it.st_dev, it.st_ino) not in seen]
        seen |= {(it.st_dev, it.st_ino) for it in known.values()}
        yield from (Path(place) / name for name in names)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _clear(directory: Path) -> None:
    """What nobody is writing any more, and somebody was once."""
    for part in directory.glob(f"*{PART}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def _make(directory: Path) -> None:
    """With each parent that is new written to the disk: a file is there after a power cut only if its way is."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in missing:
        _sync(place.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
