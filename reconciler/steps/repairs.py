"""What is left alone because somebody else writes it too: the same key, mended again and again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from reconciler.diff import digest, value_at
from reconciler.model import Json

REPAIRS: Final = 3  # so many repairs of one path ...
REPAIR_PERIOD: Final = timedelta(hours=24)  # ... within this time, and a person has to decide


def mended_often(repairs: Mapping[str, tuple[str, ...]], now: datetime) -> frozenset[str]:
    """The managed paths that were mended so often of late. `repairs` maps paths to times in ISO 8601."""
    since = now - REPAIR_PERIOD
    return frozenset(path for path, times in repairs.items() if _count(times, since) >= REPAIRS)


def leaving_alone(wanted: Mapping[str, Json], live: Mapping[str, Json], paths: Iterable[str]) -> dict[str, Json]:
    """The wanted values with the live ones at these paths, so that bringing a host there does not touch them."""
    result, there = dict(wanted), {name: live.get(name) for name in wanted}
    for path in paths:
        for name, *keys in _readings(path, wanted, there):
            result[name] = _with_value(result[name], there[name], keys)
    return result


def digest_at(values: Mapping[str, Json], path: str) -> str:
    """Of what is at a path; where nothing is, of that."""
    return digest([value_at(dict(values), keys) for keys in _readings(path, values)])


def _readings(path: str, *trees: Json | Mapping[str, Json]) -> Iterator[tuple[str, ...]]:
    """The keys that a path stands for in one of these: files, labels and settings may have dots in their names."""
    maps = [tree for tree in trees if isinstance(tree, Mapping)]
    for name in sorted({name for tree in maps for name in tree}):
        if path == name:
            yield (name,)
        elif path.startswith(f"{name}."):
            inner = _readings(path[len(name) + 1 :], *(tree.get(name) for tree in maps))
            yield from ((name, *keys) for keys in inner)


def _count(times: Iterable[str], since: datetime) -> int:
    return sum(datetime.fromisoformat(at) > since for at in times)


def _with_value(value: Json, live: Json, keys: list[str]) -> Json:
    """`value` with what `live` has below `keys`; nothing there when `live` has nothing there."""
    if not keys:
        return live
    source = live if isinstance(live, dict) else {}
    result = dict(value) if isinstance(value, dict) else {}
    first, *rest = keys
    if first not in source:
        result.pop(first, None)
    else:
        result[first] = _with_value(result.get(first), source[first], rest)
    return result
