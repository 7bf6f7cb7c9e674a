"""A file that was not there before: whole, or not there at all when it fails, and never in the place of another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: Path, data: bytes, mode: int) -> None:
    """`path` with exactly `data`, on the disk when this returns. Raises FileExistsError; OSError with nothing left.

    Killed between its last two calls it leaves an empty file. A hard link would not, but some file systems have none.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, _NEW, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.close(os.open(path, _NEW, mode))  # the name is ours, or somebody else's
        fresh.replace(path)
    except OSError as error:
        error.filename = str(path)  # not the name that it had while it was written
        raise
    finally:
        fresh.unlink(missing_ok=True)
