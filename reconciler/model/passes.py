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
class Row:
    """One child in a pass: `troubles` are all that is wrong, the worst first."""

    child: str
    health: Health
    sync: Sync
    diagnosis: Diagnosis
    findings: tuple[Finding, ...]
    troubles: tuple[Trouble, ...]
    sighting: Sighting

    @property
    def seen(self) -> Seen:
        """The same as it is remembered."""
        first = self.troubles[0] if self.troubles else None
        is_out = first is not None and first.level is Level.CRITICAL
        answers = False if is_out else None if ANSWERS in self.sighting.unknown else True
        return Seen(
            self.child, str(self.health), str(first.cause) if first else "", first.text if first else "", answers
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """What one look at the fleet has found. `fleet` is what is wrong with all of it at once.

    `everyone` are the children that there are, looked at or not. `kept` is what was asked slowly, for the next pass.
    """

    at: datetime
    seconds: float
    rows: tuple[Row, ...] = ()
    fleet: tuple[Trouble, ...] = ()
    everyone: frozenset[str] = frozenset()
    quiets: tuple[Quiet, ...] = ()
    kept: Mapping[str, SlowLook] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """About how many of the cloud's API it took: the servers by pages, the firewalls, the catalogue."""
        return ceil(max(1, len(self.rows)) / PAGE) + 2

    @property
    def is_well(self) -> bool:
        return not self.fleet and not any(row.troubles for row in self.rows)
