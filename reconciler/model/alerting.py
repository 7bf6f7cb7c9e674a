"""What an operator is told of a fleet's health, and what is remembered between two passes. Moments are UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from reconciler.model.diagnosis import Cause
from reconciler.model.level import Level

ANSWERS: Final = "answers"  # the one key of everything that keeps a child's user without an answer


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a pass has found wrong: with a child, or where `child` is empty with what all of them need."""

    child: str
    cause: Cause
    level: Level
    layer: str  # the check that has failed
    text: str  # what was seen
    mend: str  # the command that helps, or what a person can do

    @property
    def key(self) -> str:
        """By this it is one alert: whatever keeps a user waiting is one, for an outage may change its face."""
        return ANSWERS if self.level is Level.CRITICAL else self.cause


@dataclass(frozen=True, slots=True)
class Sighting:
    """One child as one pass saw it.

    `unknown`: keys of which nobody can tell whether there is trouble, neither for nor against. `excuse`: why nothing of
    this child counts now, like its maintenance; what is wrong is shown all the same. `muted`: keys of what nobody wants
    to be told of; it counts, for what is mended by itself. `held`: keys that count, and of which nobody is told before
    it was tried to mend that. `again`: keys of which there is more to say at once; `at_once`: keys that wait for no
    other pass.
    """

    child: str
    region: str = ""
    groups: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    unknown: frozenset[str] = frozenset()
    excuse: str = ""
    muted: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    at_once: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When something is told. `fire_after` and `clear_after` count passes."""

    fire_after: int = 3
    clear_after: int = 2
    repeat: timedelta = timedelta(hours=4)
    levels: frozenset[Level] = frozenset(Level)
    flaps: int = 3  # so often within `flap_within` it comes and goes: then it is told once, until it is steady so long
    flap_within: timedelta = timedelta(hours=1)
    group_from: int = 3  # children with one cause are told of together


@dataclass(frozen=True, slots=True)
class Quiet:
    """A person wants to hear nothing of these: of `child` (a glob), and of one cause or of all, until then."""

    child: str
    until: datetime
    cause: str = ""
    why: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered of one (child, key). `fired`: it counts as an alert since; `told`: somebody heard of it last.

    `starts`: when it fired, as far as that matters for flapping. `together` names the group that it was told of with.
    """

    trouble: Trouble
    region: str
    groups: tuple[str, ...]
    since: datetime
    failures: int = 0
    successes: int = 0
    fired: datetime | None = None
    told: datetime | None = None
    starts: tuple[datetime, ...] = ()
    is_flapping: bool = False
    together: str = ""
    over: datetime | None = None  # resolved then; kept for its `starts`, or until its group is over
    is_muted: bool = False  # nobody wants to be told of it

    @property
    def is_telling(self) -> bool:
        """It is an alert now, and somebody has heard of it."""
        return self.fired is not None and self.told is not None


@dataclass(frozen=True, slots=True)
class Book:
    """All of that, by child and key."""

    states: dict[tuple[str, str], AlertState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What a place (a reference, as the fleet file has it) was to hear `at` that moment, and has not yet."""

    place: str
    title: str
    body: str
    level: Level | None  # None: it is over
    at: datetime


class Word(StrEnum):
    """What is said of an alert."""

    FIRING = "firing"
    REPEATED = "still firing"
    FLAPPING = "comes and goes"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: a word about one child or, where one cause has many at once, about all of them."""

    word: Word
    states: tuple[AlertState, ...]  # never empty; all of one cause

    @property
    def first(self) -> AlertState:
        return self.states[0]
