"""A server that is off may have missed anything: the apply that starts it brings it to the fleet file as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import __version__
from reconciler.errors import HostTimedOut
from reconciler.managed import files
from reconciler.model import AccessPolicy, OutcomeCode, ServerStatus, Users
from tests.fakes.fleets import FakeFleet


@pytest.fixture
def world(state: Path) -> FakeFleet:
    """alice has been let talk to by two users, and is off."""
    world = FakeFleet(state, ("alice",))
    world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (666, 4242), None))
    world.applied().change("alice", enabled=False)
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    return world


def allowed(world: FakeFleet) -> Any:
    return world.host("alice").config()["channels"]["telegram"]["allowFrom"]


def test_who_was_switched_on_again_lets_in_nobody_who_has_gone_from_the_file(world: FakeFleet) -> None:
    world.change("alice", enabled=True, users=Users(AccessPolicy.ALLOWLIST, (4242,), None))
    assert world.planned() == ["start alice: stopped"]
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (allowed(world), world.host("alice").gateway.active) == (["4242"], "active")
    assert world.planned() == []


def test_another_version_comes_after_the_start(world: FakeFleet) -> None:
    world.change("alice", enabled=True, version="2026.10.1")
    assert [str(world.apply()[0].action.kind) for _ in range(2)] == ["start", "update"]
    assert world.planned() == []


def test_so_does_what_the_server_was_called_and_had_at_the_cloud(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.change("alice", enabled=True, backups=True, protect=True, labels={"team": "red"})
    world.move("alice", "alba")
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (world.server("alba").backups, world.server("alba").labels["team"]) == (True, "red")
    assert world.planned() == []


def test_a_start_that_nobody_could_end_is_gone_on_with(world: FakeFleet) -> None:
    world.change("alice", enabled=True, users=Users(AccessPolicy.ALLOWLIST, (4242,), None))
    server = world.server("alice").id
    world.dialer.silent[server] = HostTimedOut("it boots and boots")
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]
    del world.dialer.silent[server]
    assert world.planned() == ["update alice: changed"]
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (allowed(world), world.planned()) == (["4242"], [])


def test_what_a_newer_version_of_this_tool_has_applied_is_not_written_over(world: FakeFleet) -> None:
    """Only now can be seen who was there last."""
    note = world.host("alice").files[files.APPLIED_PATH]
    note.content = note.content.replace(__version__.encode(), b"99.0.0")
    before = note.content
    world.change("alice", enabled=True, users=Users(AccessPolicy.ALLOWLIST, (4242,), None))
    [outcome] = world.apply()
    assert outcome.error == "begin: alice was last applied by version 99.0.0 of this tool, which is newer"
    assert (world.host("alice").content(files.APPLIED_PATH), allowed(world)) == (before, ["666", "4242"])


def test_a_unit_that_was_stopped_is_started_and_nothing_else(world: FakeFleet) -> None:
    """Its host was looked at, so whatever differs is planned as an update."""
    world.change("alice", enabled=True)
    world.apply()
    world.host("alice").gateway.stop()
    assert [[name for name, _ in outcome.steps] for outcome in world.apply()] == [["reach", "start", "prove healthy"]]
