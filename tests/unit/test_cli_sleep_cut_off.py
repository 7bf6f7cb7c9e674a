"""Going to sleep and waking that were cut off half way, and what a person may ask for then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.api import FleetClient
from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.model import LABEL_PREFIX, Percent, PlanOptions
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec
from tests.unit.sleepers import CAT, DOG, lose, memory, told

FISH = "my fish is called Wanda"
GONE = HostTimedOut("gone", "again")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return told(state, capsys)


@pytest.fixture
def half_asleep(fleet: CommandLine) -> CommandLine:
    """alice was put to sleep, and the cloud did not delete her server."""
    for _ in range(3):
        fleet.world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    assert fleet("hibernate", "alice", "--yes").code == 1
    fleet.world.clock.sleep(60)
    return fleet


@pytest.fixture
def half_awake(fleet: CommandLine) -> CommandLine:
    """alice was woken, her gateway runs with its memory, and the last steps of that have not ended."""
    assert fleet("hibernate", "alice", "--yes").code == 0
    copy = labels(fleet.world)["alice"].partition(".")[0]
    fleet.world.clock.sleep(60)
    assert fleet("wake", "alice", "--yes").code == 0
    unfinish(fleet.world, copy)
    return fleet


def unfinish(world: FakeFleet, copy: str) -> None:
    """The last steps of alice's waking have not ended."""
    server, wall = world.server("alice"), world.cloud.walls["demo"]
    world.cloud.by_id[server.id] = replace(server, labels={**server.labels, f"{LABEL_PREFIX}unfinished": "true"})
    world.cloud.label_firewall(wall.id, {**wall.labels, f"{LABEL_PREFIX}asleep-alice": f"{copy}.w"})
    world.clock.sleep(60)


def labels(world: FakeFleet) -> dict[str, str]:
    prefix = LABEL_PREFIX + "asleep-"
    found = world.cloud.walls["demo"].labels.items()
    return {name.removeprefix(prefix): value for name, value in found if name.startswith(prefix)}


def backups(world: FakeFleet, name: str) -> Path:
    return world.state.parent / "backups/demo" / name


