"""Restart a gateway that still runs with what was on the host before."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import shall_run
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation
from reconciler.steps import START, Step

KIND: Final = Kind.RESTART
SYMBOL: Final = "!"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = START
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """It started before something it reads was written."""
    if child.facts is None or not shall_run(child, situation) or not child.facts.gateway.stale:
        return None
    what = ", ".join(child.facts.gateway.stale)
    return Reason(ReasonCode.STALE, f"written but not yet running: {what}")
