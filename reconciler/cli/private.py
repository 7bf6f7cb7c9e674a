"""Files that nobody else shall read."""

from __future__ import annotations

from pathlib import Path

from reconciler import wholefile
from reconciler.errors import StateError


def write_private(path: Path, data: bytes) -> None:
    """`path` with exactly `data`, mode 0600 also where another file was. Raises StateError."""
    try:
        wholefile.replace(path, data, 0o600)
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}", "name another place, or mend that one") from error
