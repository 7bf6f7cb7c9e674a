"""What can be done to a child: one module each, with KIND, SYMBOL, WAVE, STEPS, NOTES and
reason(child, situation) -> Reason | None. NOTES is what a person should know before saying yes to any such action.

A new action is one file and one name in ACTIONS. The first whose reason() answers is planned: order is precedence.
"""

from __future__ import annotations

from typing import Final, Protocol

from reconciler.actions import (
    configure,
    create,
    destroy,
    hibernate,
    replace,
    resize,
    restart,
    resuscitate,
    start,
    stop,
    update,
)
from reconciler.actions.conditions import is_off
from reconciler.model import Action, Child, Kind, Reason, Situation
from reconciler.steps import Step


class ActionModule(Protocol):
    """What a module of this package is: modules have no base class, so this is how mypy checks them."""

    @property
    def KIND(self) -> Kind: ...  # noqa: N802
    @property
    def SYMBOL(self) -> str: ...  # noqa: N802
    @property
    def WAVE(self) -> int: ...  # noqa: N802
    @property
    def STEPS(self) -> tuple[Step, ...]: ...  # noqa: N802
    @property
    def NOTES(self) -> tuple[str, ...]: ...  # noqa: N802

    def reason(self, child: Child, situation: Situation) -> Reason | None: ...


ACTIONS: Final[tuple[ActionModule, ...]] = (
    destroy,
    hibernate,
    stop,
    replace,
    create,
    resize,
    update,
    start,
    restart,
    resuscitate,
    configure,
)
MODULE_OF: Final = {module.KIND: module for module in ACTIONS}


def steps_of(action: Action, child: Child) -> tuple[Step, ...]:
    """What the engine runs. A start is of a unit or of a whole server, and these are not the same work."""
    steps = _steps_of_kind(action, child)
    return steps if action.rung is None else (resuscitate.NOTE, *steps)  # counted before it is made


def _steps_of_kind(action: Action, child: Child) -> tuple[Step, ...]:
    if action.kind is Kind.START and is_off(child):
        return start.STEPS_OF_SERVER
    if action.kind is Kind.RESUSCITATE and action.rung is not None:
        return resuscitate.STEPS_OF[action.rung]
    return MODULE_OF[action.kind].STEPS
