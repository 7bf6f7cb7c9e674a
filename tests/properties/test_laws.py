"""The laws in faulty worlds: whatever is unknown, half done, foreign or in doubt.

Hypothesis draws the same worlds in every run, so a failure is found again by running this file.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.extent import FULL
from tests.properties.subjects import SUBJECTS, Subject

EXAMPLES = 2_500 if FULL else 500


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_law_holds_in_every_world(subject: Subject) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(subject.worlds)
    def holds(world: Any) -> None:
        _check(subject, world)

    holds()


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_law_holds_with_every_single_fault(subject: Subject) -> None:
    for world in subject.every_fault():
        _check(subject, world)


def _check(subject: Subject, world: Any) -> None:
    outcome = subject.outcome(world)
    for law in subject.laws:
        law(world, outcome)