def test_who_wakes_and_is_copied_meanwhile_wakes_with_that(half_awake: CommandLine) -> None:
    assert memory(half_awake, "alice") == [DOG]
    half_awake.world.host("alice").gateway.remember(CAT)
    assert half_awake("backup", "create", "alice").code == 0
    lose(half_awake.world, "alice")
    assert half_awake("apply", "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT]
    assert labels(half_awake.world) == {}


def test_what_was_said_since_that_copy_stays_as_long_as_the_server_does(half_awake: CommandLine) -> None:
    half_awake.world.host("alice").gateway.remember(CAT)
    assert half_awake("backup", "create", "alice").code == 0
    half_awake.world.host("alice").gateway.remember(FISH)
    assert half_awake("apply", "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT, FISH]
    assert labels(half_awake.world) == {}


def test_who_is_half_awake_and_told_to_wake_again_forgets_nothing(half_awake: CommandLine) -> None:
    half_awake.world.host("alice").gateway.remember(CAT)
    assert half_awake("backup", "create", "alice").code == 0
    half_awake.world.host("alice").gateway.remember(FISH)
    assert half_awake("wake", "alice", "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT, FISH]
    assert labels(half_awake.world) == {}


def test_every_copy_of_who_wakes_is_what_it_wakes_with(half_awake: CommandLine) -> None:
    for said in (CAT, FISH):
        half_awake.world.host("alice").gateway.remember(said)
        assert half_awake("backup", "create", "alice").code == 0
        half_awake.world.clock.sleep(60)
    lose(half_awake.world, "alice")
    assert half_awake("apply", "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT, FISH]


def test_a_copy_that_nobody_has_noted_is_asked_for(half_awake: CommandLine) -> None:
    """The operator died between the copy and the note of it, and then the server was lost."""
    before = half_awake.world.cloud.walls["demo"]
    half_awake.world.host("alice").gateway.remember(CAT)
    half_awake("backup", "create", "alice")
    half_awake.world.cloud.label_firewall(before.id, dict(before.labels))
    lose(half_awake.world, "alice")
    said = half_awake("apply", "--yes")
    assert (said.code, "there is a later backup of it" in said.out) == (1, True)
    later = said.out.split("--from ")[1].split()[0]
    assert half_awake("wake", "alice", "--yes").code == 4
    assert half_awake("wake", "alice", "--from", later, "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT]


def test_a_memory_that_a_person_names_is_given_although_it_was_copied_here(fleet: CommandLine) -> None:
    """Half awake and copied; then an older memory was placed; then it shall be the copy after all."""
    fleet("backup", "create", "alice")
    older = max(backups(fleet.world, "alice").glob("*.json")).name[:16]
    fleet.world.clock.sleep(60)
    fleet.world.host("alice").gateway.remember(CAT)
    fleet("hibernate", "alice", "--yes")
    slept = labels(fleet.world)["alice"].partition(".")[0]
    fleet.world.clock.sleep(60)
    fleet("wake", "alice", "--yes")
    unfinish(fleet.world, slept)
    fleet.world.host("alice").gateway.remember(FISH)
    fleet("backup", "create", "alice")
    copy = labels(fleet.world)["alice"].partition(".")[0]
    assert fleet("wake", "alice", "--from", older, "--yes").code == 0
    assert memory(fleet, "alice") == [DOG]
    unfinish(fleet.world, older)
    assert fleet("wake", "alice", "--from", copy, "--yes").code == 0
    assert memory(fleet, "alice") == [DOG, CAT, FISH]


@pytest.mark.parametrize("state_of_server", ["on", "off"])
@pytest.mark.parametrize("version", ["2026.9.6", "2026.9.7"])
def test_who_was_never_deleted_is_given_nothing(fleet: CommandLine, state_of_server: str, version: str) -> None:
    """Another runner has written back the note of an earlier sleep, and a person ends that by a waking."""
    fleet("hibernate", "alice", "--yes")
    stale = fleet.world.cloud.walls["demo"]
    fleet.world.clock.sleep(60)
    fleet("wake", "alice", "--yes")
    fleet.world.host("alice").gateway.remember(CAT)
    fleet.world.clock.sleep(60)
    fleet("hibernate", "alice", "--yes")
    fleet("wake", "alice", "--yes")
    fleet.world.cloud.label_firewall(stale.id, dict(stale.labels))
    fleet.world.change("alice", version=version)
    if state_of_server == "off":
        fleet.world.cloud.power_off(fleet.world.server("alice").id)
    assert fleet("wake", "alice", "--yes").code == 0
    assert fleet("apply", "--yes").code == 0
    assert (memory(fleet, "alice"), labels(fleet.world)) == ([DOG, CAT], {})


@pytest.mark.parametrize("last", ["retire", "start", "prove healthy"])
def test_what_was_handed_over_is_not_replaced_by_what_was_to_wake(half_awake: CommandLine, last: str) -> None:
    world, dead = half_awake.world, list[str]()
    world.host("alice").gateway.remember(CAT)
    world.change("alice", regions=("hel1",))

    def progress(child: str, step: str, seconds: float) -> None:
        if dead or step == last:
            dead.append(step)
            raise KeyboardInterrupt

    client = FleetClient(world.fleet(), replace(world.ports(), progress=progress))
    with pytest.raises(KeyboardInterrupt):
        client.apply(client.plan(options=PlanOptions(allow_replace=frozenset({"alice"}))), workers=1)
    world.clock.sleep(60)
    assert half_awake("apply", "--yes").code == 0
    assert memory(half_awake, "alice") == [DOG, CAT]


def test_a_waking_that_is_taken_back_wakes_with_its_own_memory_if_that_is_asked_for(fleet: CommandLine) -> None:
    fleet.world.host("bob").gateway.remember(CAT)
    fleet("backup", "create", "bob")
    fleet("hibernate", "alice", "--yes")
    own = labels(fleet.world)["alice"].partition(".")[0]
    fleet.world.dialer.failing = [("send the archive", GONE)] * 3
    assert fleet("restore", "bob", "--to", "alice", "--yes").code == 1
    fleet.world.dialer.failing = []
    fleet.world.clock.sleep(60)
    assert fleet("hibernate", "alice", "--yes").code == 0
    assert labels(fleet.world)["alice"].endswith(".s.bob")
    assert fleet("wake", "alice", "--from", own, "--yes").code == 0
    assert memory(fleet, "alice") == [DOG]


def test_nobody_is_called_awake_for_whom_no_server_can_be_made(fleet: CommandLine) -> None:
    fleet("hibernate", "alice", "--yes")
    server = fleet.world.server("bob")
    fleet.world.change("alice", bot_token=fleet.world.specs.pop("bob").bot_token)
    before = labels(fleet.world)
    said = fleet("wake", "alice", "--yes")
    assert (said.code, "They are awake" in said.out) == (4, False)
    assert (labels(fleet.world), server.id in fleet.world.cloud.by_id) == (before, True)


def test_another_memory_is_not_given_to_who_still_has_its_server(half_asleep: CommandLine) -> None:
    half_asleep("backup", "create", "alice")
    other = max(backups(half_asleep.world, "alice").glob("*.json")).name[:16]
    before = labels(half_asleep.world)
    said = half_asleep("wake", "alice", "--from", other, "--yes")
    assert (said.code, labels(half_asleep.world)) == (4, before)
    assert f"fleet restore alice --from {other}" in said.err
    assert half_asleep("wake", "alice", "--yes").code == 0
    assert (memory(half_asleep, "alice"), labels(half_asleep.world)) == ([DOG], {})


def test_who_is_renamed_half_asleep_falls_asleep(half_asleep: CommandLine) -> None:
    half_asleep.world.move("alice", "alba")
    said = half_asleep("apply", "--yes")
    assert (said.code, "it was put to sleep, and its server is still there" in said.out) == (0, True)
    assert [server.child for server in half_asleep.world.cloud.by_id.values()] == ["bob"]
    assert list(labels(half_asleep.world)) == ["alba"]
    assert half_asleep("wake", "alba", "--yes").code == 0
    assert memory(half_asleep, "alba") == [DOG]


def test_who_is_put_to_sleep_without_another_copy_is_told_so(half_asleep: CommandLine) -> None:
    said = half_asleep("plan", "alice", "--no-backup", "alice")
    assert "a copy of its memory is kept and read back first" not in said.out
    assert "what it was told since its last copy is lost for good" in said.out


def test_a_protected_child_that_is_half_asleep_is_said_to_stay(half_asleep: CommandLine) -> None:
    half_asleep.world.change("alice", protect=True)
    said = half_asleep("plan")
    assert "alice was put to sleep, and is protected: its server stays" in said.out


def test_who_expires_half_asleep_is_copied_before_it_goes(half_asleep: CommandLine) -> None:
    half_asleep.world.change("alice", expires=half_asleep.world.clock.now() - timedelta(minutes=1))
    assert half_asleep("apply", "--yes").code == 0
    assert [server.child for server in half_asleep.world.cloud.by_id.values()] == ["bob"]
    half_asleep.world.change("alice", expires=None)
    assert half_asleep("restore", "alice", "--yes").code == 0
    assert memory(half_asleep, "alice") == [DOG]


def test_who_is_destroyed_under_a_new_name_as_it_wakes_leaves_no_note(half_awake: CommandLine) -> None:
    half_awake.world.move("alice", "alba")
    assert half_awake("destroy", "alba", "--yes").code == 0
    assert labels(half_awake.world) == {}


@pytest.mark.parametrize(("limit", "code"), [(0, 4), (Percent(100), 0)])
def test_what_nobody_asks_for_now_counts_among_what_may_be_deleted(
    half_asleep: CommandLine, limit: int | Percent, code: int
) -> None:
    policy = replace(half_asleep.world.fleet().policy, max_destroys=limit)
    half_asleep.changes["policy"] = policy
    assert half_asleep("apply", "--yes").code == code
    assert half_asleep("hibernate", "alice", "--yes").code == 0
    assert "alice" not in [server.child for server in half_asleep.world.cloud.by_id.values()]


@pytest.mark.parametrize("purpose", ["", "-sleep", "-last"])
def test_a_note_that_is_not_ours_decides_nothing_in_silence(fleet: CommandLine, purpose: str) -> None:
    """Whoever can write to the storage plants a later one: then only a person can tell."""
    fleet("hibernate", "alice", "--yes")
    wall = fleet.world.cloud.walls["demo"]
    fleet.world.cloud.label_firewall(wall.id, {key: it for key, it in wall.labels.items() if "asleep" not in key})
    (backups(fleet.world, "alice") / f"20300101T000000Z-00ff{purpose}.json").write_text("{}")
    said = fleet("apply", "--yes")
    assert (said.code, [server.child for server in fleet.world.cloud.by_id.values()]) == (1, ["bob"])
    assert "20300101T000000Z-00ff" in said.out
    assert fleet("wake", "alice", "--yes").code == 1
    own = max(it.name for it in backups(fleet.world, "alice").glob("2026*-sleep.json"))[:16]
    assert own in fleet("backup", "list", "alice").out
    assert fleet("wake", "alice", "--from", own, "--yes").code == 0
    assert memory(fleet, "alice") == [DOG]


def test_what_cannot_be_got_hinders_nobody_else(fleet: CommandLine) -> None:
    fleet("destroy", "bob", "--yes")
    backups(fleet.world, "alice").mkdir()
    (backups(fleet.world, "alice") / "20300101T000000Z-00ff.json").symlink_to("/nowhere")
    lose(fleet.world, "alice")
    said = fleet("apply", "--yes")
    assert (said.code, [server.child for server in fleet.world.cloud.by_id.values()]) == (3, ["bob"])


def test_nobody_is_deleted_after_a_copy_that_cannot_be_found_again(fleet: CommandLine) -> None:
    """Somebody has named a file by the last second that counts."""
    backups(fleet.world, "alice").mkdir(parents=True)
    (backups(fleet.world, "alice") / "89991231T235959Z-00ff-fork.json").write_text("{}")
    said = fleet("hibernate", "alice", "--yes")
    assert (said.code, "89991231T235959Z" in said.out + said.err) == (1, True)
    assert memory(fleet, "alice") == [DOG]


def test_what_cannot_be_read_can_be_given_up(fleet: CommandLine) -> None:
    fleet("backup", "create", "alice")
    (newest,) = backups(fleet.world, "alice").glob("*.json")
    newest.write_text("{}")
    lose(fleet.world, "alice")
    assert fleet("apply", "--yes").code == 1
    assert fleet("wake", "alice", "--empty", "--yes").code == 0
    assert fleet("apply", "--yes").code == 0
    assert memory(fleet, "alice") == []


def test_another_child_may_have_the_name_of_who_was_never_here(fleet: CommandLine) -> None:
    """Nothing is read of children that have no backup."""
    fleet.world.specs["carl"] = make_spec("carl", server_type="cpx22")
    assert fleet("apply", "--yes").code == 0
