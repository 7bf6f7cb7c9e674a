"""A configuration without its secrets: by the names of its keys, and by how its texts look. Pure.

Whoever masks too much shows a little less; whoever masks too little has given a key away. So everything below a name
of secrets is one, but for what only says where a secret lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reconciler.model import Json
from reconciler.probe_program.looks import is_secret
from reconciler.redaction import MASK, Redactor

DEEPEST: Final = 64  # maps and lists in one another
_INLINE: Final = "(inline secret)"  # the probe's word for one
_MORE: Final = re.compile("(key|keyid|pat|jwt|bearer|dsn|pin|webhook|webhookurl|auth|signature)$|^(env|vars|headers)$")
# Where a secret lies, and no secret: `{source, provider, id}`, and what the gateway knows of such a provider.
_REFERENCE: Final = frozenset({"source", "provider", "id"})
_PROVIDERS: Final = ("secrets", "providers")
_OF_PROVIDER: Final = frozenset({"source", "path", "mode"})
_OPTION: Final = re.compile(r"^--?[A-Za-z][A-Za-z0-9_-]*$")


def masked_path(path: Iterable[str]) -> tuple[str, ...]:
    """A key's name may be a secret, too."""
    return tuple(Redactor().line(name) for name in path)


def masked_value(path: Sequence[str], value: Json) -> Json:
    """What stands at this path, without its secrets. It must not be `is_deep`."""
    return _within(value, _below_secret(path))


def is_deep(value: Json) -> bool:
    """Whether it is nested deeper than anybody would write it. Without recursion, which is what it is asked for."""
    left = [(value, 1)]
    while left:
        found, depth = left.pop()
        if isinstance(found, dict | list):
            if depth > DEEPEST:
                return True
            left += [(inner, depth + 1) for inner in (found.values() if isinstance(found, dict) else found)]
    return False


def _within(value: Json, is_hidden: bool) -> Json:
    if isinstance(value, dict):
        is_hidden = is_hidden and not (_REFERENCE.issuperset(value) and "source" in value)
        return {
            Redactor().line(name): _within(inner, is_hidden or _names_secret(name)) for name, inner in value.items()
        }
    if isinstance(value, list):
        return list(_items(value, is_hidden))
    if value == _INLINE or (is_hidden and isinstance(value, str | int | float) and not isinstance(value, bool)):
        return MASK
    return _text(value, Redactor()) if isinstance(value, str) else value


def _items(items: list[Json], is_hidden: bool) -> Iterator[Json]:
    """A list may be the arguments of a program, or the lines of one key."""
    redactor, follows = Redactor(), False
    for item in items:
        if isinstance(item, str) and not (is_hidden or follows):
            yield _text(item, redactor)
        else:
            yield _within(item, is_hidden or follows)
        follows = isinstance(item, str) and _OPTION.match(item) is not None and _names_secret(item)


def _text(text: str, redactor: Redactor) -> str:
    option, sign, given = text.partition("=")
    if sign and given and _names_secret(option):
        return f"{redactor.line(option)}={MASK}"
    return "\n".join(map(redactor.line, text.split("\n")))


def _names_secret(name: str) -> bool:
    return is_secret(name) or _MORE.search(re.sub("[^a-z0-9]", "", name.lower())) is not None


def _below_secret(path: Sequence[str]) -> bool:
    """Of a leaf by its whole path; what says where a secret lies is none."""
    *above, name = path
    if tuple(above[:2]) == _PROVIDERS and name in _OF_PROVIDER:
        return False
    if name in _REFERENCE and above and _names_secret(above[-1]):
        return False
    if tuple(path[:2]) == ("gateway", "auth") and name in ("mode",):
        return False
    return any(map(_names_secret, path))
