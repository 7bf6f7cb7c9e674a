"""A bot as its messenger knows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
class BotProfile:
    """What people see of a bot. As a wish, None leaves it to whoever has set it; an empty text is none."""

    name: str | None = None
    description: str | None = None  # in an empty chat, before anything is said
    short_description: str | None = None  # on its page, and beside a link to it

    @property
    def is_declared(self) -> bool:
        return any(value is not None for value in asdict(self).values())

    def differing_from(self, live: BotProfile) -> dict[str, str]:
        """What is wished and is not so."""
        there = asdict(live)
        return {name: value for name, value in asdict(self).items() if value is not None and value != there[name]}


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
    commands: tuple[str, ...] = ()  # in its menu, in everybody's language
    findings: tuple[str, ...] = ()
