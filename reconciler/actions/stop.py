"""Switch off a child that the file keeps and does not want running (`enabled: false`), and keep its server so."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_asleep, shall_go
from reconciler.model import Child, Kind, Reason, ReasonCode, ServerStatus, Situation
from reconciler.steps import Step
from reconciler.steps.comparison import differences_while_off
from reconciler.steps.labels import ensure_labels
from reconciler.steps.power import ensure_off
from reconciler.steps.reshape import ensure_backups, ensure_renamed
from reconciler.steps.spares import ensure_others_silent

KIND: Final = Kind.STOP
SYMBOL: Final = "."
WAVE: Final = 1
STEPS: Final[tuple[Step, ...]] = (
    Step("silence others", ensure_others_silent),
    Step("power off", ensure_off),
    Step("rename", ensure_renamed),
    Step("backups", ensure_backups),
    Step("labels", ensure_labels),
)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """Disabled, and its server is not off; or off, and otherwise not as the file says."""
    if child.spec is None or child.spec.enabled or child.server is None:
        return None
    if shall_go(child, situation) or is_asleep(child):
        return None
    changes = differences_while_off(child)
    if child.server.status is not ServerStatus.OFF:
        text = "`enabled: false` in the fleet file; its server is switched off and kept"
        return Reason(ReasonCode.DISABLED, text, changes)
    if changes:
        return Reason(ReasonCode.CHANGED, "it is off, but its server is not as the fleet file says", changes)
    return None
