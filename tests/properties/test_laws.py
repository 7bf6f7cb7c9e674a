"""The laws of the planner in faulty worlds: whatever is unknown, half done, foreign or in doubt.

Hypothesis draws the same worlds in every run, so a failure is found again by running this file.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.extent import FULL
from tests.properties.laws import LAWS
from tests.properties.recipes import Case, cases, every_single_fault

EXAMPLES = 5_000 if FULL else 500


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases)
def test_every_law_holds_in_every_world(case: Case) -> None:
    plan = case.planned()
    for law in LAWS:
        law(case, plan)


def test_every_law_holds_with_every_single_fault() -> None:
    for case in every_single_fault():
        plan = case.planned()
        for law in LAWS:
            law(case, plan)
