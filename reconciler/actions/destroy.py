"""Delete the server of a child that is no longer in the file."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Kind, Reason, ReasonCode
from reconciler.steps import Step
from reconciler.steps.server import ensure_deleted

KIND: Final = Kind.DESTROY
SYMBOL: Final = "-"
WAVE: Final = 4
STEPS: Final[tuple[Step, ...]] = (Step("delete server", ensure_deleted),)


def reason(child: Child) -> Reason | None:
    """A server of ours whose child nobody declares."""
    if child.spec is not None or child.server is None:
        return None
    return Reason(ReasonCode.REMOVED, "no longer in the fleet file; its server and the memory on it are deleted")
