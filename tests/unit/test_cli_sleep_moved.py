"""Whose note of a sleep counts for whom: children that were renamed, made anew, given up or lost in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import LABEL_PREFIX
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

DOG = "my dog is called Bello"
CAT = "my cat is called Tom"
DAY = 24 * 3600


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state).applied()
    world.host("alice").gateway.remember(DOG)
    return CommandLine(world, capsys)


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


def lose(world: FakeFleet, name: str) -> None:
    del world.cloud.by_id[world.server(name).id]


def memory(fleet: CommandLine, name: str) -> list[str]:
    return list(fleet.world.host(name).gateway.memory)


def test_an_older_sleep_under_a_former_name_is_not_in_the_way_of_a_newer_backup(anew: CommandLine) -> None:
    anew("backup", "create", "alba")
    lose(anew.world, "alba")
    said = anew("plan")
    assert "alba is asleep" not in said.out
    assert "alba will be made without a memory, and there are backups of it" in said.out
    assert "alice sleeps, and alba, as it is called now, has a memory of its own" in said.out
    assert anew("wake", "alba", "--yes").code == 4
    assert anew("restore", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [CAT]
    assert sleeping(anew.world) == {"alice"}


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
    assert anew("apply", "--yes").code == 1
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
    anew("apply", "--yes")
    assert memory(anew, "alba") == []
    anew.world.clock.sleep(60)
    assert anew("restore", "alice", "--to", "alba", "--yes").code == 0
    assert memory(anew, "alba") == [DOG]


def test_what_nobody_has_given_up_is_kept_however_old_it_is(anew: CommandLine) -> None:
    anew.changes["backup"] = replace(anew.world.fleet().backup, keep=1)
    anew("hibernate", "alba", "--yes")
    assert anew("wake", "alba", "--yes").code == 0
    anew.world.clock.sleep(400 * DAY)
    assert anew("backup", "prune", "alba", "--yes").code in (0, 64)
    assert ", to sleep" in anew("backup", "list", "alice").out


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
        anew.world.cloud.label_firewall(anew.world.cloud.walls["demo"].id, {LABEL_PREFIX + f"asleep-{name}": "x"})
        assert "fleet apply" not in anew("wake", name, "--empty", "--yes").out


def test_all_wake_but_who_is_switched_off_in_the_file(fleet: CommandLine) -> None:
    fleet("hibernate", "--all", "--yes")
    fleet.world.change("bob", enabled=False)
    said = fleet("wake", "--all", "--yes")
    assert (said.code, "bob sleeps on: the fleet file says `enabled: false` of it." in said.out) == (0, True)
    assert memory(fleet, "alice") == [DOG]
    assert sleeping(fleet.world) == {"bob"}
    again = fleet("wake", "--all", "--yes")
    assert (again.code, again.out.endswith("Nobody else sleeps.\n")) == (0, True)


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
