"""Which place in the fleet file hears of which notice; what could not be told is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from reconciler.model import AlertPlace, Fleet, Notice, Undelivered
from reconciler.ports import Teller
from reconciler.render.alerts import level_of, notice_text

LONGEST_WAIT: Final = timedelta(days=1)
MOST_WAITING: Final = 500


def for_place(notices: Iterable[Notice], place: AlertPlace) -> Iterator[Notice]:
    """Those that it wants to hear, with the children that are its. Pure."""
    for notice in notices:
        states = tuple(
            state
            for state in notice.states
            if state.trouble.level in place.levels and (not state.trouble.child or _is_of(state.groups, place))
        )
        if states:
            yield replace(notice, states=states)


def tell_all(
    fleet: Fleet, notices: Iterable[Notice], waiting: Iterable[Undelivered], teller: Teller, now: datetime
) -> tuple[list[str], tuple[Undelivered, ...]]:
    """Problems, a line for each place that did not take something; and what waits for the next time.

    What has waited goes first, and nothing overtakes it: a place that hears "resolved" has heard of what.
    """
    notices, problems, left = tuple(notices), list[str](), list[Undelivered]()
    for place in fleet.alerts.to:
        name, silent = str(place.url), False
        for letter in (*_waiting(waiting, name, now), *_new(fleet.name, notices, place, now)):
            problem = "" if silent else teller.tell(place.url, letter.title, letter.body, letter.level)
            if problem:
                problems.append(f"an alert did not reach {name}: {problem}; the next pass tries again")
            silent = silent or bool(problem)
            if silent:
                left.append(letter)
    return problems, tuple(left[-MOST_WAITING:])


def _waiting(waiting: Iterable[Undelivered], place: str, now: datetime) -> Iterator[Undelivered]:
    """What is a day old is no news any more."""
    return (letter for letter in waiting if letter.place == place and now - letter.at < LONGEST_WAIT)


def _new(fleet: str, notices: Iterable[Notice], place: AlertPlace, now: datetime) -> Iterator[Undelivered]:
    for notice in for_place(notices, place):
        title, body = notice_text(fleet, notice, now)
        yield Undelivered(str(place.url), title, body, level_of(notice), now)


def _is_of(groups: tuple[str, ...], place: AlertPlace) -> bool:
    return not place.groups or any(fnmatchcase(group, pattern) for group in groups for pattern in place.groups)
