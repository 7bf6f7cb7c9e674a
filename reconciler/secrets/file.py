"""Secrets from files: `file:PATH` holds one line, `file:PATH#/POINTER` is a text in a JSON document.

Relative paths start at the fleet file. Nothing of a file's content is repeated, also no key of a document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from reconciler import wholefile
from reconciler.errors import SecretError
from reconciler.model import Secret, file_and_pointer
from reconciler.secrets import private_file
from reconciler.secrets.value import decoded, secret_from

SOURCE = "file"
MAX_BYTES: Final = 64 * 1024
MAX_DOCUMENT_BYTES: Final = 1024 * 1024

OWN_FILE: Final = (
    "Put the token there by other means; or name a file of its own in the fleet file, "
    "such as `bot: {token: file:secrets/NAME.token}`, and run this again."
)

# RFC 6901, sections 3 and 4.
_POINTER: Final = re.compile(r"(/([^~/]|~[01])*)+")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,6}")


def resolve(locator: str, base_dir: Path, environ: Mapping[str, str]) -> Secret:
    """The file's one line, or the text at the pointer.

    Raises SecretError when the file is not there, not private, too big or not what it should be.
    """
    name, pointer = file_and_pointer(locator)
    path = base_dir / _expanded(name)
    return only_line(path) if pointer is None else _text_at(path, pointer)


def place(locator: str, base_dir: Path) -> Path:
    """The file that holds this secret alone. Raises SecretError where it is a part of a document."""
    name, pointer = file_and_pointer(locator)
    if pointer is not None:
        raise SecretError(
            f"the secret is a part of the JSON document {name}, and that is not written by fleet",
            "Change it there by hand; or give the token a file of its own: file:PATH.",
        )
    return base_dir / _expanded(name)


def keep(path: Path, value: Secret) -> None:
    """`path`, for its owner alone, holds this one line; a directory that is not there is made. Raises SecretError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wholefile.replace(path, f"{value.reveal()}\n".encode(), 0o600)
    except OSError as error:
        raise SecretError(f"the file {path} cannot be written: {error.strerror}", private_file.MEND) from error


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        user = name.partition("/")[0]
        raise SecretError(f"{user} is nobody's home directory here", private_file.MEND) from error


def only_line(path: Path) -> Secret:
    """The one line of a file. Raises SecretError."""
    place = f"the file {path}"
    return secret_from(decoded(private_file.read(path, MAX_BYTES), place), place)


def _text_at(path: Path, pointer: str) -> Secret:
    if not _POINTER.fullmatch(pointer):
        raise SecretError(
            f'the JSON pointer "{pointer}" has a "~" that is neither "~0" nor "~1"',
            'Write "~0" for "~" and "~1" for "/" inside of a key.',
        )
    found = _followed(_document(private_file.read(path, MAX_DOCUMENT_BYTES), path), pointer, path)
    if not isinstance(found, str):
        raise SecretError(
            f'what stands at "{pointer}" in the file {path} is no string', "Point at a text between double quotes."
        )
    return secret_from(found, f'the string at "{pointer}" in the file {path}')


@lru_cache(maxsize=4)  # a thousand children may keep their tokens in one document; reading it is cheap, parsing is not
def _document(raw: bytes, path: Path) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        # The original holds the whole document.
        raise SecretError(f"the file {path} is not JSON", "Mend it, or leave the JSON pointer away.") from None


def _followed(document: object, pointer: str, path: Path) -> object:
    parts = pointer.split("/")[1:]
    for depth, part in enumerate(parts):
        try:
            document = _member(document, part.replace("~1", "/").replace("~0", "~"))
        except LookupError:
            above = "".join(f"/{part}" for part in parts[:depth])
            place = f'below "{above}"' if above else "at the top"
            raise SecretError(
                f'the file {path} has no "{part}" {place}', f'Mend the JSON pointer "{pointer}", or the file.'
            ) from None
    return document


def _member(value: object, key: str) -> object:
    """Raises LookupError."""
    if isinstance(value, dict):
        return value[key]
    if isinstance(value, list) and _INDEX.fullmatch(key):
        return value[int(key)]
    raise LookupError
