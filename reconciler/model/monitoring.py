"""How a fleet is watched: what fleet.yaml says of it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from reconciler.model.level import Level
from reconciler.model.secret import SecretRef

WARNING: Final = "warning"  # a kind of `alert_on` beside the healths, which are written in small letters


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time that comes again and again: it begins as `cron` has it in this time zone (IANA), and lasts so long."""

    cron: str
    lasts: timedelta
    timezone: str = "UTC"


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
    maintenance: tuple[Maintenance, ...] = ()


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
