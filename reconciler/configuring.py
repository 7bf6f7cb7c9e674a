"""Gives a gateway the configuration that a person has written, and the one before again where it is not healthy."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from reconciler.actions import configure
from reconciler.errors import HostError
from reconciler.model import Action, Kind, NewConfig, Outcome, OutcomeCode, Reason, ReasonCode, Secret
from reconciler.planning import Planned
from reconciler.steps.configuring import digest_of


class Hands(Protocol):
    """What is needed of a fleet. The caller holds its lock."""

    def plan(self, names: tuple[str, ...]) -> Planned: ...

    def whole_config(self, name: str) -> bytes: ...

    def apply(self, planned: Planned, workers: int) -> list[Outcome]: ...


def give(hands: Hands, name: str, config: NewConfig) -> tuple[Outcome, Outcome | None]:
    """How that ended; and how it ended to put the one before back, None where that had not to be.

    Raises HostError, CloudError.
    """
    planned = hands.plan((name,))
    child = planned.children[name]
    if child.facts is None or child.spec is None:
        raise HostError(f"{name} does not answer: {child.silence_detail}", f"fleet diagnose {name}")
    before = hands.whole_config(name)
    outcome = _run(hands, planned, name, config)
    if outcome.code is OutcomeCode.DONE:
        return outcome, None
    now = hands.whole_config(name)
    is_written = configure.WRITE in dict(outcome.steps) or now == config.content.reveal().encode()
    if not is_written:  # what is there is somebody else's
        return outcome, None
    again = NewConfig(Secret(before.decode()), digest_of(now))
    return outcome, _run(hands, hands.plan((name,)), name, again)


def _run(hands: Hands, planned: Planned, name: str, config: NewConfig) -> Outcome:
    reason = Reason(ReasonCode.ASKED, "asked for on the command line")
    action = Action(Kind.CONFIGURE, name, reason, configure.WAVE, monthly="0", config=config)
    made = replace(planned.plan, actions=(action,), diagnostics=(), shared=())
    [outcome] = hands.apply(replace(planned, plan=made), 1)
    return outcome
