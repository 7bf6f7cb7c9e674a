"""A bot as its messenger knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """What getMe says. `name` is what people read, `username` what they search for, without the @."""

    id: int
    username: str
    name: str

    @property
    def link(self) -> str:
        """Where a person begins a chat with it."""
        return f"https://t.me/{self.username}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where updates are sent instead of being fetched; an empty `url` is none."""

    url: str
    pending: int  # updates that nobody has taken yet


@dataclass(frozen=True, slots=True)
class CheckedBot:
    """What is known of a child's bot. `findings` are in words what keeps it from answering, or will; none is well."""

    child: str
    identity: BotIdentity | None = None
    webhook: Webhook | None = None
    findings: tuple[str, ...] = ()
