"""What a host has kept of before, its checkpoints and what was set aside there, kept off it before its server goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler import commands
from reconciler.commands.switching import NOTES, is_aside_name
from reconciler.errors import CommandFailed, HostError
from reconciler.fleet import former_names
from reconciler.ids import ID_FORMAT, free_id, moment_of
from reconciler.model import Backup, BackupSettings, Checkpoint, Purpose
from reconciler.steps import backups
from reconciler.steps.shelf import Shelf
from reconciler.steps.work import Work, uid_of


def keep_earlier(work: Work, shelf: Shelf, settings: BackupSettings) -> list[Backup]:
    """What a host has kept of before, its checkpoints and what was set aside there, is kept off it, each once.

    Those of its checkpoints, the oldest first. Raises HostError, VaultError.
    """
    facts = work.facts if work.facts is not None else work.look()
    names = (work.name, *former_names(work.fleet, work.name))
    known = [backup for name in names for backup in shelf.of(name)[0]]
    own = [checkpoint for checkpoint in facts.checkpoints if not checkpoint.of]
    found = [_keep_checkpoint(work, checkpoint, known, shelf, settings) for checkpoint in own]
    for name in filter(is_aside_name, facts.asides):
        began, version = moment_of(name[:16]), name[17:].rstrip("+")
        if began is not None:  # of several after one checkpoint each has a time of its own, and another than that
            at = (began + timedelta(seconds=name.count("+"), microseconds=1)).isoformat()
            _keep_earlier(work, name, Checkpoint(name[:16], version, at), known, shelf, settings)
    return found


def _keep_checkpoint(
    work: Work, checkpoint: Checkpoint, known: list[Backup], shelf: Shelf, settings: BackupSettings
) -> Backup:
    """What came as a backup is one already; but what another server had kept of before goes with what that knew."""
    uid = uid_of(work.existing())
    same = (it for it in known if checkpoint.archive and it.digest == checkpoint.archive)
    there = (it for it in same if it.uid == uid or it.purpose is not Purpose.EARLIER)
    return next((backup for backup in there if backups.is_whole(shelf, backup)), None) or _keep_earlier(
        work, checkpoint.id, checkpoint, known, shelf, settings
    )


def _keep_earlier(
    work: Work, kept: str, checkpoint: Checkpoint, known: list[Backup], shelf: Shelf, settings: BackupSettings
) -> Backup:
    """`kept` is its name on the host. Nothing writes there any more, so what is kept of it already is the same."""
    uid, same = uid_of(work.existing()), (checkpoint.version, checkpoint.at)
    there = (it for it in known if it.purpose is Purpose.EARLIER and it.uid == uid and (it.version, it.at) == same)
    if (found := next((backup for backup in there if backups.is_whole(shelf, backup)), None)) is not None:
        return found
    host = work.connection()
    name = free_id(datetime.strptime(checkpoint.id, ID_FORMAT).replace(tzinfo=UTC), shelf.ids(work.name))
    try:
        with backups.archive(host, commands.pack_earlier(kept, checkpoint.version)) as made:
            as_then = {**made, "at": checkpoint.at}
            left = checkpoint.is_left
            return backups.carry(work, host, as_then, shelf, settings, Purpose.EARLIER, name, is_left=left)
    except CommandFailed as error:
        raise HostError(
            f"what its host has kept of before, {kept}, cannot be copied off it: {error.summary}",
            f"if nobody needs it: fleet ssh {work.name}, then take it away from under {NOTES}",
        ) from error
