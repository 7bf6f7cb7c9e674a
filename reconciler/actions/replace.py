"""Delete a child's server and make another, for what no server can change. Only where a person allowed it."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_locked_out, is_protected, shall_run
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation
from reconciler.offers import needs_new_server
from reconciler.steps import CONVERGE, Step
from reconciler.steps.memory import ensure_last_copy, ensure_movable, ensure_moving
from reconciler.steps.server import ensure_replaceable, ensure_server

KIND: Final = Kind.REPLACE
SYMBOL: Final = "-/+"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = (
    Step("movable", ensure_movable),
    Step("last copy", ensure_last_copy),
    Step("moving", ensure_moving),
    Step("delete server", ensure_replaceable),
    Step("server", ensure_server),
    *CONVERGE,
)
NOTES: Final = ("the server and its address are gone for good",)


def reason(child: Child, situation: Situation) -> Reason | None:
    """The file says what only another server can have, it is allowed, and nobody protects this one."""
    if not shall_run(child, situation) or is_locked_out(child) or not situation.options.may_replace(child.name):
        return None
    changes = needs_new_server(child, situation.catalog)
    if not changes or is_protected(child):
        return None
    return Reason(ReasonCode.CHANGED, "only a new server can have what the fleet file says", changes)
