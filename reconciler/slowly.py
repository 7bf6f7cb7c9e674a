"""What a watch asks seldom: once an hour, each child at a moment of its own; and once a day, about Node.js.

A question costs a provider a request, a host a second of its processor, or a door that is shut some seconds. What was
answered is kept from pass to pass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler import commands
from reconciler.commands import forced
from reconciler.errors import CommandFailed, FleetError
from reconciler.examining import config_problem, model_answer
from reconciler.managed import files
from reconciler.managed.questions import bot_question
from reconciler.model import Child, Command, Endpoints, SlowLook
from reconciler.ports import Host, OnEach, Ports

HOUR: Final = 3600.0  # seconds between two questions
DAY: Final = timedelta(days=1)
FLEET: Final = ""  # under this name is kept what is true of all children
SSH: Final = 22
PATIENCE: Final = 2.0  # seconds for a door that nobody opens
MOST_DOORS: Final = 20


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is asked: `at_once` also of whom nobody has asked yet; `by_word` as who has a probe key asks."""

    at_once: bool
    by_word: bool


@dataclass(frozen=True, slots=True)
class _Due:
    hourly: bool
    config: bool


def look_slowly(
    children: Mapping[str, Child], on_each: OnEach, ports: Ports, kept: Mapping[str, SlowLook], manner: Manner
) -> dict[str, SlowLook]:
    """What is known of each child after asking those of whom something is due. Raises CloudError.

    A configuration is judged when it is another than the gateway has started with, or than was judged last.
    """
    known = {name: kept.get(name) or _begun(child, manner) for name, child in children.items() if child.examined}
    due = {
        name: _Due(_is_due(name, children[name], before), _asks_config(children[name], before))
        for name, before in known.items()
    }
    some = [name for name, it in due.items() if it.hourly or it.config]

    def ask(name: str, host: Host) -> SlowLook:
        slow = known[name]
        if due[name].hourly:
            slow = _asked(children[name], host, slow, ports, by_word=manner.by_word)
        return _judged(children[name], host, slow, by_word=manner.by_word) if due[name].config else slow

    answers: Mapping[str, SlowLook | FleetError] = on_each(some, ask) if some else {}
    return {**known, **{name: it for name, it in answers.items() if isinstance(it, SlowLook)}}


def look_at_node(ports: Ports, kept: Mapping[str, SlowLook], now: datetime) -> SlowLook:
    """Which releases of Node.js have mended something insecure, as it was told within a day."""
    before = kept.get(FLEET) or SlowLook()
    if before.asked_at is not None and now.timestamp() - before.asked_at < DAY.total_seconds():
        return before
    found = ports.node_releases()
    return before if found is None else replace(before, asked_at=now.timestamp(), node=found)


def with_slow(child: Child, slow: SlowLook) -> Child:
    """The child with what was asked slowly in its place."""
    if child.examined is None or child.facts is None:
        return child
    is_known = slow.config_at == child.examined.config_at and slow.config_problem is not None
    problem = slow.config_problem if is_known else None if _is_other(child) else ""
    return replace(child, examined=replace(child.examined, model=slow.model, config_problem=problem, slow=slow))


def _begun(child: Child, manner: Manner) -> SlowLook:
    """Of whom nobody has asked: it is due in its own moment, as if it had been asked just now."""
    return SlowLook(None if manner.at_once or child.facts is None else child.facts.clock)


def _is_other(child: Child) -> bool:
    """It does not run, or has not started with the configuration that lies there.

    A gateway writes that itself, also after its start: then its release judges it once.
    """
    gateway, found = child.facts.gateway if child.facts else None, child.examined
    if gateway is None or not gateway.is_running or found is None:
        return True
    return found.config_at is None or (found.up_for is not None and found.config_at > found.clock - found.up_for)


def _asks_config(child: Child, before: SlowLook) -> bool:
    assert child.examined is not None
    is_new = before.config_at != child.examined.config_at
    is_gone = child.examined.config_at is None and before.config_problem is None
    return _is_other(child) and (is_new or is_gone)


def _is_due(name: str, child: Child, before: SlowLook) -> bool:
    assert child.facts is not None
    slot = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % HOUR
    began = (child.facts.clock - slot) // HOUR * HOUR + slot  # its own moment of this hour, or the last
    return before.asked_at is None or before.asked_at < began


def _judged(child: Child, host: Host, before: SlowLook, *, by_word: bool) -> SlowLook:
    assert child.examined is not None
    problem = config_problem(child, host, by_word=by_word)
    return replace(before, config_at=child.examined.config_at, config_problem=problem)


def _asked(child: Child, host: Host, before: SlowLook, ports: Ports, *, by_word: bool) -> SlowLook:
    assert child.examined is not None
    clock = child.examined.clock
    bot, webhook = _bot(host, ports.endpoints, by_word=by_word)
    updates, lists_at = _updates(host, by_word=by_word)
    return replace(
        before,
        asked_at=clock,
        model=model_answer(child, host, ports.endpoints, by_word=by_word),
        bot=bot,
        webhook=webhook,
        updates=updates,
        updates_since=(before.updates_since or clock) if updates else None,
        lists_at=lists_at,
        reached=tuple(_reached(child, ports)),
    )


def _bot(host: Host, endpoints: Endpoints, *, by_word: bool) -> tuple[str, str]:
    """What Telegram answers to the token there, and the host of its webhook."""
    said = _said(host, bot_question(endpoints), forced.BOT if by_word else None)
    with suppress(ValueError, TypeError, AttributeError):
        found = json.loads(said)
        return str(found.get("code") or "")[:40], str(found.get("webhook") or "")[:100]
    return "", ""


def _updates(host: Host, *, by_word: bool) -> tuple[int | None, float | None]:
    """How many are to be installed, and when the host has asked for news last."""
    words = _said(host, commands.count_updates(), forced.UPDATES if by_word else None).split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None, None
    return int(words[0]), float(words[1])


def _said(host: Host, question: Command, word: str | None) -> str:
    """Empty where a command has failed: what the others say stays. A host that falls silent raises HostError."""
    try:
        asked = question if word is None else forced.ask(word, question.timeout, check=False)
        answer = host.run(asked)
    except CommandFailed:
        return ""
    return answer.stdout[:4000].decode("utf-8", "replace").strip() if answer.exit_code == 0 else ""


def _reached(child: Child, ports: Ports) -> Iterable[int]:
    """Who listens there, or should not, and is got through to from here."""
    address = child.server.address if child.server else None
    examined = child.examined
    if address is None or examined is None:
        return
    doors = [port for port in dict.fromkeys((files.PORT, *examined.open_ports)) if port != SSH]
    for port in doors[:MOST_DOORS]:
        if ports.reaches(address, port, PATIENCE):
            yield port
