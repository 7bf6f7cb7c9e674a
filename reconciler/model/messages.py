"""Messages to people who use a fleet's bots."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who of a child's users is meant: its owner, all that the fleet file names, or Telegram users by their ids."""

    owner: bool = False
    everybody: bool = False
    users: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.owner or self.everybody or self.users)


@dataclass(frozen=True, slots=True)
class Letter:
    """What one child's bot shall say to one Telegram user."""

    child: str
    user: int
    text: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a letter; of its text nothing is kept. `message` is the id that the gateway gives it.

    Without one `problem` says why: the gateway refused it (`is_refused`), nobody can tell (`is_unclear`), or the
    gateway was not even asked.
    """

    child: str
    user: int | None  # None: whoever it was for
    message: str = ""
    problem: str = ""
    advice: str = ""
    is_unclear: bool = False
    is_refused: bool = False
