"""Make a child that has no server, or finish one whose first apply did not end."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import shall_run
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation, Sleep
from reconciler.steps import CONVERGE, Step
from reconciler.steps.server import ensure_server

KIND: Final = Kind.CREATE
SYMBOL: Final = "+"
WAVE: Final = 2
STEPS: Final[tuple[Step, ...]] = (Step("server", ensure_server), *CONVERGE)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """Declared and not there; there and never finished."""
    if not shall_run(child, situation):
        return None
    if child.server is None:
        return _absent(child) if child.asleep is None else _given(child, child.asleep)
    if child.is_unfinished and child.retired:
        text = "it was handed over to a new server, and that is not proven yet; if it fails, it goes back"
        return Reason(ReasonCode.UNFINISHED, text)
    if child.is_unfinished:
        return Reason(ReasonCode.UNFINISHED, "its server exists, but the first apply did not finish")
    return None


def _given(child: Child, asleep: Sleep) -> Reason:
    is_its_own = asleep.source in ("", child.name, asleep.noted_as)
    who = "it" if is_its_own else asleep.source
    return Reason(ReasonCode.ASKED, f"it wakes with what {who} remembered: the backup {asleep.backup}")


def _absent(child: Child) -> Reason:
    if child.record is None:
        return Reason(ReasonCode.DECLARED, "new in the fleet file")
    server = f"server {child.record.server_id} was deleted outside since {child.record.at}"
    return Reason(ReasonCode.GONE, f"{server}; what no backup has of its memory went with it")
