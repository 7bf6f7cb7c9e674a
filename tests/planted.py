"""Values that must not be found, and a detector that finds them in every form in which they get out.

The forms are those in which a program passes a value on by accident: as it is, base64 wherever it begins (with either
alphabet, and folded as in a PEM file), quoted for a URL, escaped for JSON, and hex.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from reconciler.model import Secret

SHORTEST = 12  # bytes: whatever is shorter may stand anywhere by chance
_FOLDS = re.compile(rb"\s+|\\+[nr]")  # also as JSON and Python write the end of a line


@dataclass(frozen=True)
class Planted:
    """One secret. `kind` is what the table of allowed places calls it."""

    kind: str
    value: bytes

    def __post_init__(self) -> None:
        assert len(self.value) >= SHORTEST, f"{self.kind} is too short to be looked for"


@dataclass(frozen=True)
class Find:
    kind: str
    form: str


def planted_text(kind: str, secret: Secret | str) -> Planted:
    return Planted(kind, (secret.reveal() if isinstance(secret, Secret) else secret).encode())


def planted_key(kind: str, private_key: Secret) -> Planted:
    """The 32 bytes that an Ed25519 key is made of: they stand in each of its files, which are never alike."""
    private = load_ssh_private_key(private_key.reveal().encode(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    return Planted(kind, private.private_bytes_raw())


def finds(haystack: bytes, secrets: Iterable[Planted]) -> list[Find]:
    """Every secret that is in there, each with the first form that shows it."""
    unfolded = _FOLDS.sub(b"", haystack)
    found = (next(_finds(haystack, unfolded, secret), None) for secret in secrets)
    return [find for find in found if find is not None]


def _finds(haystack: bytes, unfolded: bytes, secret: Planted) -> Iterator[Find]:
    for form, text in forms(secret.value):
        if text in haystack or _FOLDS.sub(b"", text) in unfolded:
            yield Find(secret.kind, form)


@cache
def forms(value: bytes) -> tuple[tuple[str, bytes], ...]:
    """(name, what to look for), each once."""
    return tuple({text: (name, text) for name, text in reversed([*_forms(value)])}.values())[::-1]


def _forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", value
    for offset in range(3):
        inner = _base64(value, offset)
        yield f"base64, {offset} bytes in", inner
        yield f"base64 for URLs, {offset} bytes in", inner.translate(bytes.maketrans(b"+/", b"-_"))
    yield "URL", quote(value, safe="").encode()
    yield "URL with slashes", quote(value).encode()
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return  # no JSON holds it
    yield "JSON", json.dumps(text)[1:-1].encode()
    yield "JSON in UTF-8", json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield "JSON in JSON", json.dumps(json.dumps(text)[1:-1])[1:-1].encode()


def _base64(value: bytes, offset: int) -> bytes:
    """The characters that `value` alone decides when it begins `offset` bytes after a group of three."""
    encoded = base64.b64encode(bytes(offset) + value + bytes(3))
    return encoded[-(-offset * 8 // 6) : (offset + len(value)) * 8 // 6]
