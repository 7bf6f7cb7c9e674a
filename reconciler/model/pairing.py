"""Who asks to talk to a bot, and whom its gateway lets in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LARGEST_USER: Final = (1 << 52) - 1  # Telegram's ids of users have at most 52 significant bits (its Bot API, User)
LIFE: Final = 3600  # seconds after which a request is none any more (facts on OpenClaw, section 5)


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """Somebody has written to a bot and waits for an answer. All but the child is what strangers say."""

    child: str
    user: str  # the Telegram id
    code: str  # that the bot has told them: eight characters
    name: str  # "" where Telegram knows none
    age: float  # seconds, by the host's clock

    @property
    def left(self) -> float:
        """Seconds until it expires."""
        return LIFE - self.age


@dataclass(frozen=True, slots=True)
class Access:
    """What a child's gateway knows of people; or why that cannot be told.

    `let_in` are those whom somebody has let in there, `strangers` those of them that are not in the fleet file; `odd`
    counts the requests that no gateway has written, which are left out.
    """

    child: str
    requests: tuple[PairingRequest, ...] = ()
    let_in: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    odd: int = 0
    problem: str = ""
    advice: str = ""


class NewsKind(StrEnum):
    ASKS = "asks"
    GONE = "gone"  # answered, or expired
    UNHEARD = "unheard"  # the host cannot be asked
    HEARD = "heard"  # it can again


@dataclass(frozen=True, slots=True)
class News:
    """Something that has changed since the last look."""

    kind: NewsKind
    child: str
    request: PairingRequest | None = None
    problem: str = ""
