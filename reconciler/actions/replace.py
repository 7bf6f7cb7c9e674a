"""Make a child another server and delete the one it has, for what no server can change. Only where that is allowed.

The new one comes first, and the old gateway answers until its memory moves: steps/replacing.py.
"""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_locked_out, is_off, is_protected, shall_run
from reconciler.model import Child, Kind, Reason, ReasonCode, Situation
from reconciler.offers import needs_new_server
from reconciler.steps import PREPARE, PUT, Step
from reconciler.steps.memory import ensure_memory, ensure_movable
from reconciler.steps.replacing import ensure_handed_over, ensure_retired, ensure_successor
from reconciler.steps.reshape import ensure_renamed
from reconciler.steps.versions import pinned, way_down

KIND: Final = Kind.REPLACE
SYMBOL: Final = "-/+"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = (
    Step("rename", ensure_renamed),  # what has succeeded another has its name first, or there would be two successors
    Step("movable", ensure_movable),
    Step("new server", ensure_successor),
    *PREPARE,
    Step("hand over", ensure_handed_over),
    Step("memory", ensure_memory),
    Step("retire", ensure_retired),
    *PUT,
)
NOTES: Final = (
    "the new server is made first, so the project needs room for one more; the address changes",
    "nobody answers while it takes over: half a minute, and some minutes for each GB of memory",
    "the old server goes when the new one is proven",
)


def reason(child: Child, situation: Situation) -> Reason | None:
    """The file says what only another server can have, or a person asks; allowed, and not protected against."""
    if not shall_run(child, situation) or not situation.options.may_replace(child.name):
        return None
    is_moved = child.name not in situation.options.without_copy
    if is_moved and (is_locked_out(child) or _goes_down(child) or _starts_first(child)):
        return None
    if child.server is None or child.retired:
        return None  # one after the other
    changes, is_asked = needs_new_server(child, situation.catalog), child.name in situation.options.rebuild
    if not (changes or is_asked) or is_protected(child):
        return None
    if is_asked:
        return Reason(ReasonCode.ASKED, "asked for on the command line; it gets a new server", changes)
    return Reason(ReasonCode.CHANGED, "only a new server can have what the fleet file says", changes)


def _starts_first(child: Child) -> bool:
    """It is off, and what it knows cannot be copied from there; of an unfinished one its host is asked for that."""
    return is_off(child) and child.facts is None and not child.is_unfinished


def _goes_down(child: Child) -> bool:
    """To the checkpoint of an older version first: that is on its old host alone, and what it knows is of the newer."""
    if child.spec is None or child.facts is None:
        return False
    return way_down(pinned(child.spec, child.facts).version, child.facts) is not None
