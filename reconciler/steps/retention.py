"""Which backups of a child are kept, and when another one is due. Pure.

`needed` are those that a mark at the cloud names: a child sleeps or wakes, and has its memory there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from reconciler.model import Backup, BackupSettings


def surplus(
    backups: Iterable[Backup], settings: BackupSettings, now: datetime, needed: Collection[tuple[str, str]] = ()
) -> list[Backup]:
    """Those of one child that are not kept any more: never the newest, nor one that is `needed`, by child and id.

    Forks are counted for themselves.
    """
    ordered = sorted(backups, key=lambda backup: backup.id, reverse=True)
    own, forks = [it for it in ordered if not it.is_fork], [it for it in ordered if it.is_fork]
    aged = settings.max_age
    return [
        backup
        for number, backup in (*enumerate(own), *enumerate(forks))
        if number
        and (backup.child, backup.id) not in needed
        and (number >= settings.keep or (aged is not None and now - datetime.fromisoformat(backup.at) > aged))
    ]


def is_due(backups: Iterable[Backup], settings: BackupSettings, now: datetime) -> bool:
    """Whether the file wants another one by now."""
    newest = max((datetime.fromisoformat(backup.at) for backup in backups if not backup.is_fork), default=None)
    return settings.every is not None and (newest is None or now - newest >= settings.every)
