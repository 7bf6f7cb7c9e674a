"""After a failure: the version, the server and the words that a child is left with."""

from __future__ import annotations

from reconciler.commands.switching import PATIENCE
from reconciler.errors import FleetError, HostError, ProofFailed
from reconciler.hindrances import Hindrances
from reconciler.model import Action
from reconciler.redaction import without_secrets
from reconciler.stepping import known, run_step
from reconciler.steps import GO_BACK, Step, Work
from reconciler.steps.holds import forget_hold, noted_on
from reconciler.steps.replacing import ensure_back
from reconciler.steps.versions import is_higher


def bring_back(
    action: Action, work: Work, failure: FleetError, step: str, steps: list[tuple[str, float]], hindrances: Hindrances
) -> FleetError:
    """A switch has failed: the version and the state of before, then everything else that the file says.

    What a person has asked for by hand, nobody does again unasked: so nothing is held for it.
    """
    switching, switch = work.switching, work.switching.under_way
    assert switch is not None
    is_by_hand = action.rollback is not None
    origin, target = switch.origin, switch.target
    # What passes by itself is tried again; whatever else it was, nobody makes its users wait for that again unasked.
    if not failure.temporary and not is_by_hand:
        switching.failure = without_secrets(f"{step}: {failure.summary}", work.secrets)
    # Only of a gateway that did not get healthy anybody can say that its version was to blame.
    has_failed = isinstance(failure, ProofFailed) and switch.is_made and work.health_before.is_healthy
    switching.is_suspect = is_suspect = has_failed and is_higher(target, origin) and not is_by_hand
    told = (
        hindrances.quarantine(work, target, step) if is_suspect else ""
    )  # first: whatever kills us, nobody goes there
    try:
        run_step(GO_BACK[0], work, steps)
    except Exception as error:
        why = known(error)
        within = f"its host goes back by itself in {PATIENCE // 60 + 1} minutes: then `fleet status {work.name}`"
        return HostError(failure.summary, lines(f"going back to {origin} did not end: {why.summary}", within, told))
    if work.stays_at is None:
        return HostError(failure.summary, lines(f"its host has heard that it may stay at {target}: apply again", told))
    try:
        for following in GO_BACK[1:]:
            run_step(following, work, steps)
    except Exception as error:
        why = known(error)
        if not is_by_hand:
            told = _acquit(work, target, hindrances)
        ill = f"{work.name} is back at {origin}, and not healthy there either: {why.summary}"
        tried = "" if is_by_hand else f"so {target} is not blamed, and the next apply tries it again"
        return HostError(failure.summary, lines(ill, why.advice, tried, told))
    again = f"apply again: it goes to {target} then"
    if is_by_hand:
        again = "nothing of what was asked for is done: when you know why it failed, ask for it again"
    elif switching.failure or any(held.version == target and not held.is_tried_again for held in noted_on(work)):
        again = f"{target} is not tried again by itself; when you know why it failed: fleet apply --retry {work.name}"
    return HostError(failure.summary, lines(f"{work.name} is back at {origin}, and healthy", again, told))


def hand_back(work: Work, failure: FleetError, steps: list[tuple[str, float]]) -> FleetError:
    """A replacement has failed, and the old server is still there."""
    new = work.existing()
    try:
        run_step(Step("hand back", ensure_back), work, steps)
    except Exception as error:
        why = known(error)
        told = f"its old server does not answer as it did before: {why.summary}"
        return HostError(failure.summary, lines(told, why.advice, go_on(work)))
    kept = f"{work.name} answers on its old server, and the new one, {new.name} ({new.address}), is kept, silent"
    again = "the next apply goes on with it, or deletes it where that is not allowed any more"
    if work.existing().is_told:
        again = "look at it before the next apply: that keeps a copy of what it was told, and deletes it"
    return HostError(failure.summary, lines(failure.advice, kept, again))


def go_on(work: Work) -> str:
    given_up = f"fleet rebuild {work.name} --no-backup {work.name}"
    return f"go on with it: {given_up if work.asked.without_copy else f'fleet apply {work.name}'}"


def _acquit(work: Work, version: str, hindrances: Hindrances) -> str:
    try:
        forget_hold(work, work.switching.held_before)
    except HostError:
        work.note("hold-not-forgotten", version=version)  # it does no harm: --retry ends it
    return hindrances.acquit(work, version) if work.switching.is_suspect else ""


def lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)
