"""openclaw.json as its gateway reads it: each key with its owner, without its secrets; and how it differs from ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.errors import FleetError, HostError
from reconciler.managed import files
from reconciler.managed.config import MANAGED_KEYS, free_keys, read_config
from reconciler.masking import is_deep, masked_path, masked_value
from reconciler.model import Change, Child, ChildConfig, ChildSpec, ConfigKey, Json, Owner
from reconciler.ports import Host, OnEach
from reconciler.steps.comparison import differences

LARGEST: Final = 1_000_000  # bytes; below the cap of what a host may answer
CONFIG: Final = "config."  # a path of a difference that is in openclaw.json begins with it


def shown(specs: Mapping[str, ChildSpec], on_each: OnEach) -> list[ChildConfig]:
    """Of each child, in order; what goes wrong with one is said of that one. Raises CloudError."""
    answers = on_each(specs, lambda name, host: _keys(specs[name], host))
    return [_of(name, answer) for name, answer in sorted(answers.items())]


def differing(child: Child) -> ChildConfig:
    """How what is on the host differs from the file, by the last look."""
    if child.facts is None:
        return ChildConfig(child.name, problem="its host was not looked at", advice=f"fleet diagnose {child.name}")
    changes = tuple(_masked(change) for change in differences(child) if change.path.startswith(CONFIG))
    applied = child.facts.applied
    return ChildConfig(child.name, differences=changes, applied_at=applied.at if applied is not None else "")


def keys_of(content: Json, spec: ChildSpec) -> tuple[ConfigKey, ...]:
    """Pure. Maps are gone through; a list is one value."""
    free = free_keys(spec.config)
    found = []
    for path, value in _leaves(content, ()):
        owner = Owner.FLEET if _covers(MANAGED_KEYS, path) else Owner.FILE if _covers(free, path) else Owner.AGENT
        found.append(ConfigKey(path, value, owner))
    ordered = sorted(found, key=lambda key: key.path)
    return tuple(replace(key, path=masked_path(key.path), value=masked_value(key.path, key.value)) for key in ordered)


def _keys(spec: ChildSpec, host: Host) -> tuple[ConfigKey, ...]:
    answer = host.run(commands.read_file(files.CONFIG_PATH))
    if answer.exit_code != 0:
        raise HostError(f"there is no {files.CONFIG_PATH}", f"fleet apply {spec.name}")
    mend = f"look at it: fleet ssh {spec.name}"
    if len(answer.stdout) >= LARGEST:
        raise HostError(f"{files.CONFIG_PATH} is larger than {LARGEST} bytes", mend)
    try:
        content = read_config(answer.stdout.decode())
    except (ValueError, RecursionError) as error:
        raise HostError(f"{files.CONFIG_PATH} is no JSON5", f"fleet diagnose {spec.name}") from error
    if not isinstance(content, dict):
        raise HostError(f"{files.CONFIG_PATH} is no map", mend)
    if is_deep(content):
        raise HostError(f"{files.CONFIG_PATH} is nested too deeply to be shown", mend)
    return keys_of(content, spec)


def _masked(change: Change) -> Change:
    path = tuple(change.path.removeprefix(CONFIG).split("."))
    before, after = (masked_value(path, side) for side in (change.before, change.after))
    return replace(change, path=CONFIG + ".".join(masked_path(path)), before=before, after=after)


def _of(child: str, answer: tuple[ConfigKey, ...] | FleetError) -> ChildConfig:
    if isinstance(answer, FleetError):
        return ChildConfig(child, problem=answer.summary, advice=answer.advice)
    return ChildConfig(child, answer)


def _covers(keys: tuple[tuple[str, ...], ...], path: tuple[str, ...]) -> bool:
    return any(path[: len(key)] == key for key in keys)


def _leaves(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Without recursion: whoever nests deeply shall not end us."""
    left = [(path, value)]
    while left:
        place, found = left.pop()
        if isinstance(found, dict) and found:
            left += [((*place, name), inner) for name, inner in found.items()]
        elif place:
            yield place, found
