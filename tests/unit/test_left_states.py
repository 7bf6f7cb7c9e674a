"""What a person has left for another state stays on the host: no later update, retry or doctor pushes it out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.commands.switching import CHECKPOINTS
from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.model import Checkpoint, HostFacts, Purpose
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

DOG, CAT = "my dog is called Bello", "my cat is called Mimi"
VERSIONS: Final = ("2026.9.7", "2026.9.8", "2026.9.9")
NEXT: Final = "2026.9.10"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Alice has a backup from the time of the dog, and has been updated as often as checkpoints are kept."""
    made = CommandLine(FakeFleet(state, ("alice",)).applied(), capsys)
    made.world.host("alice").gateway.remember(DOG)
    for version in VERSIONS:
        to(made, version)
    made("backup", "create", "alice")
    made.world.host("alice").gateway.remember(CAT)
    made.world.clock.sleep(3600)
    return made


def to(fleet: CommandLine, version: str) -> None:
    fleet.world.change("alice", version=version)
    assert fleet("apply", "--yes").code == 0
    fleet.world.clock.sleep(3600)


def facts(fleet: CommandLine) -> HostFacts:
    found = fleet.world.client().plan().children["alice"].facts
    assert found is not None
    return found


def is_left(fleet: CommandLine, what: str = CAT) -> bool:
    """On the host, as a checkpoint that a person can go back to."""
    host = fleet.world.host("alice")
    there = [it.id for it in facts(fleet).checkpoints if it.is_left]
    return any(what.encode() in host.content(f"{CHECKPOINTS}/{it}/state.tar") for it in there)


def ways(fleet: CommandLine) -> list[str]:
    return [it.version for it in facts(fleet).checkpoints if not it.is_left]


