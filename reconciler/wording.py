"""A violation of a schema -> what is wrong, where, and what to do, in words that a person understands.

It never shows a value that was written where a reference belongs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from reconciler.document import Document, Path, Problem, shown

if TYPE_CHECKING:
    from jsonschema import ValidationError

_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_NAMES = {"children": "child", "groups": "group"}
_SINGLE = {"labels": "label", "files": "path"}


def problems_of(document: Document, error: ValidationError) -> Iterable[Problem]:
    """What one violation means; several problems when it is about several keys of one map."""
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    rule = dict(error.schema) if isinstance(error.schema, Mapping) else {}
    if "propertyNames" in error.absolute_schema_path:
        return [_bad_name(document, (*path, str(value)), rule)]
    if error.validator == "additionalProperties":
        return _unknown_keys(document, path, rule, value)
    if error.validator == "required":
        return _missing_keys(document, path, rule, value)
    return [document.problem(path, *_wrong_value(document, path, error, rule))]


def _unknown_keys(document: Document, path: Path, rule: Mapping[str, Any], present: Iterable[str]) -> Iterator[Problem]:
    known = list(rule["properties"])
    for key in (key for key in present if key not in known):
        close = get_close_matches(key, known, n=1)
        advice = rule.get("unknownKeyAdvice", f"known here: {', '.join(known)}")
        advice = f'did you mean "{close[0]}"?' if close else advice
        problem = document.problem((*path, key), f"unknown key {shown(key)} {place_in(path)}", advice, at_key=True)
        yield replace(problem, meant=(*path, close[0])) if close else problem


def _missing_keys(document: Document, path: Path, rule: Mapping[str, Any], present: Iterable[str]) -> Iterator[Problem]:
    known = rule["properties"]
    meant = [close for key in present if key not in known for close in get_close_matches(key, known, n=1)]
    for key in (key for key in rule["required"] if key not in present and key not in meant):
        here = (*path, key)
        advice = f"for example: {key}: {_flow(known[key]['examples'][0])}"
        yield document.problem(here, f'the key "{key}" is missing {place_in(path)}', advice, at_key=True)


def _bad_name(document: Document, path: Path, rule: Mapping[str, Any]) -> Problem:
    kind = f"{_NAMES[str(path[0])]} name" if path[0] in _NAMES and len(path) == 2 else f"{_SINGLE[str(path[-2])]}"
    summary = f"{kind} {shown(path[-1])} is not allowed"
    return document.problem(path, summary, rule["patternErrorMessage"], at_key=True)


def _wrong_value(document: Document, path: Path, error: ValidationError, rule: Mapping[str, Any]) -> tuple[str, str]:
    """What and what to do. Only values of a listed set, numbers and single words of YAML are shown."""
    name = words(path)
    value: Any = error.instance
    if rule.get("format") == "secret-reference":
        return f"{name} must say where the secret is found", rule["patternErrorMessage"]
    match error.validator:
        case "type":
            return _wrong_kind(document, path, error.instance, rule)
        case "pattern":
            return f"{name} cannot be {shown(error.instance)}", rule["patternErrorMessage"]
        case "enum":
            return _not_listed(name, rule["enum"], error.instance)
        case "minimum" | "maximum":
            least = f"from {rule['minimum']}" if "minimum" in rule else f"more than {rule['exclusiveMinimum']}, up"
            return f"{name} cannot be {error.instance}", f"it is {least} to {rule['maximum']}"
        case "exclusiveMinimum":
            return f"{name} cannot be {error.instance}", f"it is more than {rule['exclusiveMinimum']}"
        case "uniqueItems":
            return f"{name} names something twice", "write each one once"
        case "minItems" | "minLength":
            return f"{name} is empty", f"for example: {_flow(rule['examples'][0])}"
        case "maxItems" | "maxProperties" | "maxLength":
            parts = "characters" if error.validator == "maxLength" else "entries"
            return f"{name} has {len(value):,} {parts}", f"it has at most {error.validator_value:,}"
    return f"{name} is not allowed", f"see the reference of fleet.yaml in the README ({error.validator})"


def _wrong_kind(document: Document, path: Path, value: object, rule: Mapping[str, Any]) -> tuple[str, str]:
    kinds = [rule["type"]] if isinstance(rule["type"], str) else list(rule["type"])
    wanted, name = " or ".join(_KINDS[kind] for kind in kinds if kind != "null"), words(path)
    example = f"for example: {_flow(rule['examples'][0])}"
    if value is None:
        return f"{name} must be {wanted}, but nothing is written here", example
    # A map holds references to secrets: a word in its place may be the secret itself.
    if isinstance(value, dict | list) or "object" in kinds:
        return f"{name} must be {wanted}, not {_kind(value)}", example
    written = document.written(path)
    if "string" in kinds and "integer" not in kinds:
        summary = f"{name} must be text, but YAML reads {shown(written)} as {_kind(value)}"
        fits = re.search(rule.get("pattern", ""), written)
        return summary, f'put it in quotes: "{written}"' if fits else rule["patternErrorMessage"]
    if "integer" in kinds and re.fullmatch("[1-9][0-9]*", written):
        return f"{name} must be a number, not text", f"write it without quotes: {written}"
    return f"{name} must be {wanted}, not {shown(written)}", example


def _not_listed(name: str, choices: list[str], value: object) -> tuple[str, str]:
    close = get_close_matches(str(value), choices, n=1)
    advice = f'did you mean "{close[0]}"?' if close else f"it can be: {', '.join(choices)}"
    return f"{name} cannot be {shown(value)}", advice


def place_in(path: Path) -> str:
    """`in child "alice"`, `in users of child "alice"`, `in defaults`, `at the top`."""
    return f"in {words(path)}" if path else "at the top"


def words(path: Path) -> str:
    """`region of child "alice"`, `users.owner of group "eu"`, `defaults.region`, `policy.regions[0]`."""
    inside = path[0] in _NAMES and len(path) > 1
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[2 if inside else 0 :])
    inner = inner.removeprefix(".")
    if not inside:
        return inner
    owner = f"{_NAMES[str(path[0])]} {shown(path[1])}"
    return f"{inner} of {owner}" if inner else owner


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    for kind, name in ((dict, "a map"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return name
    return "a number"


def _flow(value: object) -> str:
    """YAML on one line; without quotes where YAML needs none."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return json.dumps(value) if not isinstance(value, str) else value
