"""How old the newest backup is, where the file says how old it may be."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "backup"
CAUSE: Final = Cause.BACKUP_LATE
LATE: Final = 2  # times the wanted age: one pass that makes them may fail
_MEND: Final = "fleet backup create {name}\ndoes something call `fleet backup due`?"


def judge(it: Watched) -> Told:
    spec = it.case.child.spec
    every = spec.backup.every if spec is not None else None
    if every is None:
        return Told("nobody wants any by the clock")
    if not it.sees_backups:
        return Told("nobody could look where they are kept", is_unknown=True)
    if it.backup_at is None:
        return Told("there is none", CAUSE, _MEND)
    hours = (it.now - it.backup_at).total_seconds() / 3600
    if it.now - it.backup_at > LATE * every:
        return Told(f"the newest is {hours:.0f} h old", CAUSE, _MEND)
    return Told(f"{hours:.0f} h old")
