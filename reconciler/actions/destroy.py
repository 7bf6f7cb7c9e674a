"""Delete the server of a child that is no longer in the file, or whose time in it has come."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import shall_go
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation
from reconciler.steps import Step
from reconciler.steps.memory import ensure_last_copy, ensure_not_waking, ensure_still_silent
from reconciler.steps.replacing import ensure_others_gone
from reconciler.steps.server import ensure_deleted
from reconciler.steps.spares import ensure_others_silent

KIND: Final = Kind.DESTROY
SYMBOL: Final = "-"
WAVE: Final = 4
STEPS: Final[tuple[Step, ...]] = (
    Step("silence others", ensure_others_silent),
    Step("last copy", ensure_last_copy),
    Step("other servers", ensure_others_gone),
    Step("not waking", ensure_not_waking),
    Step("still silent", ensure_still_silent),
    Step("delete server", ensure_deleted),
)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """A server of ours that nobody wants any more."""
    if child.server is None or not shall_go(child, situation):
        return None
    if child.spec is None and child.server.is_throwaway:
        return Reason(ReasonCode.REMOVED, "left by a drill that was cut off, and serves nobody; its server is deleted")
    if child.spec is None or child.spec.expires is None:
        return Reason(ReasonCode.REMOVED, "no longer in the fleet file; its server is deleted")
    when = f"{child.spec.expires:%Y-%m-%d %H:%M} UTC"
    return Reason(ReasonCode.EXPIRED, f"expired on {when}; its server is deleted")
