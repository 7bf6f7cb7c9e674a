"""What a template can do with a value: filters, tests and methods, by Jinja's names. Pure.

None changes a value that it is given, none leaves anything to chance, and none makes a big text of small ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

MAX_TEXT: Final = 1024 * 1024  # characters
MAX_NUMBER: Final = 10**18


class TooBig(Exception):
    """A text that is not made, because it would have more than MAX_TEXT characters."""


def joined(values: Iterable[Any], between: str = "") -> str:
    texts = [str(value) for value in values]
    _check(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _replaced(value: Any, old: str, new: str) -> str:
    text = str(value)
    _check(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _check(length: int) -> None:
    if length > MAX_TEXT:
        raise TooBig


def _sorted(values: Iterable[Any], reverse: bool = False) -> list[Any]:
    return sorted(values, key=_folded, reverse=reverse)


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _by_key(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(value.items(), key=lambda pair: pair[0].lower())


def _first(values: Iterable[Any]) -> Any:
    return list(values)[0]  # noqa: RUF015 - its IndexError says that there is none


def _last(values: Iterable[Any]) -> Any:
    return list(values)[-1]


def _reversed(value: Any) -> Any:
    return value[::-1]


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _items(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(value.items())


def _trimmed(value: Any, characters: str | None = None) -> str:
    return str(value).strip(characters)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "capitalize": lambda value: str(value).capitalize(),
    "count": len,
    "dictsort": _by_key,
    "first": _first,
    "items": _items,
    "join": lambda values, between="": joined(values, str(between)),
    "last": _last,
    "length": len,
    "list": list,
    "lower": lambda value: str(value).lower(),
    "replace": _replaced,
    "reverse": _reversed,
    "sort": _sorted,
    "string": str,
    "title": lambda value: str(value).title(),
    "trim": _trimmed,
    "unique": _unique,
    "upper": lambda value: str(value).upper(),
}
TESTS: Final[Mapping[str, Callable[..., bool]]] = {
    "boolean": lambda value: isinstance(value, bool),
    "even": lambda value: is_number(value) and value % 2 == 0,
    "false": lambda value: value is False,
    "in": lambda value, values: value in values,
    "iterable": lambda value: isinstance(value, str | list | tuple | Mapping),
    "mapping": lambda value: isinstance(value, Mapping),
    "none": lambda value: value is None,
    "number": is_number,
    "odd": lambda value: is_number(value) and value % 2 == 1,
    "sequence": lambda value: isinstance(value, str | list | tuple),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
}
METHODS: Final[Mapping[str, tuple[type, Callable[..., Any]]]] = {
    "capitalize": (str, str.capitalize),
    "endswith": (str, str.endswith),
    "get": (dict, dict.get),
    "items": (dict, _items),
    "join": (str, lambda between, values: joined(values, between)),
    "keys": (dict, list),
    "lower": (str, str.lower),
    "lstrip": (str, str.lstrip),
    "replace": (str, _replaced),
    "rstrip": (str, str.rstrip),
    "split": (str, str.split),
    "startswith": (str, str.startswith),
    "strip": (str, str.strip),
    "title": (str, str.title),
    "upper": (str, str.upper),
    "values": (dict, lambda value: list(value.values())),
}
