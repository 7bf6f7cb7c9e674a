"""Memory, before the kernel ends something for want of it; and whether it has."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "free memory"
CAUSE: Final = Cause.MEMORY_LOW
_MEND: Final = "give it a larger server_type in the fleet file, then fleet apply {name}"


def judge(it: Watched) -> Told:
    if it.facts is None:
        return Told("nobody could ask", is_unknown=True)
    free = it.facts.memory_free_mb
    if it.examined is not None and it.examined.killed:
        count = it.examined.killed
        return Told(f"the kernel has ended {count} of the gateway's processes for want of memory", CAUSE, _MEND)
    if free < it.limits.memory_mb:
        return Told(f"{free} MB of its memory are free, less than {it.limits.memory_mb}", CAUSE, _MEND)
    return Told(f"{free} MB are free")
