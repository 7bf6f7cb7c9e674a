"""Ids of checkpoints and backups: the second in which one was made, and later than all before it. Pure.

Labels and names of files, which hold no colon, say other times in the same form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

ID_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_END: Final = datetime(9000, 1, 1, tzinfo=UTC)  # nobody's clock, and a second later must be a time as well


def later_id(now: datetime, known: Iterable[str]) -> str:
    """That of now, or of the second after the newest known one: a clock that is behind makes nothing that is old."""
    moments = (moment + timedelta(seconds=1) for moment in map(moment_of, known) if moment)
    return f"{max([now, *moments]):{ID_FORMAT}}"


def free_id(now: datetime, known: Collection[str]) -> str:
    """The first one from now on that is not known."""
    moments = (now + timedelta(seconds=later) for later in range(len(known) + 1))
    return next(name for moment in moments if (name := f"{moment:{ID_FORMAT}}") not in known)


def moment_of(name: str) -> datetime | None:
    """None for what is no id: a host has said it, or somebody else has named a file so."""
    try:
        moment = datetime.strptime(name, ID_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment < _END else None
