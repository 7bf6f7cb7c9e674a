"""What happens between a bot and its users, as its gateway knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One that a user or the bot has written. `length` in characters; `text` only where it was asked for."""

    child: str
    id: str
    at: datetime
    role: str  # user or assistant
    session: str
    length: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """What the running gateway says of Telegram; all of it is forgotten at its next start. Times in UTC."""

    connected: bool | None = None
    inbound: datetime | None = None
    outbound: datetime | None = None
    since: datetime | None = None  # it is connected
    moved: datetime | None = None  # the last thing that went over the wire
    error: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """Both, of one child. `silence` is why its gateway says nothing; `problem` why nothing at all is known."""

    child: str
    channel: Channel | None = None
    messages: tuple[Message, ...] = ()
    silence: str = ""
    problem: str = ""
    advice: str = ""
