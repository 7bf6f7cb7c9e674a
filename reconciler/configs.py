"""openclaw.json as its gateway reads it: each key with its owner, without its secrets; and how it differs from ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from reconciler import commands
from reconciler.diff import changes, same, value_at
from reconciler.errors import FleetError, HostError, UsageProblem
from reconciler.managed import files
from reconciler.managed.config import LARGEST_CONFIG, MANAGED_KEYS, free_keys, read_config
from reconciler.masking import is_deep, masked_path, masked_value
from reconciler.model import Change, Child, ChildConfig, ChildSpec, ConfigKey, Json, Owner
from reconciler.ports import Host, OnEach
from reconciler.steps.comparison import differences
from reconciler.steps.configuring import readable
from reconciler.steps.sides import side_of

_PART: Final = r'(?:"(?:[^"\\]|\\.)*"|[^."]+)'
_LEFT: Final = "leave it to the agent, or let the key name where it lies"
CONFIG: Final = "config."  # a path of a difference that is in openclaw.json begins with it


def shown(specs: Mapping[str, ChildSpec], on_each: OnEach) -> list[ChildConfig]:
    """Of each child, in order; what goes wrong with one is said of that one. Raises CloudError."""
    answers = on_each(specs, lambda name, host: _keys(specs[name], host))
    return [_of(name, answer) for name, answer in sorted(answers.items())]


def differing(child: Child) -> ChildConfig:
    """How what is on the host differs from the file, by the last look."""
    if child.facts is None:
        why = child.silence_detail or "its host was not looked at"
        return ChildConfig(child.name, problem=why, advice=f"fleet diagnose {child.name}")
    found = (change for change in differences(child) if change.path.startswith(CONFIG))
    changed = tuple((_masked(change), side_of(change, child)) for change in found)
    applied = child.facts.applied
    return ChildConfig(child.name, differences=changed, applied_at=applied.at if applied is not None else "")


def written_at(host: Host) -> str:
    """When openclaw.json was written last, by the host's clock; empty where it cannot tell. Raises HostError."""
    said = host.run(commands.read_time(files.CONFIG_PATH)).stdout.decode("ascii", "replace").strip()
    try:
        return datetime.fromtimestamp(int(said), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def keys_of(content: Json, spec: ChildSpec) -> tuple[ConfigKey, ...]:
    """Pure. Maps are gone through; a list is one value."""
    free = free_keys(spec.config)
    found = []
    for path, value in _leaves(content, ()):
        owner = Owner.FLEET if _covers(MANAGED_KEYS, path) else Owner.FILE if _covers(free, path) else Owner.AGENT
        found.append(ConfigKey(path, value, owner))
    ordered = sorted(found, key=lambda key: key.path)
    return tuple(replace(key, path=masked_path(key.path), value=masked_value(key.path, key.value)) for key in ordered)


def read_whole(name: str, host: Host, place: str = files.CONFIG_PATH, *, may_lack: bool = False) -> bytes:
    """The file byte for byte; empty where it `may_lack` and does. Raises HostError."""
    answer = host.run(commands.read_file(place))
    if answer.exit_code != 0 and may_lack:
        return b""
    if answer.exit_code != 0:
        raise HostError(f"there is no {place}", f"fleet diagnose {name}")
    if len(answer.stdout) >= LARGEST_CONFIG:
        raise HostError(f"{place} is larger than {LARGEST_CONFIG} bytes", f"look at it: fleet ssh {name}")
    return answer.stdout


def differences_of(before: bytes, after: bytes) -> tuple[Change, ...]:
    """What another text of the file changes, without secrets: of one that nobody can read, all of it.

    Raises UsageProblem where the new one is no JSON5.
    """
    try:
        new = read_config(after.decode())
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"that is no JSON5: {_place(error)}", "nothing was changed; mend it first") from error
    if not isinstance(new, dict) or is_deep(new):
        raise UsageProblem("that is no map, or nested too deeply", "nothing was changed; mend it first")
    old = readable(before)
    was = old if isinstance(old, dict) and not is_deep(old) else {}
    return tuple(_masked(change) for change in changes(CONFIG.rstrip("."), was, new))


def adoptable(spec: ChildSpec, content: bytes, keys: Iterable[str] = ()) -> dict[tuple[str, ...], Json]:
    """What the file on the host says of the keys that `config` has otherwise, and of these: by path, in their order.

    None where it says nothing. Raises HostError, UsageProblem for what is not to be taken over.
    """
    try:
        there = read_config(content.decode())
    except (ValueError, RecursionError) as error:
        raise HostError(f"{files.CONFIG_PATH} is no JSON5", f"fleet diagnose {spec.name}") from error
    wanted = dict(spec.config)
    found = {key: value_at(there, key) for key in free_keys(spec.config)
             if not same(value_at(there, key), value_at(wanted, key))}  # fmt: skip
    for key in map(path_of, keys):
        if key[0] == "meta":
            raise UsageProblem("meta is the gateway's own bookkeeping", "leave it there")
        if any(key[: len(ours)] == ours or ours[: len(key)] == key for ours in MANAGED_KEYS):
            raise UsageProblem(f"{'.'.join(key)} is set by this tool", "a setting of the child may say it: see README")
        if (value := value_at(there, key)) is None:
            raise UsageProblem(f"{spec.name} has no key {'.'.join(key)}", f"fleet config show {spec.name}")
        if not same(value, value_at(wanted, key)):
            found[key] = value
    for key, value in found.items():
        if is_deep(value) or not same(masked_value(key, value), value):
            raise UsageProblem(f"{'.'.join(key)} looks like a secret, which has no place in the fleet file", _LEFT)
    return found


def path_of(text: str) -> tuple[str, ...]:
    """`a.b`, or `a."b.c"` where a name has dots. Raises UsageProblem."""
    if not re.fullmatch(rf"{_PART}(?:\.{_PART})*", text):
        raise UsageProblem(f"{text!r} is no path of keys", 'such as ui.theme, or ui."a name.with dots"')
    try:
        return tuple(json.loads(it) if it.startswith('"') else it for it in re.findall(_PART, text))
    except ValueError as error:
        raise UsageProblem(f"{text!r} is no path of keys", "a name in quotes is written as in JSON") from error


def _place(error: Exception) -> str:
    """Where, and not what: that may be a secret."""
    found = re.search(r"line (\d+)|:(\d+) Unexpected", str(error))
    return f"line {found[1] or found[2]}" if found else "it cannot be read"


def _keys(spec: ChildSpec, host: Host) -> tuple[ConfigKey, ...]:
    mend = f"look at it: fleet ssh {spec.name}"
    try:
        content = read_config(read_whole(spec.name, host).decode())
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
