"""What a plan, a prune and a restore promise of memories is what comes of it: each was once otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.model import Policy
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.unit.test_rollouts import linked

OLD: Final = "2026.9.6"
NEW: Final = "2026.9.7"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    made = CommandLine(FakeFleet(state, ("alice", "bob")).applied(), capsys)
    made.world.host("alice").gateway.remember("DOG")
    return made


def stems(fleet: CommandLine, child: str = "alice") -> list[str]:
    return [backup.id for backup in fleet.world.client().keeper().kept(child).backups]


def test_a_copy_that_a_drill_has_found_damaged_pushes_out_no_good_one(fleet: CommandLine) -> None:
    """`keep: 1` removed the only whole copy, and kept the one of which the fleet knew that it is none."""
    world = fleet.world
    fleet("backup", "create", "alice")
    world.clock.sleep(3600)
    fleet("backup", "create", "alice")
    [newest] = sorted((world.vault / "demo/alice").glob("*.age"))[-1:]
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(bytes(content))
    before = stems(fleet)
    assert fleet("drill", "alice").code != 0
    world.change("alice", backup=replace(world.specs["alice"].backup, keep=1))
    assert fleet("backup", "prune", "alice").code == 0
    assert sorted(stems(fleet)) == sorted(before)
    del world.cloud.by_id[world.server("alice").id]
    assert fleet("restore", "alice", "--from", min(before), "--yes").code == 0
    assert world.host("alice").gateway.memory == ["DOG"]


def test_which_backups_were_removed_and_by_whom_is_in_the_journal(fleet: CommandLine) -> None:
    for _ in range(3):
        fleet("backup", "create", "alice")
        fleet.world.clock.sleep(3600)
    there = stems(fleet)
    fleet.world.change("alice", backup=replace(fleet.world.specs["alice"].backup, keep=1))
    assert fleet("backup", "prune", "alice").code == 0
    noted = [it.fields for it in fleet.world.events() if it.event == "backup-removed"]
    assert {it["backup"] for it in noted} == set(there) - set(stems(fleet)) != set()
    assert all(it["by"] for it in noted)


def test_what_was_restored_on_a_higher_version_stays_there(fleet: CommandLine) -> None:
    """The next apply went down to an older state, and out of the gateway went what had been restored."""
    world = fleet.world
    world.change("alice", version=NEW)
    fleet("apply", "--yes")
    world.clock.sleep(60)
    world.host("alice").gateway.remember("CAT")
    fleet("backup", "create", "alice")
    world.clock.sleep(60)
    fleet("rollback", "alice", "--yes")
    world.change("alice", version=OLD)
    fleet("apply", "--yes")
    assert (linked(world.host("alice")), world.host("alice").gateway.memory) == (OLD, ["DOG"])
    world.clock.sleep(60)
    [later] = [it.id for it in world.client().keeper().kept("alice").backups if it.version == NEW]
    said = fleet("restore", "alice", "--from", later, "--yes")
    assert f"it stays at {NEW} until the fleet file says so: {OLD} is held back" in said.out, said
    fleet("apply", "--yes")
    assert (linked(world.host("alice")), world.host("alice").gateway.memory) == (NEW, ["DOG", "CAT"])
    world.change("alice", version=NEW)
    assert fleet("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("words", [("drill", "bob"), ("wake", "alice", "--yes"), ("restore", "bob", "--yes")])
def test_a_policy_of_versions_locks_out_nobody_who_slept(fleet: CommandLine, words: tuple[str, ...]) -> None:
    """The file named no such version, and no next step was said."""
    world = fleet.world
    fleet("backup", "create", "bob")
    fleet("hibernate", "alice", "--yes")
    world.policy = Policy(versions=(NEW,))
    for name in world.names:
        world.change(name, version=NEW)
    said = fleet(*words)
    assert (said.code, "does not allow version" in said.err + said.out) == (0, False), said


def test_a_clock_that_was_ahead_keeps_no_backup_from_being_due(fleet: CommandLine) -> None:
    world = fleet.world
    world.change("bob", backup=replace(world.specs["bob"].backup, every=timedelta(days=1)))
    host = world.host("bob")
    right = host.now
    host.now = lambda: right() + 400 * 86400
    assert fleet("backup", "due").code == 0
    host.now = right
    world.clock.sleep(2 * 86400)
    before = len(stems(fleet, "bob"))
    assert fleet("backup", "due").code == 0
    assert len(stems(fleet, "bob")) == before + 1


@pytest.mark.parametrize("claims", ["abc", 5, {"databases": {"x": {"t": float("inf")}}}, {"databases": {"x": 5}}])
def test_what_a_host_says_of_its_memory_breaks_nothing(fleet: CommandLine, claims: Any) -> None:
    fleet.world.host("alice").claims = claims
    for words in (("backup", "create", "alice"), ("backup", "list"), ("drill", "alice")):
        said = fleet(*words)
        assert "this is a bug in fleet" not in said.err + said.out, said


SECRETS: Final = ("sk-ant-api03-" + "q" * 40, "password=planted-and-long-1")


def written(fleet: CommandLine) -> Iterator[str]:
    yield str([event.fields for event in fleet.world.events()])
    for words in (("plan",), ("plan", "--json"), ("checkpoints", "--json"), ("journal",)):
        yield fleet(*words).out
    fleet("backup", "create", "alice")
    yield "".join(path.read_text() for path in (fleet.world.vault / "demo/alice").glob("*.json"))


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_why_a_version_is_held(fleet: CommandLine, secret: str) -> None:
    """The reason comes into the plan, the journal and the note of each backup, which is not sealed."""
    fleet.world.change("alice", version=NEW)
    fleet.world.host("alice").fails = [("make the switch", CommandFailed(f"it says {secret}"))] * 3
    fleet("apply", "--yes")
    value = secret.rpartition("=")[2]
    assert [text for text in written(fleet) if value in text] == []


def test_a_rebuild_says_that_there_is_no_backup_to_begin_with(fleet: CommandLine) -> None:
    """It promised the newest one, and `backup: to` was another by then."""
    world = fleet.world
    fleet("backup", "create", "--all")
    for name in world.names:
        world.change(name, backup=replace(world.specs[name].backup, to="elsewhere"))
    world.dialer.silent[world.server("alice").id] = HostTimedOut("no answer")
    said = fleet("rebuild", "alice", "--no-backup", "alice")
    assert "its new server begins without a memory" in said.out, said
    del world.cloud.by_id[world.server("bob").id]
    said = fleet("plan")
    assert "bob will be made without a memory: backups of it were made from here" in said.out, said
