"""Room on the disk, long before a gateway answers nobody for want of it."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "room"
CAUSE: Final = Cause.DISK_LOW
_MEND: Final = "fleet ssh {name}, then: sudo du -xh / | sort -h | tail\nor a larger server_type, and fleet apply {name}"


def judge(it: Watched) -> Told:
    if it.facts is None:
        return Told("nobody could ask", is_unknown=True)
    there = it.examined.disk_free_mb if it.examined else None
    free = min(it.facts.disk_free_mb, there) if there is not None else it.facts.disk_free_mb
    if free < it.limits.disk_mb:
        return Told(f"{free} MB of its disk are left, less than {it.limits.disk_mb}", CAUSE, _MEND)
    return Told(f"{free} MB are free")
