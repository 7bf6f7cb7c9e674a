"""Which backups of a child are kept, and when another one is due. Pure.

`needed` are those that a mark at the cloud names: a child sleeps or wakes, and has its memory there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.model import Backup, BackupSettings, Purpose

ABANDONED: Final = timedelta(days=1)  # after which nobody goes on with what is half there
AHEAD: Final = timedelta(minutes=5)  # a time that is further in the future is of a clock that was wrong


def surplus(
    backups: Iterable[Backup],
    settings: BackupSettings,
    now: datetime,
    needed: Collection[tuple[str, str]] = (),
    doubtful: Collection[str] = (),
) -> list[Backup]:
    """Those of one child that are not kept any more: never the newest, nor one that is `needed`, by child and id.

    What is `doubtful`, by id, for a drill could not be proven with it, counts for nothing: it keeps no other from
    being the newest, and pushes out none.

    Each purpose is counted for itself, and of each server the newest stays until it is too old: who is made anew under
    an old name, however often it is copied, pushes out nothing that only the server before has known.
    """
    ordered, gone = sorted(backups, key=lambda backup: backup.id, reverse=True), list[Backup]()
    for purpose in (it for it in Purpose if it is not Purpose.EARLIER):
        servers = set[str]()
        number = 0
        for backup in (it for it in ordered if it.purpose is purpose):
            is_too_old = settings.max_age is not None and now - datetime.fromisoformat(backup.at) > settings.max_age
            is_too_much = number >= settings.keep and backup.uid in servers
            if number and (is_too_old or is_too_much) and (backup.child, backup.id) not in needed:
                gone.append(backup)
            if backup.id not in doubtful:
                servers.add(backup.uid)
                number += 1
    staying = {it.uid for it in ordered if it.purpose is not Purpose.EARLIER and it not in gone}
    return [*gone, *_of_before(ordered, settings, now, needed, staying)]


def _of_before(
    ordered: list[Backup],
    settings: BackupSettings,
    now: datetime,
    needed: Collection[tuple[str, str]],
    staying: Collection[str],
) -> Iterator[Backup]:
    """What servers had kept of before stays as long as what they knew last: it is old from the beginning."""
    last = dict[str, str]()
    known = {backup.uid for backup in ordered if backup.purpose is not Purpose.EARLIER}
    for backup in ordered:
        last[backup.uid] = max(last.get(backup.uid, ""), backup.at, key=_moment)
    kept = sorted(last, key=lambda uid: _moment(last[uid]), reverse=True)[: settings.keep]
    for backup in ordered:
        age = now - _moment(last[backup.uid])
        is_too_old = settings.max_age is not None and age > settings.max_age
        is_surplus = backup.uid not in staying if backup.uid in known else is_too_old or backup.uid not in kept
        if backup.purpose is Purpose.EARLIER and is_surplus and (backup.child, backup.id) not in needed:
            yield backup


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC)


def left_over(
    halves: Iterable[Backup],
    backups: Iterable[Backup],
    settings: BackupSettings,
    now: datetime,
    needed: Collection[tuple[str, str]] = (),
) -> list[Backup]:
    """Those that are only half there, and would not be kept either if they were whole, among these that are.

    None of the last day: somebody else may be about to write its note.
    """
    halves = [half for half in halves if now - datetime.fromisoformat(half.at) > ABANDONED]
    gone = surplus([*backups, *halves], settings, now, needed)
    return [half for half in halves if half in gone]


def is_due(backups: Iterable[Backup], settings: BackupSettings, now: datetime) -> bool:
    """Whether the file wants another one by now."""
    newest = made_last(backups, now)
    return settings.every is not None and (newest is None or now - newest >= settings.every)


def made_last(backups: Iterable[Backup], now: datetime) -> datetime | None:
    """When the newest of its own was made. One of a time that has not come yet was made by a clock that was wrong."""
    moments = (datetime.fromisoformat(backup.at) for backup in backups if not backup.is_beside)
    return max((at for at in moments if at - now <= AHEAD), default=None)
