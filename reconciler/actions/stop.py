"""Switch off a child that the file keeps and does not want running: `enabled: false`."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import shall_go
from reconciler.model import Child, Kind, Reason, ReasonCode, ServerStatus, Situation
from reconciler.steps import Step
from reconciler.steps.power import ensure_off

KIND: Final = Kind.STOP
SYMBOL: Final = "."
WAVE: Final = 1
STEPS: Final[tuple[Step, ...]] = (Step("power off", ensure_off),)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """Disabled, and its server is not off."""
    if child.spec is None or child.spec.enabled or child.server is None or shall_go(child, situation):
        return None
    if child.server.status is ServerStatus.OFF:
        return None
    return Reason(ReasonCode.DISABLED, "`enabled: false` in the fleet file; its server is switched off and kept")
