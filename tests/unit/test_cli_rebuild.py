"""`fleet rebuild`: a new server for a child that has one, with its memory, or with its newest backup."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import HostTimedOut
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

DOG, CAT = "my dog is called Bello", "my cat is called Mimi"
OLD, NEW = "2026.9.6", "2026.9.7"
SILENT: Final = HostTimedOut("no answer within 10 s")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state, ("alice", "bob")).applied()
    world.host("alice").gateway.remember(DOG)
    return CommandLine(world, capsys)


def servers(fleet: CommandLine) -> list[int]:
    return [server.id for server in fleet.world.cloud.by_id.values() if server.child == "alice"]


def memory(fleet: CommandLine) -> list[str]:
    return fleet.world.host("alice").gateway.memory


def test_it_gets_a_new_server_and_knows_what_it_knew(fleet: CommandLine) -> None:
    before = servers(fleet)
    said = fleet("rebuild", "alice", "--yes")
    assert said.code == 0, said
    assert "asked for on the command line; it gets a new server" in said.out
    assert (len(servers(fleet)), servers(fleet) == before, memory(fleet)) == (1, False, [DOG])
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_nobody_is_rebuilt_without_consent_or_a_name(fleet: CommandLine) -> None:
    before = servers(fleet)
    assert (fleet("rebuild", "alice").code, fleet("rebuild", "--yes").code) == (4, 64)
    assert servers(fleet) == before


def test_who_does_not_answer_gets_its_newest_backup_on_the_version_of_that(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    fleet.world.clock.sleep(60)
    fleet.world.host("alice").gateway.remember(CAT)
    fleet.world.change("alice", version=NEW)
    old = fleet.world.server("alice").id
    fleet.world.dialer.silent[old] = SILENT
    said = fleet("rebuild", "alice", "--yes")
    assert (said.code, "--no-backup alice" in said.out) == (4, True), said
    said = fleet("rebuild", "alice", "--no-backup", "alice", "--yes")
    assert said.code == 0, said
    assert "what it remembered at" in said.out
    assert f"on OpenClaw {OLD}" in said.out
    assert (memory(fleet), servers(fleet) == [old], len(servers(fleet))) == ([DOG], False, 1)
    assert fleet("apply", "--yes").code == 0  # and then to what the file says
    assert (str(fleet.world.host("alice").gateway.version), memory(fleet)) == (NEW, [DOG])


def test_without_a_backup_it_starts_anew_and_the_plan_says_so(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    said = fleet("rebuild", "alice", "--no-backup", "alice", "--yes")
    assert (said.code, memory(fleet)) == (0, []), said
    assert "what it remembers is lost for good" in said.out


def test_what_cannot_be_rebuilt_is_named_and_nothing_is_done(fleet: CommandLine) -> None:
    before = servers(fleet)
    fleet.world.change("alice", enabled=False)
    said = fleet("rebuild", "alice", "--yes")
    assert (said.code, "alice is not rebuilt: there is something else to do first, stop" in said.out) == (4, True), said
    fleet.world.change("alice", enabled=True, protect=True)
    said = fleet("rebuild", "alice", "--yes")
    assert (said.code, "protected: alice" in said.err) == (4, True), said
    assert servers(fleet) == before
    said = fleet("rebuild", "bob", "--no-backup", "alice", "--yes")
    assert (said.code, "alice is not among those that are rebuilt" in said.err) == (64, True), said


def test_one_that_fails_leaves_the_old_gateway_and_the_next_apply_takes_the_new_server_away(fleet: CommandLine) -> None:
    before = servers(fleet)
    fleet.world.dialer.flawed = {OLD: "never ready"}
    said = fleet("rebuild", "alice", "--yes")
    assert (said.code, "alice answers on its old server" in said.out) == (1, True), said
    fleet.world.dialer.flawed = {}
    assert fleet("apply", "--yes").code == 0
    assert (servers(fleet), memory(fleet)) == (before, [DOG])
