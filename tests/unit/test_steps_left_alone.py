"""What was mended again and again is left to a person: by every step, and for as long as its server lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.diff import apply_patch
from reconciler.managed import files
from reconciler.model import Json, OutcomeCode, PlanOptions
from reconciler.steps.repairs import REPAIRS
from tests.fakes.fleets import FakeFleet

THEIRS: Json = {"channels": {"telegram": {"dmPolicy": "open"}}}


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state, ("alice",)).applied()


def contest(world: FakeFleet, change: Callable[[FakeFleet], object]) -> None:
    """It is mended as often as that is done within a day, and then changed once more."""
    for _ in range(REPAIRS):
        change(world)
        assert world.planned() == ["update alice: drifted"]
        world.apply()
    change(world)
    assert world.planned() == []


def open_to_all(world: FakeFleet) -> None:
    world.host("alice").write_config(apply_patch(world.host("alice").config(), THEIRS))


def relabel(world: FakeFleet) -> None:
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "team": "theirs"})


def back_up(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), backups=True))


def mend_other_drift(world: FakeFleet) -> None:
    world.host("alice").files[files.SSHD_PATH].content += b"# theirs\n"
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]


def test_a_new_server_gets_what_was_left_alone_on_the_old_one(world: FakeFleet) -> None:
    wanted = world.host("alice").config()["channels"]["telegram"]["dmPolicy"]
    contest(world, open_to_all)
    world.change("alice", regions=("hel1",))
    assert [outcome.code for outcome in world.apply(options=PlanOptions(allow_replace=True))] == [OutcomeCode.DONE]
    assert world.host("alice").config()["channels"]["telegram"].get("dmPolicy") == wanted
    assert world.planned() == []


def test_a_label_that_is_left_alone_stays_while_other_drift_is_mended(world: FakeFleet) -> None:
    world.change("alice", labels={"team": "blue", "tier": "one"})
    world.apply()
    contest(world, relabel)
    mend_other_drift(world)
    assert (world.server("alice").labels["team"], world.server("alice").labels["tier"]) == ("theirs", "one")
    assert world.planned() == []


def test_backups_that_are_left_alone_stay_while_other_drift_is_mended(world: FakeFleet) -> None:
    contest(world, back_up)
    mend_other_drift(world)
    assert (world.server("alice").backups, world.planned()) == (True, [])
