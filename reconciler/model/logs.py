"""What a gateway and its unit have written, and what is wanted of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.model.json import Json


class LogSource(StrEnum):
    GATEWAY = "gateway"  # OpenClaw's own log
    JOURNAL = "journal"  # what systemd says of its unit, and what the gateway printed


@dataclass(frozen=True, slots=True)
class LogLine:
    """One of them, without its secrets. `at` is in UTC by the host's clock; None where it says none."""

    child: str
    at: datetime | None
    source: LogSource
    level: str  # ERROR, WARN, INFO, …; "" where nobody has said one
    name: str  # the part of the gateway, or the program
    text: str


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which lines: the last `lines` of those that are not older than `age` and fit the rest; None: all there are."""

    lines: int | None = 100
    age: timedelta | None = None
    errors: bool = False
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class LogPlace:
    """How far a child's logs were read. `now` is the host's clock then, in seconds; the rest are its own cursors."""

    now: float
    log: Json = None
    journal: Json = None


@dataclass(frozen=True, slots=True)
class ChildLog:
    """The lines of a child, the oldest first; or why there are none.

    `is_cut`: there are more than a host tells at once, and the older ones are left out. `unknown` are the references of
    its secrets that could not be resolved, so that only their looks could be searched for.
    """

    child: str
    lines: tuple[LogLine, ...] = ()
    place: LogPlace | None = None
    is_cut: bool = False
    unknown: tuple[str, ...] = ()
    problem: str = ""
    advice: str = ""
