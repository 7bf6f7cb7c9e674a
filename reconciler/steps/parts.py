"""The parts of one child's work in progress: what was asked for, and what is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model import Backup, Hold, NewConfig, Rung, Server, Switch

if TYPE_CHECKING:
    from reconciler.steps.backups import Memory
    from reconciler.steps.work import Work


@dataclass(slots=True)
class Asked:
    """What a person wants of one child beside what the file says. A wish that is met is taken back."""

    restore: str | None = None  # the checkpoint to go back to
    hold_afterwards: Hold | None = None  # what the file says and that leads away from
    retries: bool = False  # what is held is tried again
    restarts: bool = False  # its gateway starts anew, whatever it runs with
    reboots: bool = False  # its server boots anew
    config: NewConfig | None = None  # what openclaw.json becomes
    rung: Rung | None = None  # what is tried to bring it back
    without_copy: bool = False  # its memory goes with its server


@dataclass(slots=True)
class Switching:
    """To another version, and back again after a failure: steps/switching.py."""

    under_way: Switch | None = None  # a failure goes back
    has_begun: bool = False  # its host knows of it
    may_switch: Callable[[str], None] = lambda version: None  # raises Refused where another child has failed with it
    archives_before: frozenset[str] | None = None  # ids of what was kept off its host when this began to do so
    failure: str = ""  # what it is undone for, where that does not pass by itself
    is_suspect: bool = False  # the version that it led to may be to blame for that
    held_before: tuple[Hold, ...] = ()  # by its host, before it was brought back


@dataclass(slots=True)
class HealthBefore:
    """How the gateway was before a change that has a way back, for the proof of what comes after: steps/lasting.py."""

    is_healthy: bool = True
    errors: int | None = None  # that it had written in as much time
    model: str = ""  # what the model's provider answered


@dataclass(slots=True)
class Replacing:
    """By another server of the same child: steps/replacing.py."""

    old: Work | None = None  # the server whose place this one takes
    spares: tuple[Server, ...] = ()  # that were to succeed it
    retired: tuple[Server, ...] = ()  # that it has succeeded
    is_handing_over: bool = False  # the gateway before was told to stop
    is_proven: bool = False  # it may stay


@dataclass(slots=True)
class Keeping:
    """Copies of what the child remembers: steps/memory.py and steps/backups.py."""

    memory: Memory | None = None  # what it shall remember when it starts for the first time on a new server
    last_copy: Backup | None = None  # what its server was deleted after
    starts_again: bool = False  # its gateway was stopped for that, and ran before
    copy: str | None = None  # the checkpoint that was made before its state was mended
    has_other_time: bool = False  # its clock and this machine's differ by minutes
