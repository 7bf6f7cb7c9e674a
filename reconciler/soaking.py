"""Between two batches of a rollout: whoever has gone over must still be well before the next ones go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.errors import HostError
from reconciler.hindrances import Hindrances
from reconciler.model import Outcome, OutcomeCode, Rollout
from reconciler.parallel import in_parallel
from reconciler.ports import Clock
from reconciler.steps import Work
from reconciler.steps.gateway import unproven


def soaked(
    batch: Sequence[tuple[Work, Outcome]], seconds: int, clock: Clock, hindrances: Hindrances, workers: int
) -> list[Outcome]:
    """Their outcomes after some time: one that is not healthy any more has failed, and counts against its version.

    It is not brought back: what it was told meanwhile would be lost, so a person decides.
    """
    if any(outcome.code is OutcomeCode.DONE for _, outcome in batch):
        clock.sleep(seconds)

    def look(pair: tuple[Work, Outcome]) -> Outcome:
        work, outcome = pair
        problem = _problem(work) if outcome.code is OutcomeCode.DONE else ""
        if not problem:
            return outcome
        work.failure = f"{seconds} s after its batch: {problem}"
        told = hindrances.quarantine(work, work.declared().version, "soak of its batch")
        advice = f"to go back, without what it was told since: fleet rollback {work.name}"
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
        if problem := _problem(work):
            work.failure = f"after its batch in an earlier run: {problem}"
            hindrances.quarantine(work, work.declared().version, "soak of its batch")

    in_parallel(look, works, workers)


def _age(work: Work, clock: Clock) -> float | None:
    """Seconds since its last apply ended; None where nobody can tell."""
    applied = work.facts.applied if work.facts else None
    try:
        return (clock.now() - datetime.fromisoformat(applied.at)).total_seconds() if applied else None
    except (ValueError, TypeError):
        return None


def _problem(work: Work) -> str:
    """Who does not answer is not healthy: the next batch waits for a person then, and nobody loses anything."""
    try:
        missing = unproven(work.look().gateway, work.declared().version)
    except HostError as error:
        return error.summary
    finally:
        work.hang_up()
    return missing[0] if missing else ""
