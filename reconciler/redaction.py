"""What a log says, without the secrets in it: those that are known, and what looks like one. Pure.

Known ones are found however they are written: as they are, in JSON, in a URL, in base64 or in hexadecimal digits. Of
others only what everybody knows the look of can be found; a password that looks like a word is not.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, unquote

from reconciler.model import Secret

MASK: Final = "***"
_SHORTEST: Final = 8  # characters of a secret that is looked for: shorter ones are everywhere

_LOOKS: Final = re.compile(
    r"(?P<bot>(?<![0-9])[0-9]{6,12}(?::|%3[Aa])[A-Za-z0-9_-]{30,})"
    r"|(?P<key>\bsk-[A-Za-z0-9_-]{16,})"
    r"|(?P<age>\bAGE-SECRET-KEY-1[0-9A-Z]{20,})"
    r"|(?P<web>(?<![A-Za-z0-9_-])ey[IJ][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
    r"|(?P<vendor>\b(?:gh[opsu]_[A-Za-z0-9]{20,}|xox[abpr]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}))"
)
# The word that says what follows stays, and what follows goes.
_NAMED: Final = re.compile(
    r"(?P<said>\b(?:bearer|basic)\s+|\b(?:x-api-key|authorization)[\"']?\s*[:=]\s*[\"']?(?!bearer\b|basic\b)"
    r"|(?:token|secret|passw(?:or)?d|api[_-]?key)[\"']?\s*[:=]\s*[\"']?)"
    r"(?P<secret>[^\s\"',;&\\]{8,})",
    re.IGNORECASE,
)
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_PEM_BEGINS: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_OF_KEY: Final = re.compile(r"(?:^|\s)[A-Za-z0-9+/=]{10,}$|: ")  # of a key's own lines; its headers have a colon
_PEM_ENDS: Final = re.compile(r"^.*?-----END [A-Z ]*PRIVATE KEY-----")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
_HEX: Final = re.compile(r"\b(?:[0-9A-Fa-f]{2}){16,}\b")
_WORD: Final = re.compile(r"[^\s\"']+")


class Redactor:
    """Takes the lines of one log in their order: a key may go over many of them."""

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        values = {line.strip() for secret in known for line in secret.reveal().splitlines()}
        long = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
        self._known = tuple(dict.fromkeys(written for value in long for written in _written(value)))
        self._in_base64 = tuple(dict.fromkeys(inner for value in long for inner in _in_base64(value)))
        self._is_within_key = False

    def line(self, text: str) -> str:
        """The same, with *** for each secret."""
        if self._is_within_key:
            end = _PEM_ENDS.match(text)
            if end is None and _OF_KEY.search(text):
                return MASK
            self._is_within_key, text = False, text if end is None else MASK + text[end.end() :]
        begins = list(_PEM_BEGINS.finditer(text))
        self._is_within_key = bool(begins) and _PEM_ENDS.search(text[begins[-1].end() :]) is None
        return self._without_secrets(_PEM.sub(MASK, text))

    def _without_secrets(self, text: str) -> str:
        for written in self._known:
            text = text.replace(written, MASK)
        text = _BASE64.sub(self._without_known, text)
        text = _LOOKS.sub(MASK, text)
        text = _NAMED.sub(_after_its_name, text)
        for chunk, decode in ((_BASE64, _from_base64), (_HEX, _from_hex), (_WORD, _from_url)):
            text = chunk.sub(lambda found, decode=decode: self._encoded(found[0], decode(found[0])), text)  # type: ignore[misc]
        return text

    def _without_known(self, found: re.Match[str]) -> str:
        return MASK if any(inner in found[0] for inner in self._in_base64) else found[0]

    def _encoded(self, chunk: str, decoded: Iterator[str]) -> str:
        """The chunk, or *** where one of the texts that it may stand for has a secret in it."""
        return MASK if any(self._has_secret(text) for text in decoded) else chunk

    def _has_secret(self, text: str) -> bool:
        return bool(_LOOKS.search(text) or _PEM_BEGINS.search(text)) or any(known in text for known in self._known)


def _written(value: str) -> Iterator[str]:
    """Every way in which a known secret may stand in a text."""
    raw = value.encode()
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield raw.hex()
    yield raw.hex().upper()


def _in_base64(value: str) -> Iterator[str]:
    """What of it is the same whatever stands before and behind it."""
    raw = value.encode()
    for before in range(3):  # whatever stands before it, it begins in one of three places of a group
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = whole[-(-before * 4 // 3) : len(whole) - (1 if (before + len(raw)) % 3 else 0)]
        yield inner  # of three bytes before it, or of none, a whole group
        yield inner.translate(str.maketrans("+/", "-_"))


def _after_its_name(found: re.Match[str]) -> str:
    return f"{found['said']}{MASK}"


def _from_base64(chunk: str) -> Iterator[str]:
    plain = chunk.rstrip("=").translate(str.maketrans("-_", "+/"))
    for begin in range(4):
        whole = plain[begin:]
        try:
            yield base64.b64decode(whole[: len(whole) // 4 * 4]).decode("utf-8", "replace")
        except binascii.Error:
            continue


def _from_hex(chunk: str) -> Iterator[str]:
    yield bytes.fromhex(chunk).decode("utf-8", "replace")


def _from_url(chunk: str) -> Iterator[str]:
    if "%" in chunk:
        yield unquote(chunk)
