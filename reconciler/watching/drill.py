"""How long ago a backup was last proven on a throw-away, where the file says how long that may be."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "drill"
CAUSE: Final = Cause.DRILL_LATE


def judge(it: Watched) -> Told:
    within = it.limits.drill_within
    if within is None:
        return Told("nobody wants any by the clock")
    if not it.sees_backups:
        return Told("nobody could look where they are kept", is_unknown=True)
    if it.proven_at is None:
        return Told("no restore was ever proven", CAUSE, "fleet drill {name}")
    days = (it.now - it.proven_at).days
    if it.now - it.proven_at > within:
        return Told(f"the last proven restore is {days} days ago", CAUSE, "fleet drill {name}")
    return Told(f"{days} days ago")
