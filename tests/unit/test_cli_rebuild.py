"""`fleet rebuild`: a new server for a child that has one, with its memory, or with its newest backup."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import FleetError, HostTimedOut
from reconciler.model import Server, ServerRequest
from reconciler.steps.quarantine import mark_of, set_mark
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

DOG, CAT = "my dog is called Bello", "my cat is called Mimi"
OLD, NEW = "2026.9.6", "2026.9.7"
AGAIN: Final = "fleet rebuild alice --no-backup alice"
REBUILD: Final = ("rebuild", "alice", "--no-backup", "alice", "--yes")
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


def everything(fleet: CommandLine) -> str:
    """What all backups of alice know, as far as they open."""
    keeper, texts = fleet.world.client().keeper(), []
    for number, backup in enumerate(keeper.kept("alice").backups):
        opened = fleet.world.state.parent / f"opened {number}"
        with suppress(FleetError):
            keeper.fetch("alice", backup, opened)
            texts.append(opened.read_text())
    return "".join(texts)


def dead(fleet: CommandLine) -> int:
    """Her host answers nobody any more; there is a backup of what she knew."""
    assert fleet("backup", "create", "alice").code == 0
    old = fleet.world.server("alice").id
    fleet.world.dialer.silent[old] = SILENT
    return old


def test_what_a_successor_was_told_is_kept_before_another_takes_its_place(fleet: CommandLine) -> None:
    """It was given up, and somebody had talked to it; then the old host dies as well."""
    fleet.world.dialer.flawed = {OLD: "second start"}
    assert fleet("rebuild", "alice", "--yes").code == 1
    [told] = [server for server in fleet.world.cloud.by_id.values() if server.is_successor]
    fleet.world.dialer.hosts[told.id].gateway.remember(CAT)
    fleet.world.dialer.flawed = {}
    dead(fleet)
    said = fleet(*REBUILD)
    assert (said.code, "what it was told is kept if it answers" in said.out) == (0, True), said
    assert CAT in everything(fleet)


def test_nobody_goes_back_to_a_host_that_does_not_answer(fleet: CommandLine) -> None:
    """The line fails after the new server has taken over: the next apply goes on with that one."""
    dead(fleet)
    fleet.world.dialer.failing = [("restart openclaw-gateway", HostTimedOut("the line is bad"))] * 3
    said = fleet(*REBUILD)
    assert (said.code, "the line is bad" in said.out, "its old server" in said.out) == (1, True, False), said
    assert fleet("apply", "--yes").code == 0
    assert (len(servers(fleet)), memory(fleet)) == (1, [DOG])


def test_a_new_server_that_never_comes_up_is_not_tried_for_ever(fleet: CommandLine) -> None:
    dead(fleet)
    made = fleet.world.cloud.create_server

    def broken(request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        answer = made(request)
        fleet.world.dialer.silent[answer[0].id] = SILENT
        return answer

    fleet.world.cloud.create_server = broken  # type: ignore[method-assign]
    failed, old, new = fleet(*REBUILD), *servers(fleet)
    name = fleet.world.cloud.by_id[new].name
    assert failed.code == 1
    assert f"the new server, {name} ({fleet.world.cloud.by_id[new].address}), is kept, and paid for" in failed.out
    assert f"go on with it: {AGAIN}\n" in failed.out
    planned, listed = fleet("plan"), json.loads(fleet("list", "--json").out)
    assert f"Warning: alice has another server, {name}: it is left of a replacement" in planned.out
    assert f"mend its host, then apply; or go on with that, from its newest backup if any: {AGAIN}\n" in planned.out
    assert [(row["server"]["id"], [it["id"] for it in row["beside"]]) for row in listed[:1]] == [(old, [new])]
    assert f"running, left of a replacement  {new} " in fleet("list").out
    fleet.world.cloud.create_server = made  # type: ignore[method-assign]
    assert fleet(*REBUILD).code == 0
    assert (len(servers(fleet)), memory(fleet)) == (1, [DOG])


def test_a_held_or_quarantined_version_keeps_nobody_from_its_own_memory(fleet: CommandLine) -> None:
    """It is of that version, and another cannot read it."""
    fleet.world.change("alice", version=NEW)
    fleet("apply", "--yes")
    fleet.world.host("alice").gateway.remember(CAT)
    fleet("backup", "create", "alice")
    fleet.world.clock.sleep(60)
    fleet("rollback", "alice", "--yes")
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    set_mark(fleet.world.fleet(), fleet.world.ports(), NEW, mark_of(fleet.world.clock.now(), "bob", "prove healthy"))
    said = fleet(*REBUILD)
    assert said.code == 0, said
    assert (str(fleet.world.host("alice").gateway.version), memory(fleet)) == (NEW, [DOG, CAT])


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
