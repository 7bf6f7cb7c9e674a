"""Which place in the fleet file hears of which notice; what could not be told is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from reconciler.model import AlertPlace, Fleet, Notice
from reconciler.ports import Teller
from reconciler.render.alerts import level_of, notice_text


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


def tell_all(fleet: Fleet, notices: Iterable[Notice], teller: Teller, now: datetime) -> tuple[list[str], int]:
    """What could not be delivered, a line each; and how many messages were."""
    notices, failed, delivered = tuple(notices), list[str](), 0
    for place in fleet.alerts.to:
        for notice in for_place(notices, place):
            title, body = notice_text(fleet.name, notice, now)
            if problem := teller.tell(place.url, title, body, level_of(notice)):
                failed.append(f"an alert did not reach {place.url}: {problem}")
            else:
                delivered += 1
    return failed, delivered


def _is_of(groups: tuple[str, ...], place: AlertPlace) -> bool:
    return not place.groups or any(fnmatchcase(group, pattern) for group in groups for pattern in place.groups)
