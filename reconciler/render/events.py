"""What happens between bots and their users, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from reconciler.model import Activity, Channel, Json, Message
from reconciler.render.text import harmless

_WHO: Final = {"user": "->", "assistant": "<-"}  # to the bot, and from it


def activity_lines(activity: Activity, now: datetime) -> Iterator[tuple[str, str | None]]:
    """What its channel says, and the messages below; the newest last."""
    if activity.channel is None:
        yield f"{activity.child}: {harmless(activity.silence)}", "red"
    else:
        yield f"{activity.child}: {_channel(activity.channel, now)}", None if activity.channel.connected else "red"
        if activity.channel.error:
            yield f"  last error: {harmless(activity.channel.error)}", "red"
    for message in activity.messages:
        yield f"  {message_line(message)}", None


def message_line(message: Message) -> str:
    what = f"{message.length} characters" if message.text is None else harmless(message.text)
    return f"{message.at:%Y-%m-%d %H:%M:%S} {_WHO[message.role]} {harmless(message.session) or '?'}: {what}"


def activity_json(activity: Activity) -> dict[str, Json]:
    channel = activity.channel
    return {
        "child": activity.child,
        "channel": None if channel is None else {key: _json(value) for key, value in asdict(channel).items()},
        "silence": activity.silence or None,
        "problem": activity.problem or None,
        "messages": [{key: _json(value) for key, value in asdict(it).items()} for it in activity.messages],
    }


def _channel(channel: Channel, now: datetime) -> str:
    state = "connected" if channel.connected else "not connected" if channel.connected is False else "connected or not"
    times = (("in", channel.inbound), ("out", channel.outbound), ("anything", channel.moved))
    if not any(at for _, at in times):
        return f"{state}; nothing has come or gone since its start"
    return f"{state}; last {', '.join(f'{what} {_ago(at, now)}' for what, at in times)}"


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never since its start"
    seconds = max(0, int((now - at).total_seconds()))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{at:%Y-%m-%d %H:%M} UTC"


def _json(value: Any) -> Json:
    return value.isoformat() if isinstance(value, datetime) else value
