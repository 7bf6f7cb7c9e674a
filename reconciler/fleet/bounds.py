"""What free-form OpenClaw configuration (`config:` in fleet.yaml) may not say, and what to write instead. Pure.

A fleet file may be somebody else's text. What it puts into openclaw.json must not open the gateway, load code, send the
bot's or the model's secret to another address, or fight over a key that we set ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from reconciler.probe_program.looks import is_secret, is_written_out

Keys: TypeAlias = tuple[str, ...]

# What we set in openclaw.json ourselves, or keep empty, and the key of fleet.yaml that says it. managed/ sets no other;
# a test compares the two.
OWN_KEYS: Final[Mapping[Keys, str]] = {
    ("agents", "defaults", "workspace"): "the place is fixed; files: fills it",
    ("agents", "defaults", "model"): "write model: {name: ..., fallback: [...]}",
    ("agents", "defaults", "heartbeat"): "it stays off: each beat costs model tokens",
    ("models", "providers"): "write model: {provider: ..., key: ...}",
    ("channels", "telegram", "enabled"): "it is always on; enabled: false stops the whole child",
    ("channels", "telegram", "botToken"): "write bot: {token: ...}",
    ("channels", "telegram", "tokenFile"): "write bot: {token: ...}",
    ("channels", "telegram", "dmPolicy"): "write users: {policy: ...}",
    ("channels", "telegram", "allowFrom"): "write users: {allowed: [...]}",
    ("channels", "telegram", "accounts"): "a child has one bot: write bot: {...} and users: {...}",
    ("commands", "ownerAllowFrom"): "write users: {owner: ...}",
    ("session", "dmScope"): "it stays per-channel-peer: people must not read each other",
    ("logging", "file"): "the place is fixed: /var/log/openclaw/openclaw.log",
}
INCLUDE: Final = "$include"  # OpenClaw puts the keys of another file there
CLOSED: Final[Mapping[str, str]] = {
    "gateway": "it is reached over SSH alone, and set up by fleet itself",
    "plugins": "a plugin is code that runs beside every secret of the child",
    "hooks": "it opens the gateway to requests from outside, and runs code beside every secret of the child",
    "secrets": "fleet sets up where secrets are found",
    "update": "version: says which release runs",
}

_ELSEWHERE: Final = re.compile("apiroot|baseurl|proxy|endpoint$")
_PROGRAMS: Final = (("mcp", "servers", "*", "command"), ("agents", "defaults", "cliBackends"))
_OF_PROGRAMS: Final = re.compile("^(NODE|LD|DYLD|OPENCLAW)_|^(PATH|HOME|BASH_ENV|ENV)$", re.IGNORECASE)
_SECRET_SOURCES: Final = frozenset({"env", "exec", "file", "store"})


def forbidden(config: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str]]:
    """Path, reason and advice for everything in `config` that may not be there."""
    for path, value in _walk(config, (), _objection):
        found = _objection(path, value)
        if found:
            yield path, *found


def opening(config: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Path and reason for what is dangerous whoever writes it: it opens the gateway, or sends or runs something."""
    for path, value in _walk(config, (), lambda path, value: _opening(path)):
        if value is not None and (found := _opening(path)):
            yield path, found


def _walk(
    config: Mapping[str, Any], path: Keys, objection: Callable[[Keys, Any], object]
) -> Iterator[tuple[Keys, Any]]:
    """Every key with its path; nothing below one that is objected to."""
    for key, value in config.items():
        here = (*path, key)
        yield here, value
        if not objection(here, value):
            for part in _maps(value):
                yield from _walk(part, here, objection)


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    """The value if it is a map; of a list, all maps in it."""
    if isinstance(value, Mapping):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _maps(item)


def _objection(path: Keys, value: Any) -> tuple[str, str] | None:
    name = ".".join(path)
    if path[0] in CLOSED:
        return f"config may not set {path[0]}", CLOSED[path[0]]
    if path in OWN_KEYS:
        return f"config may not set {name}: fleet does", OWN_KEYS[path]
    holds = [own for own in OWN_KEYS if own[: len(path)] == path]
    if holds and not isinstance(value, Mapping):
        return f"{name} must be a map: fleet sets {'.'.join(holds[0])} in it", "write the keys that you want to set"
    if opens := _opening(path):
        return f"config may not set {name}", opens
    if isinstance(value, Mapping) and value.get("source") in _SECRET_SOURCES and "id" in value:
        return f"config may not set {name} to a secret", "the secrets of a child are for its bot and its model alone"
    if is_secret(path[-1]) and _is_written_out(value):
        return (
            f"{name} looks like a secret written out",
            "a fleet file holds no secret: a child has those of its bot and its model",
        )
    return None


def _opening(path: Keys) -> str:
    """Why a key at this path is dangerous; empty where it is not."""
    if path[0] in CLOSED:
        return CLOSED[path[0]]
    if path[-1] == INCLUDE:
        return "it would bring in what nobody has looked at: write the keys here"
    if _ELSEWHERE.search(re.sub("[^a-z0-9]", "", path[-1].lower())):
        return "it would send what the agent says, and its secrets, elsewhere"
    return "it would run a program beside every secret of the child" if _runs_a_program(path) else ""


def _runs_a_program(path: Keys) -> bool:
    """A program that is named, or a variable that loads one into another."""
    of_environment = path[0] == "env" and len(path) > 1 and _OF_PROGRAMS.search(path[-1]) is not None
    return of_environment or any(_matches(path, program) for program in _PROGRAMS)


def _matches(path: Keys, pattern: Keys) -> bool:
    return len(path) == len(pattern) and all(key in (part, "*") for part, key in zip(path, pattern, strict=True))


def _is_written_out(value: Any) -> bool:
    """Something other than a switch, at any depth of lists; what is in a map has a key of its own."""
    if isinstance(value, list):
        return any(_is_written_out(item) for item in value)
    return is_written_out(value) and value != ""
