"""Finds the schemas, reads the fleet file and applies its schema: errors become Diagnostics with line and column.

It resolves no secret, asks no network, and never shows a value that was written where a reference belongs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from reconciler.document import Document, Path, Problem, compose, shown
from reconciler.errors import FleetError
from reconciler.yamltext import START, failure

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_BYTES = 64 * 1024 * 1024

_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
}


def load(path: FilePath) -> Document:
    """The fleet file's data with every problem that YAML and the schema show.

    Raises ConfigError when the file cannot be read or is no YAML map at all; other problems are in `problems`.
    """
    document, schema = compose(_read(path), str(path)), find("fleet")
    problems = (*document.problems, *_violations(document, schema))
    return replace(document, problems=problems, built_in=built_in(schema["properties"]["defaults"], schema))


def find(name: str) -> dict[str, Any]:
    """The JSON Schema `name`: from the installed package, else from schemas/ beside it (a checkout)."""
    package = resources.files("reconciler")
    checkout = FilePath(__file__).parent.parent / "schemas"
    for place in (package.joinpath("_schemas"), checkout):
        file = place.joinpath(f"{name}.schema.json")
        if file.is_file():
            schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return schema
    raise FleetError(
        f"the schema {name}.schema.json is neither in the installed package nor in {checkout}",
        "The installation is not whole: install openclaw-deploy again.",
    )


def built_in(definition: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What holds where neither a child nor `defaults` says anything: the `default` of each property that has one."""
    found = {}
    for name, part in definition.get("properties", {}).items():
        resolved = resolve(part, schema)
        inner = built_in(resolved, schema)
        value = inner or resolved.get("default")
        if value is not None:
            found[name] = value
    return found


