"""Whose note of a sleep counts for whom: children that were renamed, made anew, given up or lost in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.model import LABEL_PREFIX
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec
from tests.unit.sleepers import CAT, DOG, lose, memory, told

DAY = 24 * 3600


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return told(state, capsys)


@pytest.fixture
def anew(fleet: CommandLine) -> CommandLine:
    """alice sleeps; alba was made anew, and only then did the file say that alba was alice."""
    fleet("hibernate", "alice", "--yes")
    fleet.world.clock.sleep(60)
    fleet.world.specs["alba"] = replace(fleet.world.specs.pop("alice"), name="alba")
    fleet("apply", "--yes")
    fleet.world.host("alba").gateway.remember(CAT)
    fleet.world.moved["alba"] = "alice"
    fleet.world.clock.sleep(60)
    return fleet


def sleeping(world: FakeFleet) -> set[str]:
    prefix = LABEL_PREFIX + "asleep-"
    return {name.removeprefix(prefix) for name in world.cloud.walls["demo"].labels if name.startswith(prefix)}


def forget_labels(world: FakeFleet) -> None:
    firewall = world.cloud.walls["demo"]
    world.cloud.label_firewall(firewall.id, {key: it for key, it in firewall.labels.items() if "asleep" not in key})


def test_an_older_sleep_under_a_former_name_is_not_in_the_way_of_a_newer_backup(anew: CommandLine) -> None:
    anew("backup", "create", "alba")
    lose(anew.world, "alba")
    said = anew("apply", "--yes")
    assert "alba is asleep" not in said.out
    assert (said.code, "alba is not made: alice, as it was, sleeps, and there is a later" in said.out) == (
        1,
        True,
    )
    assert anew("wake", "alba", "--yes").code == 4
    assert anew("restore", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [CAT]
    assert sleeping(anew.world) == {"alice"}


def test_which_of_two_memories_it_is_is_for_a_person_to_say(anew: CommandLine) -> None:
    anew("backup", "create", "alba")
    lose(anew.world, "alba")
    assert anew("restore", "alice", "--to", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [DOG]


def test_a_note_is_not_moved_while_nobody_can_see_a_later_memory(anew: CommandLine) -> None:
    anew("backup", "create", "alba")
    lose(anew.world, "alba")
    place = anew.world.state.parent / "backups"
    place.rename(place.with_name("away"))
    place.write_text("no directory")
    assert anew("apply", "--yes").code == 1
    assert sleeping(anew.world) == {"alice"}
    place.unlink()
    place.with_name("away").rename(place)
    assert anew("restore", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [CAT]


def test_who_has_the_new_name_of_a_sleeper_for_a_namesake_is_not_made_without_a_memory(fleet: CommandLine) -> None:
    fleet.world.specs["alba"] = make_spec("alba", server_type="cpx22")
    fleet("apply", "--yes")
    fleet("hibernate", "alice", "--yes")
    fleet.world.clock.sleep(60)
    del fleet.world.specs["alba"]
    fleet("apply", "--yes")
    fleet.world.move("alice", "alba")
    said = fleet("apply", "--yes")
    assert (said.code, [server.child for server in fleet.world.cloud.by_id.values()]) == (1, ["bob"])
    assert "fleet restore alice --to alba" in said.out
    assert fleet("restore", "alice", "--to", "alba", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]


def test_what_another_runner_has_written_back_puts_nobody_to_sleep(fleet: CommandLine) -> None:
    wall = fleet.world.cloud.walls["demo"]
    fleet("hibernate", "alice", "--yes")
    noted = fleet.world.cloud.walls["demo"].labels
    fleet.world.clock.sleep(60)
    fleet("wake", "alice", "--yes")
    fleet.world.cloud.label_firewall(wall.id, dict(noted))
    said = fleet("apply", "--yes")
    assert (said.code, "hibernate" in said.out, memory(fleet, "alice")) == (0, False, [DOG])
    assert fleet("wake", "alice", "--yes").code == 0
    assert sleeping(fleet.world) == set()


def test_who_was_copied_after_it_was_put_to_sleep_wakes_with_what_a_person_says(fleet: CommandLine) -> None:
    for _ in range(3):
        fleet.world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    fleet("hibernate", "alice", "--yes")
    fleet.world.clock.sleep(60)
    fleet.world.host("alice").gateway.remember(CAT)
    assert fleet("backup", "create", "alice").code == 0
    lose(fleet.world, "alice")
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "there is a later backup of it" in said.err) == (4, True)
    later = said.err.split("--from ")[1].split()[0]
    assert fleet("wake", "alice", "--from", later, "--yes").code == 0
    assert memory(fleet, "alice") == [DOG, CAT]


def test_who_is_to_wake_and_has_no_server_is_not_made_one_to_sleep(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.cloud.fail_next("create_server", CloudUnavailable("503"))
    fleet.world.cloud.fail_next("create_server", CloudUnavailable("503"))
    fleet.world.cloud.fail_next("create_server", CloudUnavailable("503"))
    fleet("wake", "alice", "--yes")
    said = fleet("hibernate", "alice", "--yes")
    assert (said.code, "they are to wake, and have no server yet: alice" in said.err) == (4, True)
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["bob"]


def test_who_was_made_anew_and_never_copied_has_the_memory_of_its_former_name_at_least(anew: CommandLine) -> None:
    lose(anew.world, "alba")
    assert "alba is asleep" in anew("plan").out
    assert anew("wake", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [DOG]
    assert sleeping(anew.world) == set()


def test_who_is_in_the_way_of_its_own_server_does_not_fall_asleep_by_its_former_name(anew: CommandLine) -> None:
    server = anew.world.server("alba")
    stranger = replace(server, labels={})
    anew.world.cloud.by_id[server.id] = stranger
    said = anew("apply", "--yes")
    assert (said.code, "alice sleeps" in said.out) == (1, False)  # nobody can tell yet what alba has
    assert sleeping(anew.world) == {"alice"}
    anew.world.cloud.by_id[server.id] = server
    assert anew("apply", "--yes").code == 0
    assert memory(anew, "alba") == [CAT]


def test_a_sleep_of_its_own_does_not_make_the_one_before_forgotten(anew: CommandLine) -> None:
    assert anew("hibernate", "alba", "--yes").code == 0
    assert sleeping(anew.world) == {"alice", "alba"}
    said = anew("plan")
    assert "alba is asleep" in said.out
    assert "alice sleeps, and alba, as it is called now, has a memory of its own" in said.out
    assert anew("wake", "alba", "--empty", "--yes").code == 0
    assert sleeping(anew.world) == {"alice"}
    assert anew("apply", "--yes").code == 1
    assert anew("wake", "alice", "--empty", "--yes").code == 0
    assert anew("apply", "--yes").code == 0
    assert memory(anew, "alba") == []
    anew.world.clock.sleep(60)
    assert anew("restore", "alice", "--to", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [DOG]


def test_what_nobody_has_given_up_is_kept_however_old_it_is(anew: CommandLine) -> None:
    anew("hibernate", "alba", "--yes")
    assert anew("wake", "alba", "--yes").code == 0
    anew.world.clock.sleep(400 * DAY)
    settings = replace(anew.world.specs["alba"].backup, keep=1, max_age=timedelta(days=30))
    anew.world.change("alba", backup=settings)
    assert anew("backup", "create", "alba").code == 0
    assert ", to sleep" in anew("backup", "list", "alice").out
    anew.world.clock.sleep(60)
    assert anew("restore", "alice", "--to", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [DOG]


def test_an_unfinished_server_of_the_new_name_is_not_put_to_sleep_by_the_note_of_the_old(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.clock.sleep(60)
    fleet.world.specs["alba"] = replace(fleet.world.specs.pop("alice"), name="alba")
    fleet("apply", "--yes")
    server = fleet.world.server("alba")
    unfinished = {**server.labels, f"{LABEL_PREFIX}unfinished": "true"}
    fleet.world.cloud.by_id[server.id] = replace(server, labels=unfinished)
    fleet.world.moved["alba"] = "alice"
    said = fleet("plan")
    assert "was put to sleep, and its server is still there" not in said.out
    assert fleet("apply", "--yes").code == 0
    assert server.id in fleet.world.cloud.by_id
    assert sleeping(fleet.world) == {"alice"}


def test_a_waking_that_was_cut_off_goes_on_under_the_new_name(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.dialer.failing = [("send the archive", HostTimedOut("gone", "again"))] * 3
    assert fleet("wake", "alice", "--yes").code != 0
    fleet.world.move("alice", "alba")
    fleet.world.dialer.failing = []
    assert fleet("apply", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]
    assert sleeping(fleet.world) == set()


def test_a_waking_that_was_cut_off_may_be_taken_back_under_the_new_name(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.dialer.failing = [("send the archive", HostTimedOut("gone", "again"))] * 3
    fleet("wake", "alice", "--yes")
    fleet.world.dialer.failing = []
    fleet.world.move("alice", "alba")
    assert fleet("hibernate", "alba", "--yes").code == 0
    assert sleeping(fleet.world) == {"alba"}
    assert "alice sleeps" not in fleet("plan").out
    assert fleet("wake", "alba", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]


def test_a_pattern_does_not_ask_who_runs_and_is_gone_from_the_file(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    del fleet.world.specs["bob"]
    assert fleet("wake", "*", "--yes").code == 0
    assert memory(fleet, "alice") == [DOG]


def test_a_damaged_newest_of_a_former_name_is_named_too(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    fleet.world.clock.sleep(60)
    fleet("backup", "create", "alice")
    place = fleet.world.state.parent / "backups/demo/alice"
    newest = max(place.glob("*.json"))
    newest.write_text("{}")
    fleet.world.move("alice", "alba")
    said = fleet("restore", "alba", "--yes")
    assert f"the newest backup of alba, {newest.name[:16]}, cannot be read" in said.out + said.err


def test_who_sleeps_and_is_asked_for_by_the_name_that_it_had_is_named(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.move("alice", "alba")
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "alice is called alba in the fleet file now" in said.err) == (4, True)
    assert "fleet wake alba" in said.err
    assert fleet("wake", "alba", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]


def test_a_pattern_that_hits_only_who_is_gone_from_the_file_says_who_that_is(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    del fleet.world.specs["alice"]
    for more in ((), ("--empty",)):
        said = fleet("wake", "ali*", "--yes", *more)
        assert (said.code, "the fleet file does not declare: alice" in said.err) == (4, True)
    assert sleeping(fleet.world) == {"alice"}


def test_giving_up_the_sleep_of_who_is_gone_from_the_file_advises_no_destruction(anew: CommandLine) -> None:
    del anew.world.specs["alba"]
    anew.world.moved.clear()
    for name in ("alba", "alice"):
        forget_labels(anew.world)
        wall = anew.world.cloud.walls["demo"]
        anew.world.cloud.label_firewall(wall.id, {**wall.labels, f"{LABEL_PREFIX}asleep-{name}": "x"})
        said = anew("wake", name, "--empty", "--yes")
        assert (said.code, said.out, sleeping(anew.world)) == (0, "", set())


def test_all_wake_but_who_is_switched_off_in_the_file(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    fleet.world.change("bob", enabled=False)
    said = fleet("wake", "--all", "--yes")
    assert (said.code, "bob sleeps on: the fleet file says `enabled: false` of it." in said.out) == (0, True)
    assert memory(fleet, "alice") == [DOG]
    assert sleeping(fleet.world) == {"bob"}
    again = fleet("wake", "--all", "--yes")
    assert (again.code, again.out.endswith("Nobody else sleeps.\n")) == (0, True)


def test_all_wake_but_who_cannot(fleet: CommandLine) -> None:
    """bob's server was not deleted, and does not answer; then it is gone, and his copy is damaged."""
    fleet("hibernate", "alice", "--yes")
    for _ in range(3):
        fleet.world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    assert fleet("hibernate", "bob", "--yes").code == 1
    fleet.world.clock.sleep(60)
    assert sleeping(fleet.world) == {"alice", "bob"}
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("gone", "again")
    said = fleet("wake", "--all", "--yes")
    assert (said.code, "bob is left out: " in said.out, "What to do: fleet wake bob" in said.out) == (3, True, True)
    assert (memory(fleet, "alice"), sleeping(fleet.world)) == ([DOG], {"bob"})
    again = fleet("wake", "--all", "--yes")
    assert (again.code, "nobody can wake now, and nothing was changed" in again.err) == (4, True)
    assert "bob" in again.err


