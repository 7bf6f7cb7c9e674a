"""Values that never show themselves, and where they are found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

SHORTEST: Final = 8  # characters; what is shorter names nothing and would blot out ordinary words


class Secret:
    """A value that never shows itself: repr, str and format print `***`; only `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found, never the value.

    `env:NAME`, `file:PATH`, `file:PATH#/JSON/POINTER`, `cmd:PROGRAM ARGUMENT...` or `hcloud:CONTEXT`.
    """

    source: str
    locator: str

    def __str__(self) -> str:
        return f"{self.source}:{self.locator}"


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """`text` with *** for each secret, also where it is quoted for JSON or a URL. Of one in many lines each is one."""
    lines = {line.strip() for secret in secrets for line in secret.reveal().splitlines()}
    for line in sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True):
        for written in (line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1], quote(line, safe="")):
            text = text.replace(written, "***")
    return text


def file_and_pointer(locator: str) -> tuple[str, str | None]:
    """The path and the JSON pointer (RFC 6901) of a `file:` locator. Without a pointer the whole file is the secret.

    The first `#/` starts the pointer; any other `#` belongs to the file's name.
    """
    path, mark, rest = locator.partition("#/")
    return path, f"/{rest}" if mark else None
