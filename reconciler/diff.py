"""Compares two JSON values: which paths differ, and the patch from one to the other. The only user of deepdiff."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from reconciler.model import Change, Json

# json.dumps would make one at each call.
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json) -> str:
    """SHA-256 of the canonical JSON text: equal values have equal digests, whatever their key order."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()


def same(one: Json, other: Json) -> bool:
    """Whether they are one JSON value. To Python True is 1, which it is not in JSON; 1.0 is 1 in both."""
    return one == other and _same_booleans(one, other)


def changes(name: str, before: Json, after: Json, *, secret: bool = False, drift: bool = False) -> tuple[Change, ...]:
    """One Change per differing path below `name`; a list is one value. A secret gives one Change without values."""
    if same(before, after):
        return ()
    if secret:
        return (Change(name, None, None, secret=True, drift=drift),)
    return tuple(
        Change(".".join((name, *path)), value_at(before, path), value_at(after, path), drift=drift)
        for path in sorted(_differing_paths(before, after))
    )


def merge_patch(before: Json, after: Json) -> Json:
    """The JSON merge patch (RFC 7386) from `before` to `after`: maps merge, lists are replaced, null deletes."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: dict[str, Json] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            patch[key] = value
        elif not same(before[key], value):
            patch[key] = merge_patch(before[key], value)
    return patch


def apply_patch(value: Json, patch: Json) -> Json:
    """`value` after a JSON merge patch; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), part)
    return result


def list_paths(patch: Json, prefix: str = "") -> Iterator[str]:
    """The dotted paths of every list in a patch: OpenClaw replaces a list only where it is told so by path."""
    if isinstance(patch, list):
        yield prefix
    elif isinstance(patch, dict):
        for key, value in patch.items():
            yield from list_paths(value, f"{prefix}.{key}" if prefix else key)


def value_at(value: Json, path: Iterable[str]) -> Json:
    """The value at a path of map keys; None where the path ends early."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _same_booleans(one: Json, other: Json) -> bool:
    """Of two values that are equal to Python."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same_booleans(part, other[key]) for key, part in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return all(map(_same_booleans, one, other))
    return isinstance(one, bool) == isinstance(other, bool)


def _differing_paths(before: Json, after: Json) -> Iterator[tuple[str, ...]]:
    """Of two maps with the same keys each value is looked at by itself: deepdiff takes long, even with what is equal.

    Of others it needs all: with few keys in common it tells the maps as a whole, and not key by key.
    """
    if not isinstance(before, dict) or not isinstance(after, dict) or before.keys() != after.keys():
        yield from _told_by_deepdiff(before, after)
        return
    for key, part in before.items():
        if not same(part, after[key]):
            yield from ((key, *path) for path in _differing_paths(part, after[key]))


def _told_by_deepdiff(before: Json, after: Json) -> set[tuple[str, ...]]:
    # deepdiff costs 0.13 s to import and is needed only when something differs.
    from deepdiff import DeepDiff

    tree = DeepDiff(
        _comparable(before),
        _comparable(after),
        view="tree",
        ignore_numeric_type_changes=True,
        ignore_private_variables=False,  # a key is nobody's private one for two underscores at its beginning
    )
    return {_map_part(item.path(output_format="list")) for items in tree.values() for item in items}


def _comparable(value: Json) -> Any:
    """The same, but that Python too tells its booleans from numbers."""
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_comparable(part) for part in value]
    return ("boolean", value) if isinstance(value, bool) else value


def _map_part(path: list[str | int]) -> tuple[str, ...]:
    keys: list[str] = []
    for part in path:
        if isinstance(part, int):
            break  # inside a list: the list as a whole is what differs
        keys.append(part)
    return tuple(keys)
