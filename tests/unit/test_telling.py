"""Who is told, and when, that a gateway goes over to another version."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import AccessPolicy, OutcomeCode, UpdateSettings, Users
from reconciler.sandbox.simulated.pairing import STATE
from tests.fakes.fleets import FakeFleet

SOON: Final = "I am getting an update; back in half a minute."


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice",))
    made.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242, 4343), owner=4242))
    made.applied()
    made.change("alice", update=UpdateSettings(notice=SOON))
    return made


def told(world: FakeFleet) -> list[tuple[int, str]]:
    return world.host("alice").messages


def notices(world: FakeFleet) -> list[object]:
    return [event.fields["arrived"] for event in world.events() if event.event == "notice-sent"]


def test_users_are_told_once_before_another_version_and_the_owner_first(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7")
    world.apply()
    assert told(world) == [(4242, SOON), (4343, SOON)]
    assert notices(world) == [2]
    ran = world.host("alice").ran
    assert ran.index("send a message") < ran.index("begin the switch")


def test_nobody_is_told_of_what_only_restarts(world: FakeFleet) -> None:
    world.change("alice", config={"agents": {"defaults": {"timeoutSeconds": 300}}})
    world.apply()
    assert told(world) == []


def test_nobody_is_told_without_words(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7", update=UpdateSettings())
    world.apply()
    assert (told(world), notices(world)) == ([], [])


def test_who_is_not_known_is_not_told(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7", users=Users(AccessPolicy.PAIRING))
    world.apply()
    assert (told(world), notices(world)) == ([], [])


def let_in(world: FakeFleet, *users: str) -> None:
    host = world.host("alice")
    state = host.read_json(STATE)
    assert isinstance(state, dict)
    host.gateway.write_state({**state, "let_in": [*users]})


def test_who_was_let_in_by_pairing_is_told_where_that_is_how_it_goes(world: FakeFleet) -> None:
    let_in(world, "7007", "4242", "no id", "9" * 30)
    world.change("alice", version="2026.9.7", users=Users(AccessPolicy.PAIRING, owner=4242))
    world.apply()
    assert told(world) == [(4242, SOON), (7007, SOON)]


def test_who_was_let_in_before_and_may_talk_no_more_is_not_told(world: FakeFleet) -> None:
    let_in(world, "7007")
    world.change("alice", version="2026.9.7")
    world.apply()
    assert [user for user, _ in told(world)] == [4242, 4343]


def test_a_notice_that_does_not_arrive_stops_nothing(world: FakeFleet) -> None:
    world.host("alice").fails = [("send a message", HostTimedOut("gone", "again"))]
    world.change("alice", version="2026.9.7")
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.DONE
    assert notices(world) == [0]
