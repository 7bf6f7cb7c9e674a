"""Reads files that hold secrets. Files that everybody can read are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from reconciler.errors import SecretError

MEND: Final = "Make the file, or mend the path in the fleet file."


def read(path: Path, max_bytes: int, advice: str = MEND) -> bytes:
    """All of the file. Raises SecretError when it is no file, not private or bigger than `max_bytes`.

    The error gives `advice` when the file cannot be opened at all.
    """
    try:
        return _read(path, max_bytes)
    except OSError as error:
        raise SecretError(f"the file {path} cannot be read: {error.strerror}", advice) from error


def home() -> Path:
    """Where this account keeps such files. Raises SecretError for one that no list of accounts has."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise SecretError("this account has no home directory", "set HOME to one") from error


def _read(path: Path, max_bytes: int) -> bytes:
    # Non-blocking, so that a FIFO answers at once; the checks look at the opened file, not at the name.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{path} is not a file", "Name a file that holds the secret.")
        if status.st_mode & stat.S_IRWXO:
            raise SecretError(f"every user of this machine can read the file {path}", f"Run: chmod 600 {path}")
        if status.st_size > max_bytes:
            raise SecretError(f"the file {path} is too big for a secret", f"It may have {max_bytes} bytes at most.")
        return file.read(max_bytes)
