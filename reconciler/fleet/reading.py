"""Reads the files that a fleet is made of, and nothing outside of the fleet file's directory.

The fleet file may come from somebody else: it must not be able to carry a file of this machine to a server, to wait
for ever on a pipe, or to fill the memory.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from reconciler.document import shown

MAX_BYTES: Final = 16 * 1024 * 1024  # of all files together
MAX_IN_TREE: Final = 1000  # files, and as many directories: links may make any number of few
_INSIDE: Final = "name a path from the file that says this on, inside the directory of the fleet file"
_CIRCLE: Final = ("is a link that leads back to itself", "name a file, or mend the link")


class Unreadable(Exception):
    """A file that is not read: why (`summary`), and what to do (`advice`)."""

    def __init__(self, summary: str, advice: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice


class Reader:
    """Reads below `root`, the fleet file's directory, and remembers what it has read.

    Names are relative to it, with "/" between their parts.
    """

    def __init__(self, root: Path, instead: Mapping[Path, bytes] = MappingProxyType({})) -> None:
        """`instead` of what lies at these resolved paths, to look at a change before it is made."""
        self._root, self._instead = root.resolve(), instead
        self._left = MAX_BYTES
        self._read: dict[str, bytes] = {}

    def fleet_file(self, path: Path) -> bytes:
        """The fleet file itself, which may be a pipe. Raises FileNotFoundError, Unreadable."""
        if self._instead and (changed := self._instead.get(path.resolve())) is not None:
            return self._counted("", changed)
        try:
            with path.open("rb") as file:
                raw = file.read(self._left + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}", "Name a readable file.") from error
        return self._counted("", raw)

    def file(self, name: str) -> bytes:
        """The bytes of a regular file. Raises Unreadable."""
        if name in self._read:
            return self._read[name]
        path = self._inside(name)
        if (changed := self._instead.get(path.resolve())) is not None:
            return self._counted(name, changed)
        try:
            # Without O_NONBLOCK a pipe would be waited for before it can be seen to be one.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise Unreadable("is no regular file", "name one")
                raw = file.read(self._left + 1)
        except OSError as error:
            raise _unreadable(error) from error
        return self._counted(name, raw)

    def tree(self, name: str) -> dict[str, bytes]:
        """Every file below a directory, by its path from there on, links followed. Raises Unreadable.

        Names that begin with a dot are left out, and nothing else is.
        """
        top = self._inside(name)
        if not top.is_dir():
            raise Unreadable("is no directory" if top.exists() else "is not there", "name a directory")
        found: dict[str, bytes] = {}
        for path in self._files_below(top):
            below = path.relative_to(top).as_posix()
            if len(found) == MAX_IN_TREE:
                raise Unreadable(f"holds more than {MAX_IN_TREE} files", "name a directory with fewer")
            try:
                found[below] = self.file(path.relative_to(self._root).as_posix())
            except Unreadable as error:
                raise _held(below, error.summary, error.advice) from error
        if not found:
            raise Unreadable("holds no file", "put one there, or remove this entry")
        return found

    def matching(self, pattern: str) -> list[str]:
        """The names that a pattern finds, sorted. Raises Unreadable when there is none."""
        if "**" in pattern:
            raise Unreadable("** is not read here", "write one * for each level, for example: eu/*.yaml")
        self._inside(pattern)
        # Unlike Path.glob it leaves out names that begin with a dot, as editors make them.
        found = sorted(glob.glob(pattern, root_dir=self._root))  # noqa: PTH207
        if not found:
            raise Unreadable(
                "finds no file",
                "mend or remove it: children that no file declares any more would be destroyed",
            )
        return found

    def is_same(self, name: str, path: Path) -> bool:
        """Whether `name` is the file at `path`."""
        return _resolved(self._root / name) == _resolved(path)

    def digest(self) -> str:
        """SHA-256, hex, over the names and bytes of everything that was read. The fleet file's own name is empty."""
        whole = hashlib.sha256()
        for name, raw in sorted(self._read.items()):
            for part in (name.encode(), raw):
                whole.update(len(part).to_bytes(8, "big") + part)
        return whole.hexdigest()

    def _files_below(self, top: Path) -> Iterator[Path]:
        """Sorted, and lazily: the tree may be a whole disk. Where links lead is judged before anything is opened."""
        waiting: list[tuple[Path, tuple[Path, ...]]] = [(top, ())]
        directories = 0
        while waiting:
            path, above = waiting.pop()
            below = path.relative_to(top).as_posix()
            end = self._end(path, below)
            if not end.is_dir():
                yield path
                continue
            if end in above:
                raise _held(below, *_CIRCLE)
            directories += 1
            if directories > MAX_IN_TREE:
                raise Unreadable(f"holds more than {MAX_IN_TREE} directories", "name a directory with fewer")
            waiting += [(path / name, (*above, end)) for name in _names_in(end, below)]

    def _end(self, path: Path, below: str) -> Path:
        """Where an entry of a tree ends, all links followed."""
        try:
            end = self._inside(path.relative_to(self._root).as_posix())
        except Unreadable as error:
            raise _held(below, error.summary, "mend or remove that link") from error
        if not end.exists():
            raise _held(below, "is not there", "mend or remove that link")
        return end

    def _inside(self, name: str) -> Path:
        if name.startswith(("/", "~")):
            raise Unreadable("is an absolute path", _INSIDE)
        if "\0" in name:
            raise Unreadable("holds a NUL character", _INSIDE)
        path = _resolved(self._root / name)
        if not path.is_relative_to(self._root):
            raise Unreadable("is outside the directory of the fleet file", _INSIDE)
        return path

    def _counted(self, name: str, raw: bytes) -> bytes:
        if len(raw) > self._left:
            limit = f"{MAX_BYTES >> 20} MiB"
            together = " together with the other files" if self._read else ""
            raise Unreadable(f"is bigger than {limit}{together}", "a fleet is text, written by people: make it smaller")
        self._left -= len(raw)
        self._read[name] = raw
        return raw


def _resolved(path: Path) -> Path:
    """Where the path ends, all links followed. Raises Unreadable where they go in a circle."""
    try:
        found = path.resolve()
        is_whole = found.resolve() == found  # later Pythons stop at such a link and leave the rest as it is
    except RuntimeError:
        is_whole = False
    if not is_whole:
        raise Unreadable(*_CIRCLE)
    return found


def _names_in(directory: Path, below: str) -> list[str]:
    """Sorted backwards: the last one is taken first."""
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise _held(below, f"cannot be read: {error.strerror}", "make it readable, or remove it") from error
    return sorted((name for name in names if not name.startswith(".")), reverse=True)


def _held(below: str, summary: str, advice: str) -> Unreadable:
    return Unreadable(summary if below == "." else f"holds {shown(below)}, which {summary}", advice)


def _unreadable(error: OSError) -> Unreadable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unreadable("is not there", "mend the path: it counts from the file that says this")
    if isinstance(error, IsADirectoryError):
        advice = "name a file in it; under files a whole directory is taken by a path that ends in /"
        return Unreadable("is a directory", advice)
    return Unreadable(f"cannot be read: {error.strerror}", "name a readable file")
