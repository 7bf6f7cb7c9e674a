"""Files that nobody else shall read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from reconciler.errors import StateError


def write_private(path: Path, data: bytes) -> None:
    """`path` with exactly `data`, mode 0600 also where another file was. Raises StateError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise StateError(f"cannot write {path}: {error.strerror}", "name another place, or mend that one") from error