def resolve(part: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A part of the schema with its `$ref` put in; what stands beside the `$ref` wins."""
    if "$ref" not in part:
        return dict(part)
    target = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return {**resolve(target, schema), **{key: value for key, value in part.items() if key != "$ref"}}


def _read(path: FilePath) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        advice = "Run `fleet init` in an empty directory to make one, or name yours: --file PATH or FLEET_FILE."
        raise failure(str(path), (0, 0), "there is no such file", advice) from error
    except OSError as error:
        raise failure(str(path), (0, 0), f"cannot be read: {error.strerror}", "Name a readable file.") from error
    if len(raw) > MAX_BYTES:
        raise failure(str(path), (0, 0), f"bigger than {MAX_BYTES >> 20} MiB", START)
    return raw


def _violations(document: Document, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """One problem for each path at most: what YAML has found wrong there already says enough."""
    seen = {problem.path for problem in document.problems}
    for error in _validator(schema).iter_errors(document.data):
        for problem in _explain(document, error):
            if problem.path not in seen:
                seen.add(problem.path)
                yield problem


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator, validators

    # A whole number is written as one: 4242.0 is not.
    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    extend: Any = validators.extend  # it has no types
    return extend(Draft202012Validator, type_checker=checker)(schema)


def _explain(document: Document, error: ValidationError) -> Iterable[Problem]:
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    rule = dict(error.schema) if isinstance(error.schema, Mapping) else {}
    if "propertyNames" in error.absolute_schema_path:
        return [_bad_name(document, (*path, str(value)), rule)]
    if error.validator == "additionalProperties":
        return _unknown_keys(document, path, list(rule["properties"]), value)
    if error.validator == "required":
        return _missing_keys(document, path, rule, value)
    return [document.problem(path, *_wrong_value(document, path, error, rule))]


def _unknown_keys(document: Document, path: Path, known: list[str], present: Iterable[str]) -> Iterator[Problem]:
    for key in (key for key in present if key not in known):
        close = get_close_matches(key, known, n=1)
        advice = f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(known)}"
        problem = document.problem((*path, key), f"unknown key {shown(key)} {place_in(path)}", advice, at_key=True)
        yield replace(problem, meant=(*path, close[0])) if close else problem


def _missing_keys(document: Document, path: Path, rule: Mapping[str, Any], present: Iterable[str]) -> Iterator[Problem]:
    known = rule["properties"]
    meant = [close for key in present if key not in known for close in get_close_matches(key, known, n=1)]
    for key in (key for key in rule["required"] if key not in present and key not in meant):
        here = (*path, key)
        advice = f"for example: {key}: {_flow(known[key]['examples'][0])}"
        yield document.problem(here, f"{_words(here)} is missing", advice, at_key=True)


def _bad_name(document: Document, path: Path, rule: Mapping[str, Any]) -> Problem:
    kind = "child name" if path[0] == "children" and len(path) == 2 else "label"
    summary = f"{kind} {shown(path[-1])} is not allowed"
    return document.problem(path, summary, rule["patternErrorMessage"], at_key=True)


def _wrong_value(document: Document, path: Path, error: ValidationError, rule: Mapping[str, Any]) -> tuple[str, str]:
    """What and what to do. Only values of a listed set, numbers and single words of YAML are shown."""
    words = _words(path)
    if rule.get("format") == "secret-reference":
        return f"{words} must say where the secret is found", rule["patternErrorMessage"]
    match error.validator:
        case "type":
            return _wrong_kind(document, path, error.instance, rule)
        case "pattern":
            return f"{words} is not allowed", rule["patternErrorMessage"]
        case "enum":
            return _not_listed(words, rule["enum"], error.instance)
        case "minimum" | "maximum":
            return f"{words} cannot be {error.instance}", f"it is from {rule['minimum']} to {rule['maximum']}"
        case "uniqueItems":
            return f"{words} names something twice", "write each one once"
    return f"{words} is not allowed", f"see the reference of fleet.yaml in the README ({error.validator})"


def _wrong_kind(document: Document, path: Path, value: object, rule: Mapping[str, Any]) -> tuple[str, str]:
    wanted = _KINDS[rule["type"]]
    summary = f"{_words(path)} must be {wanted}, not {_kind(value)}"
    if isinstance(value, dict | list) or value is None:
        return summary, f"for example: {_flow(rule['examples'][0])}" if "examples" in rule else f"write {wanted}"
    written = document.written(path)
    if rule["type"] == "integer" and re.fullmatch("[1-9][0-9]*", written):
        return summary, f"write it without quotes: {written}"
    if rule["type"] == "string" and not isinstance(value, str):
        summary = f"{_words(path)} must be text, but YAML reads {shown(written)} as {_kind(value)}"
        if re.search(rule.get("pattern", ""), written):
            return summary, f'put it in quotes: "{written}"'
        return summary, rule["patternErrorMessage"]
    return summary, f"for example: {_flow(rule['examples'][0])}" if "examples" in rule else "for example: 4242"


def _not_listed(words: str, choices: list[str], value: object) -> tuple[str, str]:
    close = get_close_matches(str(value), choices, n=1)
    advice = f'did you mean "{close[0]}"?' if close else f"it can be: {', '.join(choices)}"
    return f"{words} cannot be {shown(value)}", advice


def place_in(path: Path) -> str:
    """`in child "alice"`, `in users of child "alice"`, `in defaults`, `at the top`."""
    return f"in {_words(path)}" if path else "at the top"


def _words(path: Path) -> str:
    if path[0] == "children" and len(path) > 1:
        inner = ".".join(str(part) for part in path[2:])
        child = f"child {shown(path[1])}"
        return f"{inner} of {child}" if inner else child
    return ".".join(str(part) for part in path)


def _kind(value: object) -> str:
    for kind, name in ((dict, "a map"), (list, "a list"), (str, "text"), (bool, str(value).lower())):
        if isinstance(value, kind):
            return name
    return "nothing" if value is None else "a number"


def _flow(value: object) -> str:
    """YAML on one line; without quotes where YAML needs none."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return json.dumps(value) if not isinstance(value, str) else value
