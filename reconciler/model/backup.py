"""Backups of a child's memory off its host: where they go, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from reconciler.model.json import Json
from reconciler.model.release import Hold
from reconciler.model.secret import SecretRef


@dataclass(frozen=True, slots=True)
class Bucket:
    """S3-compatible storage. `endpoint` is its URL; names of what is kept there begin with `prefix`."""

    name: str
    endpoint: str
    access_key: SecretRef
    secret_key: SecretRef
    prefix: str = ""
    region: str = "us-east-1"  # what S3-compatible storage takes that has none


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """`to` is a directory, from the fleet file's own, or a bucket; `recipient` an age recipient, None for the fleet's.

    `every` is None where nobody but a person makes any. Older than the newest `keep` they are deleted, and so are those
    older than `max_age`, but for the newest. `rate` is in bytes a second.
    """

    to: str | Bucket = "backups"
    recipient: str | None = None
    every: timedelta | None = None
    keep: int = 7
    max_age: timedelta | None = None
    rate: int = 20_000_000


class Purpose(StrEnum):
    """Why a backup was made. Each is counted for itself where backups are removed, so none pushes another out."""

    COPY = "copy"  # by a person, or by the pass on schedule
    UPDATE = "update"  # before it went to another version
    LAST = "last"  # before its server was deleted for good
    SLEEP = "sleep"  # before it went to sleep: nobody shall make the child a server without it
    FORK = "fork"  # of a server that was to succeed the child's, and was given up
    EARLIER = "earlier"  # what its server had kept of before: a checkpoint, or a state that was set aside


BESIDE: Final = (Purpose.FORK, Purpose.EARLIER)


@dataclass(frozen=True, slots=True)
class Backup:
    """What is known of one without opening it.

    `at` is in ISO 8601 by the host's clock; `digest` and `size` are of the archive, `sealed_digest` and `sealed_size`
    of what is kept. `holds` counts what is in it: rows by database and table, files and digest of the workspace. One
    that is beside the child's memory never stands for it unless a person names it. `held` are the versions that the
    host was brought back from, the last first.
    """

    id: str
    fleet: str
    child: str
    uid: str
    version: str
    at: str
    size: int
    digest: str
    sealed_size: int
    sealed_digest: str
    recipient: str
    holds: Mapping[str, Json] = field(default_factory=dict)
    purpose: Purpose = Purpose.COPY
    held: tuple[Hold, ...] = ()
    is_left: bool = False  # of before: a person had chosen another state instead (Checkpoint)

    @property
    def is_beside(self) -> bool:
        """It is not what the child knew last, whenever it was kept."""
        return self.purpose in BESIDE


@dataclass(frozen=True, slots=True)
class Sleep:
    """A child sleeps, without a server, until it is given the backup with this id of `source`: itself, or another.

    `backup` is empty where nobody can tell any more which one that is. `noted_as` is the name by which the fleet has a
    note of it, the child's own or a former one; empty where only the copy tells.
    """

    backup: str
    source: str
    is_waking: bool = False  # it shall have a server again
    noted_as: str = ""


@dataclass(frozen=True, slots=True)
class KeptBackups:
    """The backups of one child, the newest first; `problems` is what is wrong with others; `where` they are."""

    backups: tuple[Backup, ...] = ()
    problems: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A backup was restored to a throw-away, and ran there with all it holds, or did not.

    `at` is aware, UTC; `backup` is empty where there was none; `seconds` from the start of the drill to a gateway that
    was proven, or to the failure.
    """

    child: str
    at: datetime
    backup: str
    seconds: int
    is_proven: bool


@dataclass(frozen=True, slots=True)
class Drill:
    """What came of one child's drill: a problem, or none. `age` is of the backup when the drill began, in seconds.

    `left` is why the throw-away's server is still there, if it is.
    """

    child: str
    backup: Backup | None = None
    age: int | None = None
    seconds: int = 0
    problem: str = ""
    advice: str = ""
    left: str = ""

    @property
    def is_proven(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class VerifiedBackup:
    """What a backup was found to be when it was read again: opened as well, where there was a key for that.

    `is_kept`: what lies there is what was kept; None where nobody could tell.
    """

    child: str
    backup: Backup | None  # None where none was found
    is_opened: bool = False
    problem: str = ""
    advice: str = ""
    is_kept: bool | None = True


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """What came of one child: a backup, or why there is none; and the older ones that went for it.

    A backup and a problem: it was made, and what is too old could not be removed. `is_dated`: its host and this machine
    agree about the time.
    """

    child: str
    backup: Backup | None = None
    problem: str = ""
    advice: str = ""
    is_dated: bool = True
    removed: tuple[Backup, ...] = field(default=())
