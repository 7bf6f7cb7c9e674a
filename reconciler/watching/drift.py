"""What somebody has changed on the host or at the cloud since the last apply."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "drift"
CAUSE: Final = Cause.DRIFTED
_SHOWN: Final = 5


def judge(it: Watched) -> Told:
    if it.facts is None:
        return Told("nobody could ask", is_unknown=True)
    if it.drift:
        more = f" and {len(it.drift) - _SHOWN} more" if len(it.drift) > _SHOWN else ""
        text = f"changed outside: {', '.join(it.drift[:_SHOWN])}{more}"
        return Told(text, CAUSE, "fleet plan {name}, then fleet apply {name}")
    return Told("as it was applied")
