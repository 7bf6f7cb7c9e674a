"""Bring a child's host to what the file says: after a change in the file, or after drift on the host."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Kind, Reason, ReasonCode
from reconciler.steps import CONVERGE, Step
from reconciler.steps.comparison import differences

KIND: Final = Kind.UPDATE
SYMBOL: Final = "~"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = CONVERGE


def reason(child: Child) -> Reason | None:
    """Something managed differs, or the host was never told that it is finished."""
    if child.spec is None or child.facts is None:
        return None
    found = differences(child)
    if not found:
        return _unfinished(child)
    if all(change.drift for change in found):
        return Reason(ReasonCode.DRIFTED, "drift: changed on the host, not in the fleet file", found)
    if any(change.drift for change in found):
        return Reason(ReasonCode.CHANGED, "the fleet file changed, and the host drifted", found)
    return Reason(ReasonCode.CHANGED, "the fleet file or this tool changed", found)


def _unfinished(child: Child) -> Reason | None:
    applied = child.facts.applied if child.facts else None
    if applied is not None and applied.is_finished:
        return None
    return Reason(ReasonCode.UNFINISHED, "the host has no note of a finished apply")
