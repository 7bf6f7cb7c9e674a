"""What follows from a pass: who is told, what is remembered of it, and when the next one comes.

It resolves no secret but the addresses of those it tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.alerting import advance
from reconciler.history import History
from reconciler.model import (
    WARNING,
    AlertRules,
    Book,
    Fleet,
    Level,
    Monitoring,
    Notice,
    Pass,
    Sighting,
    SlowLook,
    Undelivered,
)
from reconciler.ports import Clock, Teller
from reconciler.render.alerts import notice_text
from reconciler.telling import tell_all

SECONDS_PER_REQUEST: Final = 3.0  # a third of the 3,600 an hour that Hetzner allows
CATALOGUE: Final = 4  # requests more for types, locations, images and prices
CATALOGUE_KEPT: Final = 30.0  # seconds, in which passes share one
JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from pass to pass."""

    book: Book
    slow: Mapping[str, SlowLook]
    waiting: tuple[Undelivered, ...] = ()  # what some place has not taken yet

    @property
    def since(self) -> dict[tuple[str, str], datetime]:
        """By child and key, since when a trouble lasts."""
        return {key: it.since for key, it in self.book.states.items() if it.failures > 0}


def begin(history: History) -> State:
    """What the pass before has left. Raises StateError."""
    return State(*history.remembered())


def wait_for(clock: Clock, every: float, found: Pass) -> None:
    """Until the next pass: not quite regularly, and so that passes take at most a third of what the cloud allows."""
    spread = (int(clock.token()[:4], 16) / 0xFFFF - 0.5) * JITTER
    clock.sleep(max(1.0, pause(found, every) * (1 + spread) - found.seconds))


def pause(found: Pass, every: float) -> float:
    """Seconds from the begin of a pass to that of the next, so that they take a third of what the cloud allows."""
    least, catalogue = found.requests * SECONDS_PER_REQUEST, CATALOGUE * SECONDS_PER_REQUEST
    return max(every, min(least + catalogue, least / (1 - catalogue / CATALOGUE_KEPT)))


def heed(
    found: Pass, before: State, fleet: Fleet, teller: Teller, *, remembers: bool, is_silent: bool, is_late: bool = False
) -> tuple[list[str], State, list[str]]:
    """People are told what this pass comes to: what was said, what is remembered then, and what went wrong with it.

    What a place does not take waits for the next pass. `is_late`: it is what became of some children of a pass that was
    heeded, which held them back.
    """
    book, notices = told(found, before.book, fleet, remembers=remembers, tells=not is_silent, is_late=is_late)
    if is_silent:
        return [], State(book, found.kept, before.waiting), []
    problems, waiting = tell_all(fleet, notices, before.waiting, teller, found.at)
    pings = fleet.alerts.ping is not None and not found.is_blind and not is_late
    if pings and fleet.alerts.ping is not None and (problem := teller.ping(fleet.alerts.ping)):
        problems.append(f"the dead man's switch could not be told that all goes on: {problem}")
    said = [notice_text(fleet.name, notice, found.at)[0] for notice in notices]
    return said, State(book, found.kept, waiting), problems


def preview_of(found: Pass, fleet: Fleet) -> list[tuple[str, str]]:
    """Title and body of all that would be said, if nothing had been said yet. Pure."""
    _, notices = told(found, Book(), fleet, remembers=False)
    return [notice_text(fleet.name, notice, found.at) for notice in notices]


def told(
    found: Pass, book: Book, fleet: Fleet, *, remembers: bool = True, tells: bool = True, is_late: bool = False
) -> tuple[Book, tuple[Notice, ...]]:
    """What is remembered after this pass, and what is to be said; nothing where nobody `tells`. Pure.

    Where nothing `remembers`, each pass is the first: then what is wrong is told at once.
    """
    sightings = [row.sighting for row in found.rows]
    sightings += [] if is_late else [Sighting("", troubles=found.fleet)]

    def rules_of(name: str) -> AlertRules:
        spec = fleet.children.get(name)
        wanted = spec.monitoring if spec is not None else Monitoring()
        return AlertRules(
            fire_after=wanted.fire_after if remembers else 1,
            clear_after=wanted.clear_after if remembers else 1,
            repeat=fleet.alerts.repeat,
            levels=frozenset(Level) if WARNING in wanted.alert_on else frozenset({Level.CRITICAL}),
            group_from=fleet.alerts.group_from,
        )

    return advance(book, sightings, found.everyone, rules_of, found.quiets, found.at, tells=tells, is_late=is_late)
