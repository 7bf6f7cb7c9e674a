"""Start what is declared and does not run: the gateway's unit, or the whole server."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Kind, Reason, ReasonCode, ServerStatus
from reconciler.steps import START, Step

KIND: Final = Kind.START
SYMBOL: Final = ">"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = START


def reason(child: Child) -> Reason | None:
    """The server is off, or the unit is."""
    if child.spec is None or child.server is None:
        return None
    if child.server.status is ServerStatus.OFF:
        return Reason(ReasonCode.STOPPED, "the server is off")
    if child.facts is None or child.facts.gateway.is_running or child.facts.gateway.active == "activating":
        return None
    return Reason(ReasonCode.STOPPED, f"the gateway does not run: {_state(child)}")


def _state(child: Child) -> str:
    assert child.facts is not None
    gateway = child.facts.gateway
    if gateway.active == "failed":
        return f"its unit failed ({gateway.result}, exit {gateway.exit_status})"
    return "its unit was stopped"
