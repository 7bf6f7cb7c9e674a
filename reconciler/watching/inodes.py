"""Inodes, as room on the disk."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "files"
CAUSE: Final = Cause.INODES_LOW
_MEND: Final = "fleet ssh {name}, and remove many small files: sudo du --inodes -x / | sort -n | tail"


def judge(it: Watched) -> Told:
    free = it.examined.inodes_free if it.examined else None
    if free is None:
        return Told("its file system does not count them, or nobody could ask", is_unknown=it.examined is None)
    if free < it.limits.inodes:
        return Told(f"{free} inodes are left, less than {it.limits.inodes}", CAUSE, _MEND)
    return Told(f"{free} are free")
