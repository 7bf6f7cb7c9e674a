"""What one pass of the monitor has found, and how that is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Final

from reconciler.model.alerting import ANSWERS, Quiet, Sighting, Trouble
from reconciler.model.decision import Finding, Health, Sync
from reconciler.model.diagnosis import Diagnosis, SlowLook
from reconciler.model.level import Level

PAGE: Final = 50  # servers of one answer of the cloud


@dataclass(frozen=True, slots=True)
class Seen:
    """How one pass has found a child: `answers` is None where nobody could tell."""

    child: str
    health: str
    cause: str
    text: str
    answers: bool | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Since then a child is called this, for that cause; empty where there is none."""

    child: str
    at: datetime
    health: str
    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class Uptime:
    """Seconds of a span: with and without an answer for its user, and how many nobody knows of."""

    well: float
    ill: float
    unknown: float

    @property
    def share(self) -> float | None:
        """Of what is known; None where nothing is."""
        known = self.well + self.ill
        return self.well / known if known else None


@dataclass(frozen=True, slots=True)
class Measures:
    """What a pass has counted of a child, for curves. None: nobody could tell. Moments are by the host's clock.

    `group`, `region`, `server_type` and `version` (of the running process) are words to choose by, empty if unknown.
    """

    group: str = ""
    region: str = ""
    server_type: str = ""
    version: str = ""
    disk_free: int | None = None  # bytes, where the gateway's state is
    memory_free: int | None = None  # bytes
    load: float | None = None  # of fifteen minutes, per core
    skew: float | None = None  # seconds; positive: its clock is ahead
    up_for: float | None = None  # seconds since the gateway's process was started
    restarts: int | None = None  # by systemd, since somebody started the unit
    errors: int | None = None  # lines of its log, of the last five minutes
    spent: float | None = None  # US dollars this month, where the file has a limit
    activity: float | None = None  # epoch seconds: its channel's last sign of life, the last message in, and out
    inbound: float | None = None
    outbound: float | None = None
    backup: float | None = None  # epoch seconds: when the newest was made, and when one was proven last
    proven: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One child in a pass: `troubles` are all that is wrong, the worst first."""

    child: str
    health: Health
    sync: Sync
    diagnosis: Diagnosis
    findings: tuple[Finding, ...]
    troubles: tuple[Trouble, ...]
    sighting: Sighting
    measures: Measures = Measures()
    drift: tuple[str, ...] = ()  # paths that were changed outside
    is_asleep: bool = False  # nobody shall get an answer from it: it sleeps, or is switched off

    @property
    def answers(self) -> bool | None:
        """Whether its user gets an answer; None where nobody can tell."""
        if self.troubles and self.troubles[0].level is Level.CRITICAL:
            return False
        return None if self.is_asleep or ANSWERS in self.sighting.unknown else True

    @property
    def seen(self) -> Seen:
        """The same as it is remembered."""
        first = self.troubles[0] if self.troubles else None
        cause, text = (str(first.cause), first.text) if first else ("", "")
        return Seen(self.child, str(self.health), cause, text, self.answers)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one look at the fleet has found. `fleet` is what is wrong with all of it at once.

    `everyone` are the children that there are, looked at or not. `kept` is what was asked slowly, for the next pass.
    `looked_up`: so many names were asked for one by one, for they have no server.
    """

    at: datetime
    seconds: float
    rows: tuple[Row, ...] = ()
    fleet: tuple[Trouble, ...] = ()
    everyone: frozenset[str] = frozenset()
    quiets: tuple[Quiet, ...] = ()
    kept: Mapping[str, SlowLook] = field(default_factory=dict)
    looked_up: int = 0

    @property
    def requests(self) -> int:
        """About how many of the cloud's API it took: servers by pages, firewalls, and single names."""
        return ceil(max(1, len(self.rows)) / PAGE) + 1 + self.looked_up

    @property
    def is_blind(self) -> bool:
        """Something is so wrong with all at once that nothing can be said of single ones."""
        return any(it.level is Level.CRITICAL for it in self.fleet)

    @property
    def is_well(self) -> bool:
        return not self.fleet and not any(row.troubles for row in self.rows)
