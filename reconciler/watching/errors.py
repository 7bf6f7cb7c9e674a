"""Errors in a gateway's log, of the last five minutes."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "log"
CAUSE: Final = Cause.LOG_ERRORS
_MEND: Final = "fleet logs {name} --errors --since 10m"


def judge(it: Watched) -> Told:
    errors = it.gateway.errors
    if errors is None:
        return Told("it does not run, or nobody could ask", is_unknown=True)
    if errors > it.limits.errors:
        return Told(f"{errors} errors in its log within five minutes, more than {it.limits.errors}", CAUSE, _MEND)
    return Told(f"{errors} errors within five minutes")
