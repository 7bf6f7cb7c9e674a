"""Secrets from files: `file:PATH`, relative to the fleet file. Files that everybody can read are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.errors import SecretError
from reconciler.model import Secret
from reconciler.secrets.value import secret_from

SOURCE = "file"
MAX_BYTES = 64 * 1024


def resolve(locator: str, base_dir: Path) -> Secret:
    """The file's one line. Raises SecretError when it is not there, not private, too big or not one line of text."""
    path = base_dir / Path(locator).expanduser()
    try:
        raw = _read_private(path)
    except OSError as error:
        raise SecretError(
            f"the file {path} cannot be read: {error.strerror}", "Make the file, or mend the path in the fleet file."
        ) from error
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        # The original names the bytes that it could not read: they are the secret's.
        raise SecretError(f"the file {path} is not text in UTF-8", "Write the secret as one line of text.") from None
    return secret_from(text, f"the file {path}")


def _read_private(path: Path) -> bytes:
    # Non-blocking, so that a FIFO answers at once; the checks look at the opened file, not at the name.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{path} is not a file", "Name a file that holds the secret as one line.")
        if status.st_mode & stat.S_IRWXO:
            raise SecretError(f"every user of this machine can read the file {path}", f"Run: chmod 600 {path}")
        if status.st_size > MAX_BYTES:
            raise SecretError(f"the file {path} is too big for a secret", "It holds the secret as one line.")
        return file.read(MAX_BYTES)
