"""How a fleet is watched: what fleet.yaml says of it, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from reconciler.model.level import Level
from reconciler.model.rungs import Rung
from reconciler.model.secret import SecretRef

WARNING: Final = "warning"  # a kind of `alert_on` beside the healths, which are written in small letters


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time that comes again and again: it begins as `cron` has it in this time zone (IANA), and lasts so long."""

    cron: str
    lasts: timedelta
    timezone: str = "UTC"


class DriftPolicy(StrEnum):
    """What a watch does about what was changed outside."""

    WARN = "warn"
    IGNORE = "ignore"
    FIX = "fix"
    ADOPT = "adopt"


@dataclass(frozen=True, slots=True)
class SelfHelp:
    """How far a watch may go to bring a child back by itself: the highest rung, and how many tries within a day."""

    up_to: Rung = Rung.RESTART
    budget: int = 3


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What of one child is told, and what counts as wrong before a user notices."""

    alert_on: tuple[str, ...] = ("unreachable", "offline", "degraded", WARNING)
    fire_after: int = 3  # passes
    clear_after: int = 2
    disk_mb: int = 500
    inodes: int = 5000
    memory_mb: int = 150
    load: float = 4  # per core
    errors: int = 20  # lines within five minutes
    clock_skew: float = 5  # seconds
    open_ports: tuple[int, ...] = ()
    drill_within: timedelta | None = None
    updates_within: timedelta = timedelta(days=3)
    maintenance: tuple[Maintenance, ...] = ()
    resuscitate: SelfHelp | None = None
    drift: Mapping[str, DriftPolicy] = field(default_factory=dict)  # by patterns of paths

    @property
    def acts_on_drift(self) -> bool:
        """A pass may put some of it back, or write it into the fleet file."""
        return not {DriftPolicy.FIX, DriftPolicy.ADOPT}.isdisjoint(self.drift.values())

    def policy_of(self, path: str) -> DriftPolicy:
        """By the longest pattern that fits; of two as long by the later in the alphabet."""
        fitting = [pattern for pattern in self.drift if fnmatchcase(path, pattern)]
        return self.drift[max(fitting, key=lambda it: (len(it), it))] if fitting else DriftPolicy.WARN


@dataclass(frozen=True, slots=True)
class AlertPlace:
    """Where alerts go. Empty `groups` (patterns): those of all children."""

    url: SecretRef
    levels: tuple[Level, ...] = tuple(Level)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Who is told, and how often by itself a fleet is looked at."""

    interval: timedelta = timedelta(minutes=5)
    to: tuple[AlertPlace, ...] = ()
    ping: SecretRef | None = None
    repeat: timedelta = timedelta(hours=4)
    group_from: int = 3
