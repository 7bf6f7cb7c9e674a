"""Start what is declared and does not run: the gateway's unit, or the whole server.

Of a server that is off nobody knows what lies on its host, so the action that powers it on also brings it to the file:
else it would run as it was left, with users who have gone from the file and a bot that another child has by now.
"""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_off, shall_run
from reconciler.model import Child, GatewayFacts, Kind, Reason, ReasonCode, Situation
from reconciler.steps import CONVERGE, START, Step
from reconciler.steps.comparison import differences_at_cloud
from reconciler.steps.reshape import ensure_renamed

KIND: Final = Kind.START
SYMBOL: Final = ">"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = START  # of a unit
STEPS_OF_SERVER: Final[tuple[Step, ...]] = (Step("rename", ensure_renamed), *CONVERGE)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """The server is off, or the unit is."""
    if child.server is None or not shall_run(child, situation):
        return None
    if is_off(child):
        text = "the server is off; once it is on, it is brought to what the file says"
        return Reason(ReasonCode.STOPPED, text, differences_at_cloud(child))
    if child.facts is None or child.facts.gateway.is_running or _is_starting(child.facts.gateway):
        return None
    return Reason(ReasonCode.STOPPED, f"the gateway does not run: {_state(child)}")


def _is_starting(gateway: GatewayFacts) -> bool:
    """On its way up; not waiting for another try after it has failed."""
    return gateway.active == "activating" and gateway.sub != "auto-restart"


def _state(child: Child) -> str:
    assert child.facts is not None
    gateway = child.facts.gateway
    if gateway.sub == "auto-restart":
        return f"it fails again and again ({gateway.result}, exit {gateway.exit_status})"
    if gateway.active == "failed":
        return f"its unit failed ({gateway.result}, exit {gateway.exit_status})"
    return "its unit was stopped"
