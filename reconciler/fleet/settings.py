"""Checks of one block of settings for what a schema cannot say, and the values that its texts mean. Pure.

Each block is checked once and at its own place, however many children take something from it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.document import Problem, shown
from reconciler.fleet.blocks import Block, as_map
from reconciler.fleet.bounds import forbidden
from reconciler.fleet.watched import is_cron, is_timezone
from reconciler.model import LABEL_PREFIX

NEVER: Final = "never"
S3: Final = "s3://"

_TAKEN_PREFIXES: Final = (LABEL_PREFIX, "hetzner.cloud/")
_ARM: Final = "cax"  # Hetzner's types of Arm machines, by name: "cax" and a number


class NoZone(ValueError):
    """A time that could be any of some thirty."""


def problems_of(block: Block) -> Iterator[Problem]:
    """Everything wrong with the block that the schema has not found."""
    for check in _CHECKS:
        yield from check(block)


def expiry(text: str) -> datetime | None:
    """When a child is due: the end of a day in UTC, or a time with its zone; None for `never`.

    Raises NoZone, or another ValueError.
    """
    if text == NEVER:
        return None
    when = datetime.fromisoformat(text.upper())
    if len(text) == len("2026-12-31"):
        return when.replace(tzinfo=UTC) + timedelta(days=1)
    if when.tzinfo is None:
        raise NoZone(text)
    return when.astimezone(UTC)


def network(text: str) -> str:
    """A CIDR as it is usually written; a single address is the network of it alone. Raises ValueError."""
    if "%" in text:
        raise ValueError("a zone")
    return str(ipaddress.ip_network(text))


def listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _architecture(block: Block) -> Iterator[Problem]:
    types = block.sound("server_type")
    if types is None:
        return
    arm = [name for name in listed(types) if name.startswith(_ARM)]
    if arm and len(arm) < len(listed(types)):
        summary = f"server_type of {block.words} mixes architectures: {', '.join(arm)} is Arm, others are not"
        yield block.problem(("server_type",), summary, "list types of one architecture: a child keeps it for life")


def _expiry(block: Block) -> Iterator[Problem]:
    text = block.sound("expires")
    if text is None:
        return
    try:
        expiry(text)
    except NoZone:
        advice = f"write the zone too, for example {text}Z for UTC, or {text}+01:00"
        yield block.problem(("expires",), f"expires of {block.words} has no time zone", advice)
    except ValueError:
        advice = "write a day, such as 2026-12-31, or a time with its zone, such as 2026-12-31T18:00:00Z"
        yield block.problem(("expires",), f"expires of {block.words} is no time: {shown(text)}", advice)


def _networks(block: Block) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for index, text in enumerate(block.sound("access", "ssh_from") or ()):
        path = ("access", "ssh_from", index)
        try:
            found = network(text)
        except ValueError:
            yield block.problem(path, f"{shown(text)} is no network", _network_advice(text))
            continue
        if seen.setdefault(found, text) != text:
            summary = f"{shown(text)} is the same network as {shown(seen[found])}"
            yield block.problem(path, summary, "write each one once")


def _network_advice(text: str) -> str:
    if "%" in text:
        return "what stands behind the % names an interface of one machine: leave it out"
    try:
        return f"it has bits set behind its prefix: write {shown(ipaddress.ip_network(text, strict=False))}"
    except ValueError:
        return "write a CIDR, such as 203.0.113.0/24 or 2001:db8::/32"


def _files(block: Block) -> Iterator[Problem]:
    for path, entry in as_map(block.sound("files")).items():
        sources = [key for key in ("text", "from") if key in as_map(entry)]
        where = f"{shown(path)} in files of {block.words}"
        if entry is None:
            continue
        if len(sources) != 1:
            has = "has both text and from" if sources else "has neither text nor from"
            yield block.problem(("files", path), f"{where} {has}", "write one of the two", at_key=True)
        elif path.endswith("/") and sources == ["text"]:
            advice = f"write from: DIRECTORY, or take the / off: {path.rstrip('/')}"
            yield block.problem(("files", path), f"{where} is a directory and has a text", advice, at_key=True)


def _config(block: Block) -> Iterator[Problem]:
    for keys, summary, advice in forbidden(as_map(block.values.get("config"))):
        yield block.problem(("config", *keys), f"{summary} ({block.words})", advice, at_key=True)


def _labels(block: Block) -> Iterator[Problem]:
    for label in as_map(block.values.get("labels")):
        if label.startswith(_TAKEN_PREFIXES):
            prefix = label.partition("/")[0]
            summary = f'label "{label}" of {block.words} has a prefix that is taken'
            advice = f"{prefix}/ is not for your labels: choose another prefix, or none"
            yield block.problem(("labels", label), summary, advice, at_key=True)


def _maintenance(block: Block) -> Iterator[Problem]:
    for index, window in enumerate(block.sound("monitoring", "maintenance") or ()):
        path = ("monitoring", "maintenance", index)
        where = f"maintenance of {block.words}"
        if "cron" in as_map(window) and not is_cron(window["cron"]):
            advice = "write minute, hour, day of the month, month and day of the week, such as 0 3 * * 0"
            yield block.problem((*path, "cron"), f"cron in {where} is no time: {shown(window['cron'])}", advice)
        if "timezone" in as_map(window) and not is_timezone(window["timezone"]):
            advice = "write it as the IANA database does, such as Europe/Berlin, or UTC"
            yield block.problem(
                (*path, "timezone"), f"timezone in {where} is none: {shown(window['timezone'])}", advice
            )


def _drift(block: Block) -> Iterator[Problem]:
    for pattern, word in as_map(block.sound("monitoring", "drift")).items():
        if word == "adopt" and not pattern.startswith("config."):
            summary = f'drift of {block.words}: "{pattern}" cannot be written into the fleet file'
            advice = "adopt is for keys of `config`: a pattern that begins with config. , or fix, warn or ignore"
            yield block.problem(("monitoring", "drift", pattern), summary, advice, at_key=True)


_CHECKS: Final[tuple[Callable[[Block], Iterator[Problem]], ...]] = (
    _architecture,
    _expiry,
    _networks,
    _files,
    _config,
    _labels,
    _maintenance,
    _drift,
)
