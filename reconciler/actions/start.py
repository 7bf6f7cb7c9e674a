"""Start what is declared and does not run: the gateway's unit, or the whole server."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import shall_run
from reconciler.model import Child, GatewayFacts, Kind, Reason, ReasonCode, ServerStatus, Situation
from reconciler.steps import START, Step

KIND: Final = Kind.START
SYMBOL: Final = ">"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = START
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """The server is off, or the unit is."""
    if child.server is None or not shall_run(child, situation):
        return None
    if child.server.status is ServerStatus.OFF:
        return Reason(ReasonCode.STOPPED, "the server is off")
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
