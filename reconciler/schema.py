"""Finds the schemas and applies the one of fleet.yaml: violations become Problems with line and column.

It opens no other file, resolves no secret and asks no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from reconciler.document import MAX_PROBLEMS, Document, Path, Problem
from reconciler.errors import FleetError
from reconciler.model import Json
from reconciler.wording import problems_of

if TYPE_CHECKING:
    from jsonschema import ValidationError

FREE = frozenset({"files", "vars", "config"})  # keys of a child below which stands text of the user's own

_MEMORABLE = 200  # characters of a value that is worth remembering


def check(document: Document, *, is_included: bool = False) -> Document:
    """The same with the problems that the schema shows. An included file holds groups and children alone."""
    violations = _violations(document, _validator(is_included, "include" in document.data))
    return document.with_problems(islice(violations, MAX_PROBLEMS + 1))


def built_in() -> dict[str, Any]:
    """What a child has where nobody says anything: the schema's defaults."""
    return _built_in(_fleet_schema()["properties"]["defaults"])


def is_free(path: Path) -> bool:
    """Text at `path` may have many lines."""
    key = path[1:2] if path[0] == "defaults" else path[2:3]
    return key != () and key[0] in FREE


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
        if part.get("onlyWhereWritten"):  # ours: an object that is not there unless somebody writes it
            continue
        value = _built_in(part) or part.get("default")
        if value is not None:
            found[name] = value
    return found


def _violations(document: Document, validator: Any) -> Iterator[Problem]:
    """One problem for each path at most: what YAML has found wrong there already says enough."""
    seen = {problem.path for problem in document.problems}
    for error in validator.iter_errors(document.data):
        if error.validator == "uniqueItems" and not _repeats_itself(document, error):
            continue
        for problem in problems_of(document, error):
            if problem.path not in seen:
                seen.add(problem.path)
                yield problem


def _repeats_itself(document: Document, error: ValidationError) -> bool:
    """Whether it still does without the entries that could not be read: these all stand there as the same value."""
    path, items = tuple(error.absolute_path), error.instance
    assert isinstance(items, list), "only lists are told to be without repetition"
    read = [item for index, item in enumerate(items) if document.is_sound((*path, index))]
    return not _are_distinct(read)


def _are_distinct(items: Sequence[Json]) -> bool:
    """In linear time."""
    return len({json.dumps(item, sort_keys=True) for item in items}) == len(items)


@cache
def _fleet_schema() -> dict[str, Any]:
    return inlined(find("fleet"))


@cache
def _validator(is_included: bool, has_includes: bool) -> Any:
    schema = _fleet_schema()
    if is_included:
        parts = {name: schema["properties"][name] for name in ("groups", "children")}
        advice = "an included file holds groups and children; all else stands in the fleet file itself"
        schema = {**schema, "required": [], "properties": parts, "unknownKeyAdvice": advice}
    elif has_includes:
        schema = {**schema, "required": ["fleet", "cloud"]}
    return _quick_validator(schema)


def _quick_validator(schema: Mapping[str, Any]) -> Any:
    """JSON Schema 2020-12, but a whole number is written as one: 4242.0 is not."""
    from jsonschema import Draft202012Validator, validators

    checker = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    keywords = _QuickKeywords()
    quick = {
        "properties": keywords.properties,
        "additionalProperties": keywords.additional_properties,
        "items": keywords.items,
        "uniqueItems": keywords.unique_items,
    }
    extend: Any = validators.extend  # it has no types
    return extend(Draft202012Validator, quick, type_checker=checker)(schema)


class _QuickKeywords:
    """The keywords that lead from a value to its parts: a part found valid is not looked at again under the same rule.

    Ten thousand children share most of their values. Order is that of the file, and `uniqueItems` takes linear time.
    """

    __slots__ = ("_under", "_valid")

    def __init__(self) -> None:
        self._under: dict[int, Any] = {}  # the validator for each rule: making one takes a fifth of the time
        self._valid: set[tuple[int, str]] = set()

    def properties(self, validator: Any, rules: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(value, dict):
            for key in value:
                if key in rules:
                    yield from self._part(validator, value[key], rules[key], key)

    def additional_properties(self, validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        from jsonschema import ValidationError

        known = schema.get("properties", ())
        is_looked_at = isinstance(value, dict) and len(value) <= schema.get("maxProperties", len(value))
        extras = [key for key in value if key not in known] if is_looked_at else []
        if extras and rule is False:
            yield ValidationError("unknown keys")
            return
        for key in extras:
            yield from self._part(validator, value[key], rule, key)

    def items(self, validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if not isinstance(value, list) or len(value) > schema.get("maxItems", len(value)):
            return
        for index, item in enumerate(value):
            yield from self._part(validator, item, rule, index)

    def unique_items(self, validator: Any, rule: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        from jsonschema import ValidationError

        if isinstance(value, list) and not _are_distinct(value):
            yield ValidationError("something stands here twice")

    def _part(self, validator: Any, value: Any, rule: Any, key: str | int) -> Iterator[ValidationError]:
        known = (id(rule), repr(value))
        if known in self._valid:
            return
        under = self._under.get(id(rule))
        if under is None:
            under = self._under[id(rule)] = validator.evolve(schema=rule)
        is_valid = True
        for error in under.iter_errors(value):
            is_valid = False
            error.path.appendleft(key)
            yield error
        if is_valid and len(known[1]) <= _MEMORABLE:
            self._valid.add(known)
