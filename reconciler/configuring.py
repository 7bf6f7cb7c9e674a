"""Gives a gateway the configuration that a person has written, and the one before again where it is not healthy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Protocol

from reconciler.actions import configure
from reconciler.diff import apply_patch, merge_patch
from reconciler.errors import CloudError, HostError
from reconciler.model import Action, Kind, NewConfig, Outcome, OutcomeCode, Reason, ReasonCode, Secret
from reconciler.planning import Planned
from reconciler.steps.configuring import digest_of, readable


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
        raise HostError(f"{name} does not answer: {child.why_unknown}", f"fleet diagnose {name}")
    before = hands.whole_config(name)
    outcome = _run(hands, planned, name, config)
    if outcome.code is OutcomeCode.DONE:
        return outcome, None
    given = config.content.reveal().encode()
    try:
        now = hands.whole_config(name)
        if configure.WRITE not in dict(outcome.steps) and now != given:  # what is there is somebody else's
            return outcome, None
        again = NewConfig(Secret(_undone(before, given, now).decode()), digest_of(now), puts_back=True)
        return outcome, _run(hands, hands.plan((name,)), name, again)
    except (HostError, CloudError) as error:
        told = f"{error.summary}\nit may have the new one, which is not proven; to take that back: "
        return replace(outcome, advice=f"{outcome.advice}\n{told}fleet config restore {name}".strip()), None


def _undone(before: bytes, given: bytes, now: bytes) -> bytes:
    """The one of before, and with it what somebody else has written since: the gateway itself, say."""
    old, new, there = map(readable, (before, given, now))
    if now == given or not all(isinstance(it, dict) for it in (old, new, there)):
        return before
    return json.dumps(apply_patch(there, merge_patch(new, old)), indent=2).encode()


def _run(hands: Hands, planned: Planned, name: str, config: NewConfig) -> Outcome:
    reason = Reason(ReasonCode.ASKED, "asked for on the command line")
    action = Action(Kind.CONFIGURE, name, reason, configure.WAVE, monthly="0", config=config)
    made = replace(planned.plan, actions=(action,), diagnostics=(), shared=())
    [outcome] = hands.apply(replace(planned, plan=made), 1)
    return outcome
