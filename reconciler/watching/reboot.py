"""An update that waits for the host to boot anew."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "reboot"
CAUSE: Final = Cause.REBOOT_DUE


def judge(it: Watched) -> Told:
    if it.examined is None:
        return Told("nobody could ask", is_unknown=True)
    if it.examined.reboot_due:
        return Told("an update waits for it to boot anew", CAUSE, "fleet reboot {name} --if-required")
    return Told("not asked for")
