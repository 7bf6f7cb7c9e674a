"""Do messages arrive? What gateways say of their channel, and what their transcripts have of the last messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from reconciler import commands
from reconciler.errors import FleetError, HostError
from reconciler.model import Activity, Channel, Message
from reconciler.ports import Clock, Host, OnEach

_WRONG: Final = "fleet status {} says what is wrong"
_MOST_NEW: Final = 500  # messages between two looks


def look(names: Iterable[str], count: int, on_each: OnEach, *, texts: bool = False) -> list[Activity]:
    """Of each child, in order; what goes wrong with one is said of that one. Raises CloudError."""
    answers = on_each(names, lambda name, host: _activity(name, host, count, 0.0, texts))
    return [_of(name, answer) for name, answer in sorted(answers.items())]


def follow(
    names: Iterable[str], count: int, on_each: OnEach, clock: Clock, every: float, *, texts: bool = False
) -> Iterator[list[Activity]]:
    """The same, and then only the messages that come, by a look each `every` seconds, without end.

    Times of messages are those of their hosts, so one of them says from when on others are new; where there is none,
    all are.
    """
    names, began, seen = tuple(names), clock.now().timestamp(), dict[str, frozenset[str]]()
    found = look(names, max(count, 1), on_each, texts=texts)
    last = {it.child: began if it.problem else 0.0 for it in found}
    shown = [replace(it, messages=it.messages[-count:] if count else ()) for it in found]
    while True:
        for activity in found:
            if activity.messages:
                newest = last[activity.child] = activity.messages[-1].at.timestamp()
                known = (it.id for it in activity.messages if it.at.timestamp() >= newest)
                seen[activity.child] = frozenset(known) | seen.get(activity.child, frozenset())
        yield shown
        clock.sleep(every)

        def ask(name: str, host: Host) -> Activity:
            return _activity(name, host, _MOST_NEW, last[name], texts)

        answers = on_each(names, ask)
        found = [_without(_of(name, answer), seen.get(name, frozenset())) for name, answer in sorted(answers.items())]
        shown = found


def _without(activity: Activity, seen: frozenset[str]) -> Activity:
    return replace(activity, messages=tuple(it for it in activity.messages if it.id not in seen))


def _activity(name: str, host: Host, count: int, since: float, texts: bool) -> Activity:
    channel, silence = None, ""
    try:
        channel = _channel(name, host)
    except HostError as error:
        if error.temporary:
            raise
        silence = error.summary
    try:
        told: Any = json.loads(host.run(commands.read_messages(count, since, texts=texts)).stdout)
        messages = tuple(_message(name, it) for it in told)
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError, OSError) as error:
        raise HostError("its host does not say what was said", _WRONG.format(name)) from error
    return Activity(name, channel, messages, silence)


def _channel(name: str, host: Host) -> Channel:
    """Raises HostError where the gateway does not answer, or says nothing of Telegram."""
    said = host.run(commands.gateway_rpc("channels.status", {})).stdout
    try:
        account: Any = json.loads(said)["payload"]["channelAccounts"]["telegram"][0]
        connected, failure = account.get("connected"), account.get("lastError")
        inbound, outbound, since, moved = (_moment(account.get(key)) for key in _TIMES)
    except (
        ValueError,
        RecursionError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        OSError,
    ) as error:
        raise HostError("its gateway says nothing of Telegram", _WRONG.format(name)) from error
    is_connected = connected if isinstance(connected, bool) else None
    return Channel(is_connected, inbound, outbound, since, moved, str(failure)[:300] if failure else "")


_TIMES: Final = ("lastInboundAt", "lastOutboundAt", "lastConnectedAt", "lastTransportActivityAt")


def _moment(milliseconds: Any) -> datetime | None:
    is_time = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool) and milliseconds > 0
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if is_time else None


def _message(child: str, said: Any) -> Message:
    """Raises what _activity takes for no answer."""
    texts = said["id"], said["role"], said["session"]
    if not all(isinstance(it, str) for it in texts) or said["role"] not in ("user", "assistant"):
        raise TypeError("no message")
    at = datetime.fromtimestamp(float(said["at"]), UTC)
    text = None if said["text"] is None else str(said["text"])
    return Message(child, texts[0], at, texts[1], texts[2], int(said["length"]), text)


def _of(name: str, answer: Activity | FleetError) -> Activity:
    if isinstance(answer, FleetError):
        return Activity(name, problem=answer.summary, advice=answer.advice)
    return answer
