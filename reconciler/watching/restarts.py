"""A gateway that runs now, and has ended again and again before."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "restarts"
CAUSE: Final = Cause.RESTARTING
MOST: Final = 3  # by systemd, since somebody has started it
LATELY: Final = 600.0  # seconds since the last
_MEND: Final = "why it ended: fleet logs {name} --errors"


def judge(it: Watched) -> Told:
    since = it.examined.up_for if it.examined else None
    if it.facts is None or since is None:
        return Told("it does not run, or nobody could ask", is_unknown=True)
    count = it.gateway.restarts
    if count >= MOST and since < LATELY:
        return Told(f"systemd has started it {count} times again, the last time {since / 60:.0f} min ago", CAUSE, _MEND)
    return Told(f"{count} by systemd")
