"""Which rungs there are for which cause: every cause is decided about, and the lowest comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.actions.resuscitate import STEPS_OF
from reconciler.diagnosis.ladder import RUNGS, RUNGS_OF, ladder
from reconciler.model import ASKING, Cause, Diagnosis, Rung
from reconciler.steps.rungs import spent, tries_of
from reconciler.watching import CHECKS
from tests.fakes.worlds import NOW, make_server

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
# The cloud's, a person's, a provider's; or an apply's, which makes and finishes what was never there.
BY_A_PERSON: Final = {
    Cause.CLOUD_SILENT, Cause.IDENTITY_IN_DOUBT, Cause.NO_SERVER, Cause.NEVER_FINISHED, Cause.SERVER_BUSY,
    Cause.FIREWALL_CHANGED, Cause.WRONG_HOST_KEY, Cause.BOT_TOKEN_REFUSED, Cause.OTHER_POLLER,
    Cause.MODEL_KEY_REFUSED, Cause.MODEL_SILENT, Cause.UPDATE_UNFINISHED,
    *(check.CAUSE for check in CHECKS), Cause.OWN_NETWORK,  # no outages
}  # fmt: skip


def found(cause: Cause | None) -> Diagnosis:
    return Diagnosis("alice", (), cause)


def test_every_cause_has_rungs_or_is_left_to_a_person() -> None:
    assert set(RUNGS_OF) | BY_A_PERSON == set(Cause)
    assert not set(RUNGS_OF) & BY_A_PERSON


@pytest.mark.parametrize("cause", RUNGS_OF)
def test_the_lowest_rung_comes_first(cause: Cause) -> None:
    rungs = RUNGS_OF[cause]
    assert list(rungs) == sorted(set(rungs), key=RUNGS.index)


def test_every_rung_has_its_steps_and_its_line_in_readme() -> None:
    assert set(STEPS_OF) | ASKING == set(Rung)
    assert [rung for rung in Rung if f"| `{rung}` |" not in README] == []


def test_nothing_is_tried_for_who_is_well() -> None:
    assert ladder(found(None), Rung.REBUILD).rungs == ()


def test_what_was_tried_or_is_spent_or_too_high_is_not_tried() -> None:
    left = ladder(found(Cause.GATEWAY_SILENT), Rung.REBOOT, {Rung.RESTART}, {Rung.DOCTOR})
    assert (left.rungs, left.spent) == ((Rung.REINSTALL, Rung.CHECKPOINT, Rung.REBOOT), (Rung.DOCTOR,))


@pytest.mark.parametrize("cause", [Cause.REFUSES_TO_START, Cause.CONFIG_REFUSED, Cause.STATE_NEWER])
def test_a_start_that_is_refused_is_not_just_tried_again(cause: Cause) -> None:
    assert Rung.RESTART not in RUNGS_OF[cause]


@pytest.mark.parametrize(
    ("label", "tries"),
    [
        ("20261122T090000Z-20261122T093000Z", 2),
        ("20261121T115959Z-20261122T093000Z", 1),  # the first is of another day
        ("20200101T000000Z", 0),
        ("20991231T000000Z", 1),  # of a clock that goes wrong
        ("nonsense", 2),
        ("", 0),
    ],
)
def test_tries_are_counted_for_a_day(label: str, tries: int) -> None:
    server = make_server("alice", labels={"openclaw-deploy/tried-restart": label})
    assert tries_of(server, NOW).get(Rung.RESTART, 0) == tries
    assert (Rung.RESTART in spent(server, NOW)) is (tries >= 2)
