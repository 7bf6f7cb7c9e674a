"""The host's clock against ours: by it tokens, certificates and reminders are right or wrong."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "clock"
CAUSE: Final = Cause.CLOCK_WRONG
_MEND: Final = "fleet exec {name} -- timedatectl\nis systemd-timesyncd there, and let out? is your own clock right?"


def judge(it: Watched) -> Told:
    if it.examined is None:
        return Told("nobody could ask", is_unknown=True)
    skew = it.examined.skew
    if abs(skew) > it.limits.clock_skew:
        return Told(f"its clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}", CAUSE, _MEND)
    return Told("it is right")
