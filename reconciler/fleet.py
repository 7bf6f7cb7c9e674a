"""Checked YAML -> Fleet: fills in defaults and makes the checks that need more than one place. Reads no file."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from reconciler.document import Document, Path, Problem
from reconciler.errors import ConfigError
from reconciler.model import (
    LABEL_PREFIX,
    AccessPolicy,
    ChildSpec,
    Fleet,
    ModelSettings,
    Provider,
    SecretRef,
    Users,
)
from reconciler.schema import load

MAX_SERVER_NAME = 63

_REQUIRED: tuple[Path, ...] = (
    ("region",),
    ("version",),
    ("bot", "token"),
    ("model", "name"),
    ("model", "key"),
)
_ADVICE = {
    "region": "write it under the child or under defaults, for example: region: nbg1",
    "version": "write it under the child or under defaults, for example: version: 2026.9.6",
    "bot.token": "every child has its own bot, for example: bot: {token: env:ALICE_BOT_TOKEN}",
    "model.name": "write it under the child or under defaults, for example: model: {name: claude-sonnet-4-6}",
    "model.key": "write it under the child or under defaults, for example: model: {key: env:ANTHROPIC_API_KEY}",
}
_TAKEN_PREFIXES = (LABEL_PREFIX, "hetzner.cloud/")


def load_fleet(path: FilePath) -> Fleet:
    """The fleet of the file at `path`, which schema.py reads. Raises ConfigError with every problem of the file."""
    return parse(load(path))


def parse(document: Document) -> Fleet:
    """The fleet that the file describes. Raises ConfigError with every problem of the file, sorted by line."""
    cloud = _map(document.data.get("cloud"))
    children = {
        name: merge(document.built_in, _map(document.data.get("defaults")), _map(child))
        for name, child in _map(document.data.get("children")).items()
    }
    problems = [*document.problems, *_cloud_problems(document, cloud), *_children_problems(document, children)]
    if problems:
        diagnostics = [problem.diagnostic for problem in problems]
        raise ConfigError(sorted(diagnostics, key=lambda found: (found.line, found.column)))
    return Fleet(
        name=str(document.data["fleet"]),
        provider=Provider(cloud["provider"]),
        token=_optional_reference(cloud.get("token")),
        key=_optional_reference(document.data.get("key")),
        ssh_generation=_map(document.data.get("keys")).get("ssh", 1),
        children={name: _child(document, name, values) for name, values in sorted(children.items())},
        path=document.file,
    )


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win: maps are merged key by key, lists and single values are replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both_are_maps = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge(merged[key], value) if both_are_maps else value
    return merged


def references(fleet: Fleet) -> dict[SecretRef, str]:
    """Every secret reference of the fleet, and who needs it, in words for an error."""
    uses = ((fleet.token, "the cloud's API token"), (fleet.key, "the fleet key"))
    wanted = {found: use for found, use in uses if found is not None}
    for name, child in fleet.children.items():
        wanted.setdefault(child.bot_token, f'the bot token of child "{name}"')
        wanted.setdefault(child.model.key, f'the model key of child "{name}"')
    return wanted


def reference(text: str) -> SecretRef:
    """`env:NAME` or `file:PATH`, as the schema has checked it; two ways to write one path become one."""
    source, _, locator = text.partition(":")
    return SecretRef(source, posixpath.normpath(locator) if source == "file" else locator)


def _child(document: Document, name: str, values: Mapping[str, Any]) -> ChildSpec:
    model, users = values["model"], values["users"]
    return ChildSpec(
        name=name,
        regions=_listed(values["region"]),
        server_types=_listed(values["server_type"]),
        image=values["image"],
        version=values["version"],
        bot_token=reference(values["bot"]["token"]),
        model=ModelSettings(model["provider"], model["name"], reference(model["key"])),
        users=Users(AccessPolicy(users["policy"]), tuple(users["allowed"]), users.get("owner")),
        labels=values["labels"],
        protect=values["protect"],
        line=document.key_position(("children", name))[0],
    )


def _cloud_problems(document: Document, cloud: Mapping[str, Any]) -> Iterator[Problem]:
    provider = cloud.get("provider")
    meant = {problem.meant for problem in document.problems}
    if provider == Provider.HETZNER and "token" not in cloud and ("cloud", "token") not in meant:
        advice = "say where the API token is found, for example: token: env:HCLOUD_TOKEN"
        yield document.problem(("cloud", "provider"), 'provider "hetzner" needs a token', advice)
    if provider == Provider.SANDBOX and "token" in cloud:
        advice = "remove it: the sandbox makes its own token and reads no real one"
        yield document.problem(("cloud", "token"), 'provider "sandbox" takes no token', advice, at_key=True)


def _children_problems(document: Document, children: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    troubled = {path for problem in document.problems for path in (problem.path, problem.meant) if path}
    bots: dict[SecretRef, str] = {}
    for name, values in children.items():
        if not isinstance(_at(document.data, ("children", name)), Mapping):
            continue
        yield from _missing(document, name, values, troubled)
        if ("children", name) not in troubled:
            yield from _long_name(document, name)
        yield from _shared_bot(document, name, values, bots)
        yield from _shut_out(document, name, values)
        yield from _taken_labels(document, name, values)


def _missing(document: Document, name: str, values: Mapping[str, Any], troubled: set[Path]) -> Iterator[Problem]:
    for path in _REQUIRED:
        inside = ("children", name, *path)
        places = (inside[:3], inside, ("defaults", *path[:1]), ("defaults", *path))
        if _at(values, path) is None and troubled.isdisjoint(places):
            words = ".".join(str(part) for part in path)
            yield document.problem(inside, f'child "{name}" has no {words}', _ADVICE[words], at_key=True)


def _long_name(document: Document, name: str) -> Iterator[Problem]:
    server = f"{document.data.get('fleet')}-{name}"
    if len(server) > MAX_SERVER_NAME:
        summary = f'the server of child "{name}" would have a name of {len(server)} characters'
        advice = f"<fleet>-<child> has at most {MAX_SERVER_NAME}: shorten one of the two"
        yield document.problem(("children", name), summary, advice, at_key=True)


def _shared_bot(
    document: Document, name: str, values: Mapping[str, Any], bots: dict[SecretRef, str]
) -> Iterator[Problem]:
    token = _at(values, ("bot", "token"))
    if not isinstance(token, str) or ":" not in token:
        return
    holder = bots.setdefault(reference(token), name)
    if holder != name:
        line = document.value_position(("children", holder, "bot", "token"))[0]
        summary = f'child "{name}" has the bot token of child "{holder}" (line {line})'
        advice = "Telegram lets one gateway use a bot at a time: make another bot with @BotFather"
        yield document.problem(("children", name, "bot", "token"), summary, advice)


def _shut_out(document: Document, name: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    users = _map(values.get("users"))
    allowed, owner, path = users.get("allowed"), users.get("owner"), ("children", name, "users")
    if users.get("policy") != AccessPolicy.ALLOWLIST or not isinstance(allowed, list):
        return
    if not allowed:
        advice = "list the Telegram user ids, for example: allowed: [4242], or let people ask: policy: pairing"
        yield document.problem(path, f'nobody may talk to child "{name}": its allowlist is empty', advice, at_key=True)
    elif isinstance(owner, int) and owner not in allowed and all(isinstance(user, int) for user in allowed):
        summary = f'the owner of child "{name}" may not talk to it: {owner} is not in allowed'
        yield document.problem((*path, "owner"), summary, f"add {owner} to allowed")


def _taken_labels(document: Document, name: str, values: Mapping[str, Any]) -> Iterator[Problem]:
    for label in _map(values.get("labels")):
        if label.startswith(_TAKEN_PREFIXES):
            prefix = label.partition("/")[0]
            summary = f'label "{label}" of child "{name}" has a prefix that is taken'
            advice = f"{prefix}/ is not for your labels: choose another prefix, or none"
            yield document.problem(("children", name, "labels", label), summary, advice, at_key=True)


def _optional_reference(text: object) -> SecretRef | None:
    return reference(text) if isinstance(text, str) else None


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _map(value: object) -> Mapping[str, Any]:
    """The value where it is a map; what else stands there has been reported by the schema."""
    return value if isinstance(value, Mapping) else {}


def _at(values: Mapping[str, Any], path: Path) -> Any:
    found: Any = values
    for part in path:
        found = _map(found).get(str(part))
    return found