def test_a_restore_leaves_what_it_said_that_stays(fleet: CommandLine) -> None:
    before = ways(fleet)
    said = fleet("restore", "alice", "--yes")
    assert "what it remembers now stays on its host, as a checkpoint" in said.out
    assert (said.code, fleet.world.host("alice").gateway.memory, ways(fleet)) == (0, [DOG], before)
    assert is_left(fleet)
    assert fleet("plan", "--detailed-exitcode").code == 0  # it is no change that it is there
    [left] = [it.id for it in facts(fleet).checkpoints if it.is_left]
    assert fleet("rollback", "alice", "--to", left, "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == [DOG, CAT]


def test_an_update_after_a_restore_does_not_push_it_out(fleet: CommandLine) -> None:
    fleet("restore", "alice", "--yes")
    for version in (NEXT, "2026.9.11", "2026.9.12", "2026.9.13"):
        to(fleet, version)
    assert (is_left(fleet), len(ways(fleet))) == (True, 3)


def test_an_older_backup_and_the_way_up_again_do_not_push_it_out(fleet: CommandLine) -> None:
    older = next(it.id for it in fleet.world.client().keeper().kept("alice").backups if it.version == "2026.9.6")
    assert fleet("restore", "alice", "--from", older, "--yes").code == 0
    fleet.world.clock.sleep(3600)
    assert fleet("apply", "--yes").code == 0  # to the version of the file
    assert is_left(fleet)


def test_a_rollback_and_a_retry_do_not_push_it_out(fleet: CommandLine) -> None:
    assert fleet("rollback", "alice", "--yes").code == 0
    fleet.world.clock.sleep(3600)
    assert fleet("apply", "--retry", "alice", "--yes").code == 0
    assert is_left(fleet)


def test_restores_push_out_no_way_down_and_are_counted_by_themselves(fleet: CommandLine) -> None:
    before = ways(fleet)
    for _ in range(5):
        assert fleet("restore", "alice", "--yes").code == 0
        fleet.world.clock.sleep(3600)
    assert ways(fleet) == before
    assert sum(it.is_left for it in facts(fleet).checkpoints) == 3


def test_a_version_that_was_given_up_stays_so_where_its_host_is_lost(fleet: CommandLine) -> None:
    fleet("rollback", "alice", "--yes")
    fleet("backup", "create", "alice")
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer within 10 s")
    assert fleet("rebuild", "alice", "--no-backup", "alice", "--yes").code == 0
    assert [held.version for held in facts(fleet).noted] == ["2026.9.9"]
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_who_is_tried_again_while_it_moves_still_holds_the_other_versions(fleet: CommandLine) -> None:
    fleet("rollback", "alice", "--yes")
    host = fleet.world.host("alice")
    host.gateway.flawed = {NEXT: "exits"}
    fleet.world.change("alice", version=NEXT)
    assert fleet("apply", "--yes").code == 1
    fleet("quarantine", "clear", NEXT)
    fleet.world.change("alice", regions=("hel1",), version="2026.9.9")
    said = fleet("apply", "--retry", "alice", "--allow-replace", "alice", "--yes")
    assert (said.code, "the apply after this one brings it to 2026.9.9" in said.out) == (0, True), said
    assert [held.version for held in facts(fleet).noted] == [NEXT]


def test_what_failed_once_counts_whatever_it_is_held_for_since(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.gateway.flawed = {NEXT: "exits"}
    fleet.world.change("alice", version=NEXT)
    assert fleet("apply", "--yes").code == 1
    fleet("quarantine", "clear", NEXT)
    host.fails = [("check for room", CommandFailed("the disk is full"))] * 3
    assert fleet("apply", "--retry", "alice", "--yes").code == 1
    [held] = facts(fleet).noted
    assert (held.version, held.is_suspect) == (NEXT, True)


def test_a_restore_that_fails_holds_nothing_and_says_what_helps(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.flawed = {"2026.9.9": "exits"}
    said = fleet("restore", "alice", "--yes")
    assert said.code == 1
    assert "nothing of what was asked for is done" in said.out or "not healthy there either" in said.out
    assert "--retry" not in said.out
    assert facts(fleet).noted == ()


def test_tries_that_come_to_nothing_leave_nothing_and_push_nothing_out(fleet: CommandLine) -> None:
    fleet("rollback", "alice", "--yes")
    for _ in range(4):
        fleet.world.clock.sleep(3600)
        fleet.world.host("alice").fails = [("make the switch", HostTimedOut("no answer"))] * 3
        assert fleet("restore", "alice", "--yes").code == 1
        fleet.world.clock.sleep(3600)
        fleet("apply", "--yes")
    assert is_left(fleet)
    assert sum(it.is_left for it in facts(fleet).checkpoints) == 1


def test_what_was_left_is_still_that_on_another_server(fleet: CommandLine) -> None:
    fleet("rollback", "alice", "--yes")
    assert fleet("rebuild", "alice", "--yes").code == 0
    assert is_left_by_name(fleet)
    for version in (NEXT, "2026.9.11", "2026.9.12", "2026.9.13"):
        to(fleet, version)
    assert is_left_by_name(fleet)


def is_left_by_name(fleet: CommandLine) -> bool:
    """Once it has come as a backup, what is in it cannot be read here."""
    return [it.version for it in facts(fleet).checkpoints if it.is_left] == ["2026.9.9"]


def test_what_its_server_had_kept_sleeps_as_long_as_it_does(fleet: CommandLine) -> None:
    settings = fleet.world.specs["alice"].backup
    fleet.world.change("alice", backup=replace(settings, max_age=timedelta(days=30)))
    fleet("rollback", "alice", "--yes")
    assert fleet("rebuild", "alice", "--yes").code == 0
    fleet.world.clock.sleep(29 * 86_400)
    assert fleet("hibernate", "alice", "--yes").code == 0
    for days in (2, 60):
        fleet.world.clock.sleep(days * 86_400)
        fleet("backup", "prune", "alice")
        before = fleet.world.client().keeper().kept("alice").backups
        assert {it.version for it in before if it.purpose is Purpose.EARLIER and it.is_left} == {"2026.9.9"}
    assert fleet("wake", "alice", "--yes").code == 0


def test_nobody_goes_back_to_what_another_child_remembers_or_a_person_has_left(state: Path, capsys: Any) -> None:
    world = FakeFleet(state, ("alice", "bob")).applied()
    fleet = CommandLine(world, capsys)
    for version in VERSIONS[:2]:
        for name in world.names:
            world.change(name, version=version)
        fleet("apply", "--yes")
        world.clock.sleep(3600)
    world.host("alice").gateway.remember("a secret of alice's")
    world.host("bob").gateway.remember(CAT)
    fleet("backup", "create", "alice")
    world.host("bob").fails = [("make the switch", HostTimedOut("no answer"))] * 3
    assert fleet("restore", "alice", "--to", "bob", "--yes").code == 1
    assert [it.of for it in seen(world, "bob") if it.of] == []  # it went with what failed
    keeper = world.client().keeper()
    keeper.send("bob", "alice", keeper.find("alice"))  # whoever was killed right after that
    assert [it.of for it in seen(world, "bob") if it.of] == ["alice"]
    assert fleet("rollback", "bob", "--yes").code == 0
    assert "a secret of alice's" not in world.host("bob").gateway.memory
    assert fleet("apply", "--yes").code == 0  # and what is another's goes
    assert [it.of for it in seen(world, "bob") if it.of] == []


def seen(world: FakeFleet, name: str) -> tuple[Checkpoint, ...]:
    found = world.client().plan().children[name].facts
    assert found is not None
    return found.checkpoints


def test_a_second_rollback_goes_further_and_only_by_name_to_what_was_left(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    for version in ("2026.9.8", "2026.9.7"):
        fleet("rollback", "alice", "--yes")
        fleet.world.clock.sleep(3600)
        assert host.links["/opt/openclaw/current"].endswith(version)
    [newest] = [it.id for it in facts(fleet).checkpoints if it.is_left and it.version == "2026.9.9"]
    assert fleet("rollback", "alice", "--to", newest, "--yes").code == 0
    assert host.gateway.memory == [DOG, CAT]


def test_a_restore_that_fails_keeps_nobody_from_its_version(fleet: CommandLine) -> None:
    older = next(it.id for it in fleet.world.client().keeper().kept("alice").backups if it.version == "2026.9.9")
    fleet("rollback", "alice", "--yes")
    fleet.world.clock.sleep(3600)
    fleet.world.host("alice").gateway.flawed = {"2026.9.9": "exits"}
    assert fleet("restore", "alice", "--from", older, "--yes").code == 1
    assert list(fleet.world.client().quarantined()) == []


@pytest.mark.parametrize("verb", ["hibernate", "rebuild", "destroy"])
def test_who_is_protected_is_told_what_was_asked_for(fleet: CommandLine, verb: str) -> None:
    fleet.world.change("alice", protect=True)
    said = fleet(verb, "alice", "--yes")
    assert (said.code, f"apply, then {verb}" in said.err) == (4, True), said
