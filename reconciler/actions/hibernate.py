"""Put a child to sleep: its memory is kept, its server goes, and so does its price. `fleet wake` brings it back."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_asleep, is_protected
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation
from reconciler.steps import Step
from reconciler.steps.memory import ensure_asleep, ensure_copy_to_sleep, ensure_still_silent
from reconciler.steps.replacing import ensure_others_gone
from reconciler.steps.server import ensure_deleted
from reconciler.steps.spares import ensure_others_silent

KIND: Final = Kind.HIBERNATE
SYMBOL: Final = "z"
WAVE: Final = 4
STEPS: Final[tuple[Step, ...]] = (
    Step("silence others", ensure_others_silent),
    Step("last copy", ensure_copy_to_sleep),
    Step("asleep", ensure_asleep),  # before its server goes: else the next apply would make it one, without a memory
    Step("other servers", ensure_others_gone),
    Step("still silent", ensure_still_silent),
    Step("delete server", ensure_deleted),
)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """A person asks for it; or somebody has, and its server is still there. Who shall go goes (actions/destroy.py)."""
    if child.spec is None or child.server is None or is_protected(child):
        return None
    if child.name in situation.options.hibernate:
        return Reason(ReasonCode.ASKED, "asked for on the command line; its server is deleted, and its memory kept")
    if is_asleep(child):
        return Reason(ReasonCode.UNFINISHED, "it was put to sleep, and its server is still there")
    return None
