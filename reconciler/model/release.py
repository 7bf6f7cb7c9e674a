"""What a host keeps of its versions: copies of the gateway's state, a switch that is on its way, one that went wrong.

A version is a pair: a release, and a copy of the state as that release left it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The whole state of a gateway, copied while it was stopped: the way back to `version`.

    `at` is when it was made, in ISO 8601 by the host's clock; `size` in bytes. `archive` is the digest of the backup's
    archive that it came as, empty where it was taken on this host. `is_left`: a person has chosen another state instead
    of this one, so nothing else may have what is in it. `of` is whose it is, where it is another child's.
    """

    id: str
    version: str
    at: str
    size: int = 0
    archive: str = ""
    is_left: bool = False
    of: str = ""

    @property
    def is_way_back(self) -> bool:
        """By itself, without a person who names it."""
        return not (self.is_left or self.of)


@dataclass(frozen=True, slots=True)
class Switch:
    """A gateway is on its way from one version to another. The host goes back by itself unless it is told to stay.

    `checkpoint` is the id of the copy that it goes back to, `restore` that of the state it goes on with, where that is
    not the present one. `is_made`: the new release is linked, or about to be, so it may have changed the state.
    `is_undone`: the host is going back.
    """

    origin: str
    target: str
    checkpoint: str
    restore: str | None = None
    is_made: bool = False
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class Rollback:
    """A person wants a child back at a checkpoint; `instead_of` is the version that the fleet file gives it.

    `backup_of` names the child whose backup will be that checkpoint, where it is one.
    """

    checkpoint: Checkpoint
    instead_of: str
    backup_of: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A version that this child was brought back from, and why. It is not tried again until a person says so.

    `is_suspect`: it did not get healthy there, so that version may be to blame, also for others. `is_tried_again`: its
    host went back from there by itself, as after any lost connection: once more it may go there.
    """

    version: str
    reason: str
    at: str
    is_suspect: bool = False
    is_tried_again: bool = False
