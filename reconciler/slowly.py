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
from reconciler.diagnosis.gateway import NO_WORD
from reconciler.errors import CommandFailed, FleetError, HostTimedOut
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
SOON: Final = 300.0  # seconds, until something that was wrong is asked for again
REFUSED: Final = ("401", "403")  # by a model's provider: its key
WELL: Final = ("", "200")  # answers of which nobody has to hear; empty: there was none


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
    known = {name: _known(child, kept.get(name), manner) for name, child in children.items() if child.examined}
    due = {
        name: _Due(_is_due(name, children[name], before), _asks_config(name, children[name], before))
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
    found, at = ports.node_releases(), now.timestamp()
    if found is None:  # again in an hour
        return replace(before, asked_at=at - DAY.total_seconds() + HOUR)
    return replace(before, asked_at=at, node=found)


def with_slow(child: Child, slow: SlowLook) -> Child:
    """The child with what was asked slowly in its place."""
    if child.examined is None or child.facts is None:
        return child
    is_known = slow.config_at == child.examined.config_at and slow.config_problem is not None
    problem = slow.config_problem if is_known else None if _is_other(child) else ""
    return replace(child, examined=replace(child.examined, model=slow.model, config_problem=problem, slow=slow))


def _known(child: Child, before: SlowLook | None, manner: Manner) -> SlowLook:
    """What is kept of this very server; of whom nobody has asked: due in its own moment, as if asked just now."""
    server = child.server.id if child.server else None
    if before is not None and before.server == server:
        return before
    return SlowLook(server, None if manner.at_once or child.facts is None else child.facts.clock)


def _is_other(child: Child) -> bool:
    """It does not run, or has not started with the configuration that lies there.

    A gateway writes that itself, also after its start: then its release judges it once.
    """
    gateway, found = child.facts.gateway if child.facts else None, child.examined
    if gateway is None or not gateway.is_running or found is None:
        return True
    return found.config_at is None or (found.up_for is not None and found.config_at > found.clock - found.up_for)


def _asks_config(name: str, child: Child, before: SlowLook) -> bool:
    """It is another one by now; or nobody could judge it, and an hour is over."""
    assert child.examined is not None
    is_new = before.config_at != child.examined.config_at
    is_open = before.config_problem is None and _is_due(name, child, before)
    return _is_other(child) and (is_new or is_open)


def _is_due(name: str, child: Child, before: SlowLook) -> bool:
    """Once an hour, at a moment of its own; what was wrong is asked for again sooner."""
    assert child.facts is not None
    clock, asked_at = child.facts.clock, before.asked_at
    slot = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % HOUR
    began = (clock - slot) // HOUR * HOUR + slot  # its own moment of this hour, or the last
    if asked_at is None or asked_at < began or asked_at > clock + HOUR:  # the last: its clock was wrong
        return True
    is_wrong = before.webhook or before.bot not in WELL or before.model not in WELL
    return bool(is_wrong) and clock - asked_at >= SOON


def _judged(child: Child, host: Host, before: SlowLook, *, by_word: bool) -> SlowLook:
    assert child.examined is not None
    problem = config_problem(child, host, by_word=by_word)
    return replace(before, config_at=child.examined.config_at, config_problem=problem)


def _asked(child: Child, host: Host, before: SlowLook, ports: Ports, *, by_word: bool) -> SlowLook:
    """Each by itself: what the others have said stays. Who falls silent is asked nothing more."""
    assert child.examined is not None
    clock, endpoints = child.examined.clock, ports.endpoints
    slow = replace(before, asked_at=clock)
    with suppress(HostTimedOut):
        with suppress(CommandFailed):
            slow = _with_word(slow, child, model_answer(child, host, endpoints, by_word=by_word))
        bot, webhook = _bot(host, endpoints, by_word=by_word)
        slow = replace(slow, bot=bot or before.bot, webhook=webhook if bot else before.webhook)
        updates, lists_at = _updates(host, by_word=by_word)
        slow = replace(slow, updates=updates, lists_at=lists_at)
    since = before.updates_since
    if slow.updates is not None:
        since = (since or clock) if slow.updates else None
    return replace(slow, updates_since=since, reached=tuple(_reached(child, ports)))


def _with_word(before: SlowLook, child: Child, now: str) -> SlowLook:
    """An answer that says nothing of the key takes nothing back: its provider refused it, and nothing else since."""
    provider = child.spec.model.provider if child.spec is not None else ""
    stays = before.model in REFUSED and before.provider in ("", provider) and now in ("", *NO_WORD)
    return replace(before, model=before.model if stays else now, provider=provider)


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
