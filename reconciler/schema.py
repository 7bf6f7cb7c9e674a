"""Finds the schemas, reads the fleet file and applies its schema: errors become Diagnostics with line and column.

It resolves no secret, asks no network, and never shows a value that was written where a reference belongs.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
    raw = _read(path)
    with _without_garbage_collection():
        return check(compose(raw, str(path)))


def check(document: Document) -> Document:
    """The same with the problems that the schema shows, and with the schema's defaults."""
    schema = inlined(find("fleet"))
    problems = (*document.problems, *_violations(document, schema))
    return replace(document, problems=problems, built_in=_built_in(schema["properties"]["defaults"]))


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


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with every `$ref` into its `$defs` replaced by what it means; what stands beside a `$ref` wins.

    Following references takes two thirds of the time of a check. Schemas here are no recursive ones.
    """
    return {key: value for key, value in _inlined(schema, schema["$defs"]).items() if key != "$defs"}


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    here = {key: _inlined(value, definitions) for key, value in part.items() if key not in ("$ref", "$defs")}
    if "$ref" not in part:
        return here
    return {**_inlined(definitions[part["$ref"].rpartition("/")[2]], definitions), **here}


def _built_in(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What holds where neither a child nor `defaults` says anything: the `default` of each property that has one."""
    found = {}
    for name, part in definition.get("properties", {}).items():
        value = _built_in(part) or part.get("default")
        if value is not None:
            found[name] = value
    return found


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A big file makes millions of objects that all stay: collecting in between takes most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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
        yield document.problem(here, f'the key "{key}" is missing {place_in(path)}', advice, at_key=True)


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
            return f"{words} cannot be {shown(error.instance)}", rule["patternErrorMessage"]
        case "enum":
            return _not_listed(words, rule["enum"], error.instance)
        case "minimum" | "maximum":
            return f"{words} cannot be {error.instance}", f"it is from {rule['minimum']} to {rule['maximum']}"
        case "uniqueItems":
            return f"{words} names something twice", "write each one once"
    return f"{words} is not allowed", f"see the reference of fleet.yaml in the README ({error.validator})"


def _wrong_kind(document: Document, path: Path, value: object, rule: Mapping[str, Any]) -> tuple[str, str]:
    wanted, words = _KINDS[rule["type"]], _words(path)
    example = f"for example: {_flow(rule['examples'][0])}"
    if value is None:
        return f"{words} must be {wanted}, but nothing is written here", example
    # A map holds references to secrets: a word in its place may be the secret itself.
    if isinstance(value, dict | list) or rule["type"] == "object":
        return f"{words} must be {wanted}, not {_kind(value)}", example
    written = document.written(path)
    if rule["type"] == "string":
        summary = f"{words} must be text, but YAML reads {shown(written)} as {_kind(value)}"
        fits = re.search(rule.get("pattern", ""), written)
        return summary, f'put it in quotes: "{written}"' if fits else rule["patternErrorMessage"]
    if rule["type"] == "integer" and re.fullmatch("[1-9][0-9]*", written):
        return f"{words} must be a number, not text", f"write it without quotes: {written}"
    return f"{words} must be {wanted}, not {shown(written)}", example


def _not_listed(words: str, choices: list[str], value: object) -> tuple[str, str]:
    close = get_close_matches(str(value), choices, n=1)
    advice = f'did you mean "{close[0]}"?' if close else f"it can be: {', '.join(choices)}"
    return f"{words} cannot be {shown(value)}", advice


def place_in(path: Path) -> str:
    """`in child "alice"`, `in users of child "alice"`, `in defaults`, `at the top`."""
    return f"in {_words(path)}" if path else "at the top"


def _words(path: Path) -> str:
    inside = path[0] == "children" and len(path) > 1
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[2 if inside else 0 :])
    words = inner.removeprefix(".")
    if not inside:
        return words
    child = f"child {shown(path[1])}"
    return f"{words} of {child}" if words else child


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
