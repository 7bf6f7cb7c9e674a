"""Updates of security that nobody installs."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "updates"
CAUSE: Final = Cause.UPDATES_DUE
STALE: Final = timedelta(days=7)
_MEND: Final = (
    "fleet exec {name} -- sudo apt-get update, then: fleet exec {name} -- sudo apt-get -y upgrade\n"
    "by itself from then on: fleet exec {name} -- sudo apt-get -y install unattended-upgrades"
)


def judge(it: Watched) -> Told:
    slow = it.examined.slow if it.examined else None
    if it.examined is None or slow is None or slow.updates is None or slow.lists_at is None:
        return Told("nobody has asked yet, or could", is_unknown=True)
    age = timedelta(seconds=it.examined.clock - slow.lists_at)
    if age > STALE:
        return Told(f"it has not asked for updates for {age.days} days", CAUSE, _MEND)
    since = timedelta(seconds=it.examined.clock - (slow.updates_since or it.examined.clock))
    if slow.updates and since > it.limits.updates_within:
        return Told(f"{slow.updates} updates of security wait for {since.days} days", CAUSE, _MEND)
    return Told(f"{slow.updates} of security wait" if slow.updates else "none of security waits")
