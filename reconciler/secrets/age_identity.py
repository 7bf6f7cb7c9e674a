"""A file with an age identity, as age-keygen writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reconciler.errors import SecretError
from reconciler.model import Secret

LARGEST: Final = 65536


def read_identity(path: Path) -> Secret:
    """The first identity in the file. Raises SecretError, which repeats nothing of it."""
    try:
        with path.open("rb") as file:
            lines = file.read(LARGEST).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise SecretError(f"cannot read the identity in {path}: {error.strerror}", "name the file of it") from error
    found = next((line.strip() for line in lines if line.strip().startswith("AGE-SECRET-KEY-1")), None)
    if found is None:
        raise SecretError(f"there is no age identity in {path}", "it is a line that begins with AGE-SECRET-KEY-1")
    return Secret(found)
