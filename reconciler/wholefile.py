"""Files that are written whole or not at all: a new one never in the place of another, or one in the other's place."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


def write_new(path: Path, data: bytes, mode: int) -> None:
    """`path` with exactly `data`, on the disk when this returns. Raises OSError with nothing left.

    FileExistsError means that `path` is there.
    """
    with _written(path, data, mode) as fresh:
        try:
            os.link(fresh, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links: killed between these two calls, an empty file is left.
            os.close(os.open(path, _NEW, mode))  # the name is ours, or somebody else's
            fresh.replace(path)


def replace(path: Path, data: bytes, mode: int) -> None:
    """`path` with exactly `data` and `mode`, also where another file was; a link there is replaced, not followed.

    On the disk when this returns. Raises OSError, with whatever was there still there.
    """
    with _written(path, data, mode) as fresh:
        fresh.replace(path)


def rewrite_all(files: Mapping[Path, bytes]) -> None:
    """These paths with exactly these bytes; modes and owners stay. None is touched before all are written beside it.

    Raises OSError, with whatever was there still there; PermissionError where nobody may write one, also for root, who
    may everything.
    """
    with contextlib.ExitStack() as stack:
        fresh = {path: stack.enter_context(_rewritten(path, data)) for path, data in files.items()}
        for path, written in fresh.items():
            written.replace(path)


@contextlib.contextmanager
def _rewritten(path: Path, data: bytes) -> Iterator[Path]:
    before = path.stat()
    if not before.st_mode & 0o222:
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    with _written(path, data, 0o600) as fresh:
        if os.geteuid() == 0:
            os.chown(fresh, before.st_uid, before.st_gid)
        fresh.chmod(stat.S_IMODE(before.st_mode))
        yield fresh


@contextlib.contextmanager
def _written(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """The data in a file beside `path`, which is gone afterwards unless it got another name."""
    fresh, is_written = None, False
    try:
        fresh, descriptor = _fresh(path, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        is_written = True
        yield fresh
    except OSError as error:
        if not is_written or error.filename == str(fresh):
            error.filename, error.filename2 = str(path), None  # not the name that it had while it was written
        raise
    finally:
        if fresh is not None:
            fresh.unlink(missing_ok=True)


def _fresh(path: Path, mode: int) -> tuple[Path, int]:
    """A new file beside `path`, open; it gets another name where a killed run of the same process id left one.

    Containers repeat those ids. Not by tempfile: that makes all files 0600, and only the kernel knows the umask.
    """
    numbers = itertools.count()
    while True:
        fresh = path.with_name(f".{path.name}.{os.getpid()}-{next(numbers)}.new")
        with contextlib.suppress(FileExistsError):
            return fresh, os.open(fresh, _NEW, mode)
