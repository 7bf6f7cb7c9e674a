"""One step of one child: tried again while what fails passes by itself, timed, and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reconciler.errors import FleetError, place_of
from reconciler.log import get_log
from reconciler.redaction import without_secrets
from reconciler.steps import Step, Work

TRIES: Final = 3
PAUSE: Final = 1.0  # seconds before the second try; doubled each time


def known(error: Exception) -> FleetError:
    return error if isinstance(error, FleetError) else _unforeseen(error)


def _unforeseen(error: Exception) -> FleetError:
    """A bug, at one child."""
    get_log().info("bug", error=place_of(error))
    return FleetError(f"{place_of(error)}: this is a bug in fleet", "run it again, and report it if it stays")


def run_step(step: Step, work: Work, steps: list[tuple[str, float]]) -> None:
    started = work.ports.clock.monotonic()
    acted = _retried(step.ensure, work)
    seconds = work.ports.clock.monotonic() - started
    get_log().info("step-ended", child=work.name, step=step.name, acted=acted, seconds=round(seconds, 3))
    if acted:
        steps.append((step.name, seconds))
        work.ports.progress(work.name, step.name, seconds)


def _retried(ensure: Callable[[Work], bool], work: Work) -> bool:
    for attempt in range(TRIES - 1):
        try:
            return ensure(work)
        except FleetError as error:
            if not error.temporary:
                raise
            get_log().info(
                "step-retried", child=work.name, attempt=attempt + 1, error=without_secrets(error.summary, work.secrets)
            )
            work.hang_up()
            work.ports.clock.sleep(PAUSE * 2**attempt)
    return ensure(work)
