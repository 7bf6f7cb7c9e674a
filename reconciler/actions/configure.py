"""Give a gateway another configuration than it has. A person asks for it; no plan ever has it by itself."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Kind, Reason, Situation
from reconciler.steps import PROVE, REACH, Step
from reconciler.steps.configuring import ensure_before_kept, ensure_config_given

KIND: Final = Kind.CONFIGURE
SYMBOL: Final = "~"
WAVE: Final = 3
WRITE: Final = "configuration"
STEPS: Final[tuple[Step, ...]] = (
    *(*REACH, Step(WRITE, ensure_config_given), *PROVE),
    Step("keep", ensure_before_kept),
)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """What a person has written, no plan knows."""
    del child, situation
    return None
