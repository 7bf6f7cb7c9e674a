"""Labels and label selectors, in the full grammar of the real API.

A selector is a comma-separated AND of `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import ApiError, invalid_input

Selector: TypeAlias = Callable[[Mapping[str, str]], bool]

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = rf"(?:{_PREFIX}/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_TERM = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})\s*(?:(?P<operator>==|=|!=)\s*(?P<value>{_VALUE})"
    rf"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*"
)


@lru_cache(maxsize=1000)
def parse_selector(text: str) -> Selector:
    """A predicate over labels. Raises ApiError 422 when the text is no selector."""
    tests = [_parse_term(term) for term in _split(text)]
    return lambda labels: all(test(labels) for test in tests)


def check_labels(value: Json) -> dict[str, str]:
    """The labels of a request body, or ApiError 422."""
    if not isinstance(value, dict):
        raise invalid_input("labels", "must be an object")
    checked: dict[str, str] = {}
    for key, text in value.items():
        if not re.fullmatch(_KEY, key) or len(key.rpartition("/")[0]) > 253 or key.startswith("hetzner.cloud/"):
            raise invalid_input("labels", f"label key {key!r} is not allowed")
        if not isinstance(text, str) or not re.fullmatch(_VALUE, text):
            raise invalid_input("labels", f"label value of {key!r} is not allowed")
        checked[key] = text
    return checked


def _split(text: str) -> list[str]:
    """At the commas outside of parentheses; no term at all for an empty selector."""
    return re.split(r",(?![^()]*\))", text) if text.strip() else []


def _parse_term(term: str) -> Selector:
    found = _TERM.fullmatch(term)
    if found is None:
        raise ApiError(422, "invalid_input", f"invalid label selector: {term.strip()!r}")
    if absent := found["absent"]:
        return lambda labels: absent not in labels
    key = found["key"]
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        wanted = found["set"] == "in"
        return lambda labels: (labels.get(key) in values) is wanted
    if found["operator"] is None:
        return lambda labels: key in labels
    value, equal = found["value"], found["operator"] != "!="
    return lambda labels: (labels.get(key) == value) is equal
