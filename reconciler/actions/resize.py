"""Make a child's server another type. Its disk keeps its size, so there is a way back."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_locked_out, shall_run
from reconciler.model import Change, Child, Kind, Reason, ReasonCode, Situation
from reconciler.offers import resize_target
from reconciler.steps import CONVERGE, Step
from reconciler.steps.comparison import differences_at_cloud, to_mend
from reconciler.steps.notes import to_note
from reconciler.steps.reshape import ensure_renamed, ensure_resized

KIND: Final = Kind.RESIZE
SYMBOL: Final = "~"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = (
    Step("rename", ensure_renamed),
    Step("resize", ensure_resized),
    *CONVERGE,
)
NOTES: Final = ("it is switched off for some minutes; its disk keeps its size",)


def reason(child: Child, situation: Situation) -> Reason | None:
    """Its type is none of those in the file, and one of them can be had that this server can become."""
    if not shall_run(child, situation) or is_locked_out(child) or child.spec is None or child.server is None:
        return None
    target = resize_target(child.server, child.spec, situation.catalog)
    if target is None:
        return None
    change = Change("server_type", child.server.server_type, target)
    return Reason(ReasonCode.CHANGED, "the fleet file wants another type", (change, *_others(child, situation)))


def _others(child: Child, situation: Situation) -> tuple[Change, ...]:
    """What comes with it. Of one that is off only the cloud tells. Another version comes with the apply after it."""
    if child.facts is None:
        return differences_at_cloud(child)
    found = (*to_mend(child, situation), *to_note(child))
    return tuple(change for change in found if not change.path.startswith("release."))
