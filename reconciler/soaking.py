"""Between two batches of a rollout: whoever has gone over must still be well before the next ones go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.errors import HostError
from reconciler.hindrances import Hindrances
from reconciler.model import Outcome, OutcomeCode, Rollout
from reconciler.parallel import in_parallel
from reconciler.ports import Clock
from reconciler.steps import Work
from reconciler.steps.gateway import unproven
from reconciler.steps.lasting import BAD_LOOKS, LOOK_EVERY


def soaked(
    batch: Sequence[tuple[Work, Outcome]], seconds: int, clock: Clock, hindrances: Hindrances, workers: int
) -> list[Outcome]:
    """Their outcomes after some time: one that is not healthy any more has failed, and counts against its version.

    One whose host does not answer has failed as well, and nobody can tell by what: the next batch waits for a person.
    Neither is brought back: what it was told meanwhile would be lost, so a person decides.
    """
    if any(outcome.code is OutcomeCode.DONE for _, outcome in batch):
        clock.sleep(seconds)

    def look(pair: tuple[Work, Outcome]) -> Outcome:
        work, outcome = pair
        found = _problem(work, clock) if outcome.code is OutcomeCode.DONE else None
        if found is None:
            return outcome
        problem, told = found.text, _count(work, found, f"{seconds} s after its batch", hindrances)
        back = f"to go back, without what it was told since: fleet rollback {work.name}"
        advice = back if found.is_of_version else f"look: fleet diagnose {work.name}"
        error = f"it was healthy, and is not {seconds} s later: {problem}"
        return replace(outcome, code=OutcomeCode.FAILED, error=error, advice="\n".join(filter(None, (advice, told))))

    return in_parallel(look, batch, workers)


def await_forerunners(
    works: Sequence[Work], rollout: Rollout, clock: Clock, hindrances: Hindrances, workers: int
) -> None:
    """Who went over to the version of the first batch in an earlier run has had its soak before that batch begins.

    One that is not healthy counts as if it had failed in this run.
    """
    ages = [age for work in works if (age := _age(work, clock)) is not None and age < rollout.soak]
    if not ages:
        return
    clock.sleep(rollout.soak - min(ages))

    def look(work: Work) -> None:
        if found := _problem(work, clock):
            _count(work, found, "after its batch in an earlier run", hindrances)

    in_parallel(look, works, workers)


def _age(work: Work, clock: Clock) -> float | None:
    """Seconds since its last apply ended; None where nobody can tell."""
    applied = work.facts.applied if work.facts else None
    try:
        return (clock.now() - datetime.fromisoformat(applied.at)).total_seconds() if applied else None
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str
    is_of_version: bool  # else its host does not answer, which says nothing of what runs there


def _count(work: Work, found: _Problem, when: str, hindrances: Hindrances) -> str:
    """What a person has to know about that."""
    work.switching.failure = f"{when}: {found.text}"
    if found.is_of_version:
        return hindrances.quarantine(work, work.declared().version, "soak of its batch")
    hindrances.stumble(work.name, work.switching.failure)
    return ""


def _problem(work: Work, clock: Clock) -> _Problem | None:
    """What each of some looks has found: one may come at a bad moment."""
    found = None
    for number in range(BAD_LOOKS):
        if number:
            clock.sleep(LOOK_EVERY)
        try:
            missing = unproven(work.look().gateway, work.declared().version)
            found = _Problem(missing[0], is_of_version=True) if missing else None
        except HostError as error:
            found = _Problem(error.summary, is_of_version=False)
        finally:
            work.hang_up()
        if found is None:
            break
    return found
