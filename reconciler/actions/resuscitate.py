"""Bring back a child that is ill: one rung of the ladder. A person asks for it; no plan ever has it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.model import Child, Kind, Reason, Rung, Situation
from reconciler.steps import CONVERGE, PROVE, REACH, Step
from reconciler.steps.gateway import ensure_config
from reconciler.steps.mending import (
    ensure_booted,
    ensure_channels,
    ensure_config_put_back,
    ensure_doctored,
    ensure_port_free,
    ensure_space,
)
from reconciler.steps.reshape import ensure_renamed
from reconciler.steps.rungs import ensure_noted
from reconciler.steps.spares import ensure_others_silent
from reconciler.steps.switching import ensure_pruned

KIND: Final = Kind.RESUSCITATE
SYMBOL: Final = "!"
WAVE: Final = 3
NOTE: Final = Step("count", ensure_noted)
_CONFIG: Final = Step("config", ensure_config)
_BOOT: Final = (Step("silence others", ensure_others_silent), Step("boot", ensure_booted), *REACH, *PROVE)
STEPS_OF: Final[Mapping[Rung, tuple[Step, ...]]] = {
    Rung.CHANNEL: (*REACH, Step("channel", ensure_channels), *PROVE),
    Rung.RESTART: (*REACH, *PROVE),
    Rung.CONFIG: (*REACH, Step("last good", ensure_config_put_back), _CONFIG, *PROVE),
    Rung.DISK: (*REACH, Step("clear", ensure_space), Step("prune", ensure_pruned), *PROVE),
    Rung.PORT: (*REACH, Step("port", ensure_port_free), *PROVE),
    Rung.DOCTOR: (*REACH, Step("doctor", ensure_doctored), _CONFIG, *PROVE),
    Rung.REINSTALL: (Step("rename", ensure_renamed), *CONVERGE),
    Rung.REBOOT: _BOOT,
    Rung.RESET: _BOOT,
}
STEPS: Final[tuple[Step, ...]] = STEPS_OF[Rung.RESTART]
NOTES: Final[tuple[str, ...]] = ()
# Whatever runs after it was started before what is mended here.
RESTARTING: Final = frozenset({Rung.RESTART, Rung.CONFIG, Rung.DISK, Rung.PORT})


def reason(child: Child, situation: Situation) -> Reason | None:
    """It comes from a diagnosis and a person's word, which no plan knows."""
    del child, situation
    return None
