"""What a log says, without the secrets in it: those that are known, and what looks like one. Pure.

Known ones are found however they are written: as they are, in JSON (also within JSON), in a URL, in base64 or in
hexadecimal digits. Of others only what everybody knows the look of can be found, and what is said to be the value of
something called a secret; a password that looks like a word, in a sentence, is not.
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
_DEEPEST: Final = 3  # JSON within JSON within JSON

# Telegram's tokens are a number and 35 characters; a moment and a digest beside it are more.
_LOOKS: Final = re.compile(
    r"(?<![0-9])[0-9]{6,12}(?::|%3[Aa])(?:AA[A-Za-z0-9_-]{28,}|[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-]))"
    r"|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|(?<![A-Za-z0-9_-])ey[IJ][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{30,})"
    r"|\b(?:xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,})"
    r"|\b(?:[rps]k_(?:live|test)_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,})"
    r"|\b(?:pplx-[A-Za-z0-9]{20,}|dop_v1_[0-9a-f]{40,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})"
)
_QUOTE: Final = r"\\*[\"']"
_SCHEMES: Final = r"(?:(?:bearer|basic|token|key)\s+)?"
_CALLED: Final = (
    r"(?:secret|passw(?:or)?d|passphrase|(?:api|private|access|secret)[_-]?key|credentials?|token"
    r"|authorization|cookie)"
)
# The name stays, and what is said to be its value goes: in quotes all that is between them, else the next word.
_QUOTED: Final = re.compile(
    rf"(?P<said>{_CALLED}(?:{_QUOTE})?\s*[:=]\s*(?P<quote>{_QUOTE}){_SCHEMES})(?P<secret>.{{6,4000}}?)(?P<end>(?P=quote))",
    re.IGNORECASE,
)
_BARE: Final = re.compile(rf"(?P<said>{_CALLED}\s*[:=]\s*{_SCHEMES})(?P<secret>[^\s\"',;&\\]{{4,}})", re.IGNORECASE)
_SCHEME: Final = re.compile(
    r"(?P<said>\b(?:bearer|basic|x-api-key:?)\s+[\"']?)(?P<secret>[A-Za-z0-9+/=._~-]{8,})", re.IGNORECASE
)
_USER: Final = re.compile(
    r"(?P<said>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://)(?P<secret>[^\s/\"'?]{0,200}:[^\s/\"'?]{1,200})(?P<end>@)",
    re.IGNORECASE,
)
_COOKIE: Final = re.compile(r"(?P<said>\bcookie:\s*)(?P<secret>.{4,4000})", re.IGNORECASE)
_BEGIN, _END = r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----", r"-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
_PEM: Final = re.compile(rf"{_BEGIN}.*?(?:{_END}|$)", re.DOTALL)
_PEM_BEGINS: Final = re.compile(_BEGIN)
_PEM_ENDS: Final = re.compile(rf"^.*?{_END}")
_OF_KEY: Final = re.compile(r"(?:^|\s)[A-Za-z0-9+/=]{10,}$|(?:^|\s)(?:Proc-Type|DEK-Info|Version|Comment): ")
# A line of a key whose first line nobody has seen: nothing else is as long, and mixed like that.
_ALONE: Final = re.compile(r"(?<!\S)(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/]{40,}={0,2}$")
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{10,}={0,2}")
_HEX: Final = re.compile(r"\b(?:[0-9A-Fa-f]{2}){16,}\b")
_ESCAPED: Final = re.compile(r"[^\s]*\\u00[0-9A-Fa-f]{2}[^\s]*")
_WORD: Final = re.compile(r"(?<![^\s\"'])[^\s\"'%]*%[0-9A-Fa-f]{2}[^\s\"']*")


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
            if end is None and (not text.strip() or _OF_KEY.search(text)):
                return MASK if text.strip() else text
            self._is_within_key, text = False, text if end is None else MASK + text[end.end() :]
        begins = list(_PEM_BEGINS.finditer(text))
        self._is_within_key = bool(begins) and _PEM_ENDS.search(text[begins[-1].end() :]) is None
        return self._without_secrets(_PEM.sub(MASK, text))

    def _without_secrets(self, text: str) -> str:
        text = _ESCAPE.sub(r"\g<0> ", text)  # right before a secret its letter would look like the beginning of that
        for written in self._known:
            text = text.replace(written, MASK)
        text = _BASE64.sub(lambda found: MASK if self._has_known(found[0]) else found[0], text)
        text = _ALONE.sub(MASK, _LOOKS.sub(MASK, text))
        for pattern in (_COOKIE, _QUOTED, _BARE, _SCHEME, _USER):
            text = pattern.sub(_after_its_name, text)
        for chunk, decode in ((_BASE64, _from_base64), (_HEX, _from_hex), (_WORD, _from_url), (_ESCAPED, _from_json)):
            text = chunk.sub(lambda found, decode=decode: self._encoded(found[0], decode(found[0])), text)  # type: ignore[misc]
        return text

    def _has_known(self, chunk: str) -> bool:
        return any(inner in chunk for inner in self._in_base64)

    def _encoded(self, chunk: str, decoded: Iterator[str]) -> str:
        """The chunk, or *** where one of the texts that it may stand for has a secret in it."""
        return MASK if any(self._has_secret(text) for text in decoded) else chunk

    def _has_secret(self, text: str) -> bool:
        if _LOOKS.search(text) or _PEM_BEGINS.search(text) or any(known in text for known in self._known):
            return True
        return any(_looks_random(found["secret"]) for found in _SCHEME.finditer(text))


def _written(value: str) -> Iterator[str]:
    """Every way in which a known secret may stand in a text."""
    raw = value.encode()
    yield from (value, quote(value, safe=""), raw.hex(), raw.hex().upper())
    for ascii_only in (True, False):
        inner = value
        for _ in range(_DEEPEST):
            inner = json.dumps(inner, ensure_ascii=ascii_only)[1:-1]
            yield inner


def _in_base64(value: str) -> Iterator[str]:
    """What of it is the same whatever stands before and behind it."""
    raw = value.encode()
    for before in range(3):  # whatever stands before it, it begins in one of three places of a group
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        inner = whole[-(-before * 4 // 3) : len(whole) - (1 if (before + len(raw)) % 3 else 0)]
        yield inner  # of three bytes before it, or of none, a whole group
        yield inner.translate(str.maketrans("+/", "-_"))


def _after_its_name(found: re.Match[str]) -> str:
    """What is called a token may be their number, a file, or a word of a sentence: those stay."""
    named, secret = found["said"].lower().rstrip(), found["secret"]
    masked = f"{found['said']}{MASK}{found.groupdict().get('end') or ''}"
    if "://" in named or named.endswith("cookie:"):
        return masked
    if secret == MASK or secret.startswith(("/", "./", "${", "$(")) or (secret.isdigit() and "passw" not in named):
        return found[0]
    is_assigned = named.endswith(("=", '"', "'")) or "authorization" in named
    is_password = "passw" in named or "passphrase" in named
    is_word = re.fullmatch(r"[A-Za-z-]+[.,:;!)]?", secret) is not None
    if is_assigned and (len(secret) >= _SHORTEST or is_password):
        return masked
    return masked if (is_password and not is_word) or (len(secret) >= _SHORTEST and _looks_random(secret)) else found[0]


def _looks_random(text: str) -> bool:
    """Letters and digits, or both cases in the middle of a word, or long: no number, and no word."""
    letters, digits = any(char.isalpha() for char in text), any(char.isdigit() for char in text)
    is_mixed = text[1:] != text[1:].lower() and text[1:] != text[1:].upper()
    return letters and (digits or is_mixed or len(text) >= 24) and not re.fullmatch(r"[a-z]+(?:[-_.:/][a-z]+)*", text)


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
    yield unquote(chunk)


def _from_json(chunk: str) -> Iterator[str]:
    yield re.sub(r"\\u00([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), chunk)


def without_secrets(text: str, known: Iterable[Secret]) -> str:
    """A text of some lines, as a log would be shown."""
    redactor = Redactor(known)
    return "\n".join(map(redactor.line, text.splitlines()))
