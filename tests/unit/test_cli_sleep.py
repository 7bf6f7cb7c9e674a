"""`fleet hibernate`, `wake`, `restore`, `destroy --no-backup` and `backup list` as their callers see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.keys import backup_identity, make_key
from tests.fakes.command_line import CommandLine
from tests.fakes.damage import flip_last_byte
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

DOG: Final = "my dog is called Bello"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state).applied()
    world.host("alice").gateway.remember(DOG)
    return CommandLine(world, capsys)


def test_who_means_nobody_puts_nobody_to_sleep(fleet: CommandLine) -> None:
    assert fleet("hibernate").code == 64
    assert fleet("wake").code == 64
    assert fleet("wake", "alice").code == 4


def test_all_sleep_and_all_wake(fleet: CommandLine) -> None:
    assert fleet("hibernate", "--all", "--yes").code == 0
    assert fleet.world.cloud.by_id == {}
    assert fleet("plan", "--detailed-exitcode").code == 0
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.cloud.by_id == {}
    assert fleet("wake", "--all", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == [DOG]
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_nobody_is_woken_who_was_not_asked_for(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    assert fleet("wake", "alice", "--yes").code == 0
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["alice"]


def test_without_consent_nothing_is_noted(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    assert fleet("wake", "alice").code == 4
    assert "bob" in str(fleet.world.cloud.by_id.values())
    assert fleet("plan", "--detailed-exitcode").code == 0  # it still sleeps


def test_an_older_memory_may_be_asked_for(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    (older,) = json.loads(fleet("backup", "list", "alice", "--json").out)["alice"]["backups"]
    fleet.world.clock.sleep(60)
    fleet.world.host("alice").gateway.remember("nonsense")
    fleet("hibernate", "alice", "--yes")
    assert fleet("wake", "--all", "--from", older["id"], "--yes").code == 64
    assert fleet("wake", "alice", "--from", older["id"], "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == [DOG]


def test_machines_are_told_who_woke_and_what_was_given_up(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    said = fleet("wake", "alice", "--yes", "--json")
    told = json.loads(said.out)
    assert (said.code, told["outcomes"][0]["child"], told["outcomes"][0]["done"]) == (0, "alice", True)
    assert json.loads(fleet("wake", "bob", "--empty", "--yes", "--json").out) == {"given_up": ["bob"]}
    assert json.loads(fleet("wake", "--all", "--yes", "--json").out) == {"outcomes": [], "not_begun": []}


def test_machines_are_told_who_is_left_asleep(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    (sealed,) = (fleet.world.state.parent / "backups/demo/bob").glob("*.age")
    flip_last_byte(sealed)
    said = fleet("wake", "--all", "--yes", "--json")
    told = json.loads(said.out)
    assert (said.code, [it["child"] for it in told["outcomes"]], told["not_begun"]) == (3, ["alice"], ["bob"])
    assert "bob is left out" in said.err


def test_a_memory_may_be_given_up(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    assert fleet("wake", "alice", "--empty", "--from", "20260101T000000Z").code == 64
    said = fleet("wake", "alice", "--empty", "--yes")
    assert (said.code, said.out) == (0, "To make them anew, without a memory: fleet apply alice\n")
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == []
    assert ", to sleep" in fleet("backup", "list", "alice").out  # given up is not lost


def forget_labels(world: FakeFleet) -> None:
    """Somebody has deleted the fleet's firewall, or another runner has written over what it did not know."""
    firewall = world.cloud.walls["demo"]
    world.cloud.label_firewall(firewall.id, {key: it for key, it in firewall.labels.items() if "asleep" not in key})