def test_all_wake_but_whose_copy_is_damaged(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    (sealed,) = (fleet.world.state.parent / "backups/demo/bob").glob("*.age")
    sealed.write_bytes(sealed.read_bytes()[:-1])
    said = fleet("wake", "--all", "--yes")
    assert (said.code, "bob is left out: " in said.out) == (3, True)
    assert (memory(fleet, "alice"), sleeping(fleet.world)) == ([DOG], {"bob"})


def test_a_planted_sleep_of_the_new_name_can_be_given_up(fleet: CommandLine) -> None:
    """alice sleeps, is called alba now, and somebody has planted a note that says alba sleeps, too."""
    fleet("hibernate", "alice", "--yes")
    fleet.world.move("alice", "alba")
    planted = fleet.world.state.parent / "backups/demo/alba/20300101T000000Z-00ff-sleep.json"
    planted.parent.mkdir()
    planted.write_text("{}")
    assert "nobody can tell what its newest backup is" in fleet("plan").out
    assert fleet("wake", "alba", "--empty", "--yes").code == 0
    said = fleet("plan")
    assert (said.code, "alba is asleep" in said.out) == (0, True)
    assert fleet("wake", "alba", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]


def test_who_has_expired_is_not_called_awake(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.change("alice", expires=fleet.world.clock.now())
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "alice cannot wake: the fleet file says `expires` of it" in said.err) == (4, True)
    assert fleet("restore", "alice", "--yes").code == 4


def test_a_damaged_backup_that_is_asked_for_is_there(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    (note,) = (fleet.world.state.parent / "backups/demo/alice").glob("*.json")
    note.write_text("{}")
    number = note.name[:16]
    said = fleet("restore", "alice", "--from", number)
    assert f"backup of alice, {number}, cannot be read" in said.out + said.err


def test_an_older_memory_is_not_taken_for_a_damaged_newest_while_others_cannot_be_listed(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    fleet.world.clock.sleep(60)
    fleet("backup", "create", "alice")
    place = fleet.world.state.parent / "backups/demo"
    sorted((place / "alice").glob("*.json"))[-1].write_text("{}")
    (place / "carl").write_text("no directory")
    said = fleet("restore", "alice", "--yes")
    assert "the newest backup of alice" in said.out + said.err
    assert said.code != 0


@pytest.mark.parametrize("name", ["99991231T235959Z", "99999999T999999Z"])
def test_what_somebody_has_named_like_no_real_time_decides_nothing(fleet: CommandLine, name: str) -> None:
    fleet("hibernate", "alice", "--yes")
    place = fleet.world.state.parent / "backups/demo/alice"
    (place / f"{name}-abc-last.json").write_text("{}")
    (sealed,) = place.glob("*.age")
    sealed.with_suffix(".given-up").write_text("no mac")
    forget_labels(fleet.world)
    assert "alice was put to sleep with its newest backup" in fleet("plan").out
    assert fleet("wake", "alice", "--yes").code == 0
    assert memory(fleet, "alice") == [DOG]


def test_who_slept_here_is_not_made_anew_while_nobody_can_see_its_backups(fleet: CommandLine) -> None:
    """Its record went with its server; what was done from here is known all the same."""
    fleet("hibernate", "alice", "--yes")
    forget_labels(fleet.world)
    place = fleet.world.state.parent / "backups"
    place.rename(place.with_name("elsewhere"))
    place.write_text("no directory")
    assert fleet("apply", "--yes").code == 1
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["bob"]


def test_a_name_that_is_too_long_to_wake_is_told_a_way_that_works(fleet: CommandLine) -> None:
    long = "a" * 50
    fleet.world.specs[long] = make_spec(long, server_type="cpx22")
    fleet("apply", "--yes")
    fleet.world.host(long).gateway.remember(CAT)
    fleet("hibernate", long, "--yes")
    del fleet.world.specs[long]
    fleet.world.specs["new"] = make_spec("new", server_type="cpx22")
    said = fleet("restore", long, "--to", "new", "--yes")
    way = f"make it first: fleet apply new; then give it that memory: fleet restore {long} --to new"
    assert (said.code, way in said.err) == (4, True)
    assert fleet("apply", "--yes").code == 0
    fleet.world.clock.sleep(60)
    assert fleet("restore", long, "--to", "new", "--yes").code == 0
    assert memory(fleet, "new") == [CAT]


def test_a_name_that_is_too_long_for_a_note_gets_its_memory_when_it_is_there(fleet: CommandLine) -> None:
    long = "a" * 57
    fleet.world.specs[long] = make_spec(long, server_type="cpx22")
    fleet("apply", "--yes")
    fleet.world.host(long).gateway.remember(CAT)
    fleet("backup", "create", long)
    lose(fleet.world, long)
    said = fleet("restore", long, "--yes")
    assert (said.code, f"make it first: fleet apply {long}; then give it that memory" in said.err) == (4, True)
    assert fleet("apply", "--yes").code == 0
    fleet.world.clock.sleep(60)
    assert fleet("restore", long, "--yes").code == 0
    assert memory(fleet, long) == [CAT]


def test_what_a_person_has_noted_keeps_who_was_renamed_asleep_and_stays_where_it_is(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    wall = fleet.world.cloud.walls["demo"]
    fleet.world.cloud.label_firewall(wall.id, {**wall.labels, f"{LABEL_PREFIX}asleep-alice": "until.may"})
    fleet.world.move("alice", "alba")
    said = fleet("apply", "--yes")
    assert (said.code, "sleeps on" in said.out, sleeping(fleet.world)) == (0, False, {"alice"})
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["bob"]
    assert fleet("wake", "alba", "--yes").code == 0
    assert memory(fleet, "alba") == [DOG]
    assert sleeping(fleet.world) == set()


def test_what_cannot_be_given_up_is_not_noted_as_given_up(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    place = fleet.world.state.parent / "backups/demo/alice"
    place.rename(place.with_name("away"))
    place.write_text("no directory")
    assert fleet("wake", "alice", "--empty", "--yes").code == 1
    assert sleeping(fleet.world) == {"alice"}
    assert not any(event.event == "sleep-given-up" for event in fleet.world.events())


def test_who_is_known_by_the_copy_of_a_former_name_alone_can_be_given_up(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    fleet.world.move("alice", "alba")
    forget_labels(fleet.world)
    assert "alba was put to sleep with its newest backup" in fleet("apply", "--yes").out
    assert fleet("wake", "alba", "--empty", "--yes").code == 0
    assert fleet("apply", "--yes").code == 0
    assert memory(fleet, "alba") == []


def test_giving_up_what_another_shall_wake_with_leaves_that_one_asleep(fleet: CommandLine) -> None:
    """bob was to wake with the memory of alice, who sleeps herself."""
    fleet("hibernate", "--all", "--yes")
    fleet.world.dialer.failing = [("send the archive", HostTimedOut("gone", "again"))] * 3
    assert fleet("restore", "alice", "--to", "bob", "--yes").code == 1
    fleet.world.dialer.failing = []
    assert fleet("wake", "bob", "--empty", "--yes").code == 0
    forget_labels(fleet.world)
    assert "alice was put to sleep with its newest backup" in fleet("plan").out


def test_a_copy_that_is_removed_leaves_nothing_of_its_having_been_given_up(fleet: CommandLine) -> None:
    for _ in range(2):
        fleet("hibernate", "alice", "--yes")
        fleet("wake", "alice", "--empty", "--yes")
        fleet("apply", "--yes")
        fleet.world.clock.sleep(400 * DAY)
    spec = fleet.world.specs["alice"]
    settings = replace(spec.backup, keep=1, max_age=timedelta(days=30))
    fleet.world.change("alice", backup=settings)
    fleet("backup", "create", "alice")
    place = fleet.world.state.parent / "backups/demo/alice"
    assert {path.name[:16] for path in place.glob("*.given-up")} <= {path.name[:16] for path in place.glob("*.json")}
    assert len(list(place.glob("*.given-up"))) == 1
