"""A configuration that the gateway would not start with the next time, while it runs with the one before."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "next start"
CAUSE: Final = Cause.NEXT_START
_MEND: Final = "fleet config diff {name}\nfleet config restore {name}, or mend it: fleet config edit {name}"


def judge(it: Watched) -> Told:
    problem = it.examined.config_problem if it.examined else None
    if problem is None:
        return Told("nobody could ask", is_unknown=True)
    return Told(problem, CAUSE, _MEND) if problem else Told("it takes its configuration")