@pytest.mark.parametrize("forget", [forget_labels, lambda world: world.cloud.walls.clear()])
def test_who_sleeps_is_known_by_its_copy_whatever_became_of_the_label(
    fleet: CommandLine, forget: Callable[[FakeFleet], None]
) -> None:
    assert fleet("hibernate", "--all", "--yes").code == 0
    forget(fleet.world)
    said = fleet("apply", "--yes")
    assert said.code == 1
    assert "alice was put to sleep with its newest backup" in said.out
    assert fleet.world.cloud.by_id == {}
    assert fleet("wake", "alice", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == [DOG]
    assert fleet("apply", "--yes").code == 1  # bob sleeps on
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["alice"]


def test_what_is_known_by_its_copy_alone_may_be_given_up_too(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    forget_labels(fleet.world)
    assert fleet("wake", "alice", "--empty", "--yes").code == 0
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == []


def test_who_has_woken_is_not_taken_for_asleep(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet("wake", "alice", "--yes")
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "not asleep: alice" in said.err) == (4, True)


def test_who_sleeps_and_has_moved_sleeps_on_when_the_file_forgets_that_it_has(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.move("alice", "alba")
    said = fleet("apply", "--yes")
    assert (said.code, "alba, that was alice, sleeps on under its new name." in said.out) == (0, True)
    assert "that was alice" not in fleet("apply", "--yes").out
    fleet.world.moved = {}
    assert fleet("plan", "--detailed-exitcode").code == 0
    assert fleet("wake", "alba", "--yes").code == 0
    assert fleet.world.host("alba").gateway.memory == [DOG]


def test_who_sleeps_and_is_in_the_file_no_more_is_said_and_can_be_given_up(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    spec = fleet.world.specs.pop("alice")
    said = fleet("plan")
    assert (said.code, "alice sleeps, and the fleet file does not declare it" in said.out) == (0, True)
    assert fleet("wake", "alice", "--yes").code == 4
    assert fleet("wake", "--all", "--yes").out == "Nobody sleeps.\n"
    fleet.world.specs["alice"] = spec
    assert "does not declare" not in fleet("plan").out
    del fleet.world.specs["alice"]
    assert fleet("wake", "alice", "--empty", "--yes").code == 0
    assert "sleeps" not in fleet("plan").out


def hide_backups(world: FakeFleet) -> None:
    backups = world.state.parent / "backups"
    backups.rename(backups.with_name("away"))
    backups.write_text("what is mounted there is not")


def test_who_may_have_backups_that_nobody_can_see_is_not_made_in_silence(fleet: CommandLine) -> None:
    fleet("destroy", "alice", "--yes")
    del fleet.world.specs["alice"]
    hide_backups(fleet.world)
    fleet.world.specs["carol"] = make_spec("carol", server_type="cpx22")
    said = fleet("plan")
    assert said.code == 0
    assert "carol will be made without a memory, and nobody can tell whether there are backups of it" in said.out
    assert "Not a directory" in said.out


def test_who_was_there_before_and_has_no_server_is_not_made_while_nobody_can_see_its_backups(
    fleet: CommandLine,
) -> None:
    fleet("backup", "create", "alice")
    del fleet.world.cloud.by_id[fleet.world.server("alice").id]
    hide_backups(fleet.world)
    assert fleet("apply", "--yes").code == 1
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["bob"]


def test_nobody_is_called_awake_while_nobody_can_see_who_sleeps(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    forget_labels(fleet.world)
    hide_backups(fleet.world)
    for words in (("wake", "alice", "--yes"), ("wake", "--all", "--yes")):
        said = fleet(*words)
        assert (said.code, "Not a directory" in said.err) == (1, True)


@pytest.mark.parametrize("before", [("hibernate", "alice", "--yes"), ("destroy", "alice", "--yes")])
def test_a_waking_that_was_cut_off_and_forgotten_makes_nobody_empty_in_silence(
    fleet: CommandLine, before: tuple[str, ...]
) -> None:
    fleet(*before)
    fleet.world.dialer.failing = [("send the archive", HostTimedOut("gone", "again"))] * 3
    assert fleet("restore", "alice", "--yes").code == 1
    fleet.world.dialer.failing = []
    forget_labels(fleet.world)
    said = fleet("plan")
    assert "may have no memory yet, and there are backups of it" in said.out
    if before[0] == "hibernate":
        assert fleet("wake", "alice", "--yes").code == 0
        assert fleet.world.host("alice").gateway.memory == [DOG]


def test_who_was_made_anew_under_a_new_name_does_not_fall_asleep_by_its_old_one(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.specs["alba"] = fleet.world.specs.pop("alice")
    fleet("apply", "--yes")
    fleet.world.host("alba").gateway.remember("my cat is called Tom")
    fleet.world.moved["alba"] = "alice"
    said = fleet("apply", "--yes")
    assert (said.code, "No changes" in said.out) == (0, True)
    assert "alice sleeps, and alba, as it is called now, has a memory of its own" in said.out
    fleet.world.clock.sleep(60)
    assert fleet("restore", "alice", "--to", "alba", "--yes").code == 0
    assert fleet.world.host("alba").gateway.memory == [DOG]


@pytest.mark.parametrize("damage", ["sealed", "note", "gone"])
def test_a_memory_that_is_damaged_can_be_given_up(fleet: CommandLine, damage: str) -> None:
    fleet("hibernate", "alice", "--yes")
    (sealed,) = (fleet.world.state.parent / "backups/demo/alice").glob("*.age")
    (note,) = (fleet.world.state.parent / "backups/demo/alice").glob("*.json")
    if damage == "gone":
        sealed.unlink()
    else:
        (sealed if damage == "sealed" else note).write_text("{}")
    assert fleet("wake", "alice", "--yes").code in (1, 4)
    assert fleet("wake", "alice", "--empty", "--yes").code == 0
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == []
    assert any(event.event == "sleep-given-up" for event in fleet.world.events())


def test_who_is_put_to_sleep_again_after_it_was_given_up_sleeps(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet("wake", "alice", "--empty", "--yes")
    fleet("apply", "--yes")
    fleet.world.clock.sleep(60)
    fleet("hibernate", "alice", "--yes")
    forget_labels(fleet.world)
    assert fleet("apply", "--yes").code == 1


def test_the_note_of_a_sleeper_moves_with_consent_and_for_who_was_asked_for(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.move("alice", "alba")
    fleet.world.change("bob", version="2026.9.7")
    assert fleet("apply").code == 4
    assert "sleeps on" not in fleet("apply", "bob", "--yes").out
    assert "alba, that was alice, sleeps on" in fleet("apply", "--yes").out


def test_one_sleeper_of_a_long_name_is_in_nobodys_way(fleet: CommandLine) -> None:
    long = "a" * 46
    fleet.world.specs[long] = make_spec(long, server_type="cpx22")
    fleet("apply", "--yes")
    fleet("hibernate", long, "--yes")
    fleet.world.move(long, "alba")
    fleet.world.change("bob", version="2026.9.7")
    assert fleet("apply", "--yes").code == 0
    said = fleet("wake", "alba", "--yes")
    assert (said.code, f"fleet wake {long}; and rename it then" in said.err) == (4, True)


def test_who_is_switched_off_in_the_file_is_not_called_awake(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.change("alice", enabled=False)
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "alice cannot wake: the fleet file says `enabled: false` of it" in said.err) == (4, True)


def test_what_has_no_server_because_it_sleeps_is_told_so(fleet: CommandLine, tmp_path: Path) -> None:
    fleet("hibernate", "alice", "--yes")
    assert "it sleeps: fleet wake alice" in fleet("backup", "create", "alice").out
    assert "it sleeps: fleet wake alice" in fleet("export", "alice", "--out", str(tmp_path / "out")).err


def test_who_is_named_by_a_glob_is_in_the_file(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    del fleet.world.specs["bob"]
    assert fleet("wake", "*", "--yes").code == 0
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["alice"]


def test_a_restore_by_a_glob_means_its_child(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    fleet.world.clock.sleep(60)
    assert fleet("restore", "ali*", "--yes").code == 0


@pytest.mark.parametrize("changed", ["expires", "enabled"])
def test_who_shall_have_no_server_is_no_error_for_its_sleep(fleet: CommandLine, changed: str) -> None:
    fleet("hibernate", "alice", "--yes")
    forget_labels(fleet.world)
    assert fleet("plan").code == 1
    fleet.world.change("alice", **{changed: fleet.world.clock.now() if changed == "expires" else False})
    assert fleet("plan").code == 0


def test_giving_up_a_sleep_whose_server_was_never_deleted_does_not_promise_a_new_one(fleet: CommandLine) -> None:
    for _ in range(3):
        fleet.world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    fleet("hibernate", "alice", "--yes")
    said = fleet("wake", "alice", "--empty", "--yes")
    assert said.out == "They go on with the servers that they still have: fleet apply alice\n"


def test_a_host_that_is_silent_cannot_be_put_to_sleep_and_is_told_how_it_goes(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer")
    said = fleet("hibernate", "alice", "--yes")
    assert "fleet destroy alice --no-backup alice" in said.out + said.err
    assert fleet("destroy", "alice", "--no-backup", "alice", "--yes").code == 0


def test_a_damaged_backup_wakes_nobody_and_leaves_all_as_it_is(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    (sealed,) = (fleet.world.state.parent / "backups/demo/alice").glob("*.age")
    flip_last_byte(sealed)
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "is damaged" in said.err) == (1, True)
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_another_child_may_be_made_with_the_memory_of_one_that_is_gone(fleet: CommandLine) -> None:
    del fleet.world.specs["alice"]
    assert fleet("apply", "--yes").code == 0
    fleet.world.specs["carol"] = make_spec("carol", server_type="cpx22")
    assert fleet("restore", "alice", "--to", "carol", "--yes").code == 0
    assert fleet.world.host("carol").gateway.memory == [DOG]
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_who_is_gone_from_the_file_is_listed_verified_and_fetched(fleet: CommandLine, tmp_path: Path) -> None:
    del fleet.world.specs["alice"]
    fleet("apply", "--yes")
    assert [*json.loads(fleet("backup", "list", "--json").out)] == ["alice", "bob"]
    assert "opens, and is what its host has made" in fleet("backup", "verify", "alice").out
    assert fleet("backup", "fetch", "alice", "--out", str(tmp_path / "alice.tar.gz")).code == 0
    assert DOG in (tmp_path / "alice.tar.gz").read_text()
    assert fleet("backup", "list", "alise").code == 64


def test_machines_are_told_what_was_backed_up_read_again_and_removed(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    said = fleet("backup", "create", "--all", "--json")
    made = json.loads(said.out)
    assert (said.code, made["alice"]["problem"], made["bob"]["backup"]) == (3, None, None)
    assert "no answer" in made["bob"]["problem"]
    said = fleet("backup", "verify", "--json")
    found = json.loads(said.out)
    about = {
        "backup": made["alice"]["backup"]["id"],
        "is_kept": True,
        "is_opened": True,
        "problem": None,
        "advice": None,
    }
    assert (said.code, found["alice"], found["bob"]["is_kept"]) == (3, about, False)
    assert json.loads(fleet("backup", "prune", "alice", "--json").out) == {"alice": {"removed": []}}


def test_giving_up_a_memory_is_said_by_the_full_name(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer")
    del fleet.world.specs["alice"]
    assert fleet("apply", "--yes").code == 1
    assert fleet("apply", "--yes", "--no-backup", "ali*").code == 64
    assert fleet("apply", "--yes", "--no-backup", "alice").code == 0
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["bob"]


@pytest.mark.parametrize(
    "words", [("restore", "*", "--yes"), ("backup", "fetch", "*", "--out", "all.tar.gz"), ("export", "*", "--out", "a")]
)
def test_what_is_done_for_one_is_not_done_for_several(fleet: CommandLine, words: tuple[str, ...]) -> None:
    fleet("backup", "create", "--all")
    said = fleet(*words)
    assert said.code == 64
    assert "* means 2 children, and this is done for one" in said.err


def test_who_is_not_destroyed_cannot_be_given_up_with_it(fleet: CommandLine) -> None:
    said = fleet("destroy", "alice", "--no-backup", "bob", "--yes")
    assert said.code == 64
    assert "bob is not among those that are destroyed" in said.err
    assert len(fleet.world.cloud.by_id) == 2


def test_who_sleeps_elsewhere_than_the_file_says_now_is_named_long_before_it_shall_wake(
    fleet: CommandLine, tmp_path: Path
) -> None:
    settings = fleet.world.specs["alice"].backup
    fleet("hibernate", "alice", "--yes")
    assert "Warning" not in fleet("plan").out
    fleet.world.change("alice", backup=replace(settings, to=str(tmp_path / "elsewhere")))
    said = fleet("plan")
    assert "Warning: alice sleeps, and its backup 20261122T120006Z is not where the fleet file keeps" in said.out
    refused = fleet("wake", "alice", "--yes")
    assert (refused.code, "where `backup: to` was changed since, put that back for now" in refused.err) == (4, True)
    (tmp_path / "elsewhere").write_text("no directory")
    assert "nobody can see whether its backup 20261122T120006Z is still there" in fleet("plan").out
    fleet.world.change("alice", backup=settings)
    assert "Warning" not in fleet("plan").out
    assert fleet("wake", "alice", "--yes").code == 0
    assert fleet.world.host("alice").gateway.memory == [DOG]


def test_an_identity_of_another_is_no_backup_that_is_lost(fleet: CommandLine, tmp_path: Path) -> None:
    fleet("backup", "create", "alice")
    (tmp_path / "identity").write_text(backup_identity(make_key(bytes(32))).reveal() + "\n")
    (tmp_path / "identity").chmod(0o600)
    said = fleet("backup", "verify", "alice", "--identity", str(tmp_path / "identity"), "--json")
    assert (said.code, json.loads(said.out)["alice"]["is_kept"]) == (1, None), said
