"""Backups of children in memory: made, listed, tried, put back, and what happens to what is damaged."""

from __future__ import annotations

import errno
import json
import resource
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import BufferedIOBase, BufferedWriter
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler import age, keys
from reconciler.api import FleetClient
from reconciler.errors import BackupDamaged, CloudUnavailable, HostTimedOut, Refused
from reconciler.keeper import Keeper
from reconciler.manifests import NOTE
from reconciler.model import Backup, BackupSettings, Command, Completed, OutcomeCode, Purpose, Secret, Sleep
from reconciler.steps.retention import is_due, left_over, surplus
from reconciler.steps.sleeping import note_sleep
from reconciler.vaults.directory import DirectoryVault
from tests.fakes.damage import flip_last_byte
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY

DOG: Final = "my dog is called Bello"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice", "bob")).applied()
    made.host("alice").gateway.remember(DOG)
    return made


@pytest.fixture
def keeper(world: FakeFleet) -> Keeper:
    return world.client().keeper()


def made(keeper: Keeper, name: str = "alice") -> Backup:
    [outcome] = keeper.create([name])
    assert outcome.backup is not None, outcome
    return outcome.backup


def files(world: FakeFleet) -> list[Path]:
    return sorted(path for path in (world.state.parent / "backups").rglob("*") if path.is_file())


def test_a_backup_is_sealed_and_says_what_it_holds(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    sealed, note = files(world)
    assert (sealed.suffix, note.suffix) == (".age", ".json")
    assert DOG.encode() not in sealed.read_bytes() + note.read_bytes()
    assert backup.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}
    assert backup.recipient == keys.backup_recipient(FLEET_KEY)
    assert {path.stat().st_mode & 0o777 for path in (sealed, note)} == {0o600}
    assert keeper.kept("alice").backups == (backup,)
    assert keeper.kept("bob").backups == ()
    assert keeper.verify("alice", backup)
    assert "/var/lib/openclaw-deploy/archive" not in world.host("alice").directories
    assert world.planned() == []


def test_a_gateway_is_not_stopped_for_a_backup(world: FakeFleet, keeper: Keeper) -> None:
    before = world.host("alice").gateway.starts
    made(keeper)
    assert (world.host("alice").gateway.starts, world.host("alice").gateway.active) == (before, "active")


def restored(world: FakeFleet, name: str, source: str, backup: Backup) -> None:
    client = world.client()
    planned = client.plan_restore(name, backup)
    client.keeper().send(name, source, backup)
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.DONE, outcome


def test_what_was_backed_up_is_put_back_and_what_was_there_is_kept(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    host = world.host("alice")
    host.gateway.remember("nonsense")
    world.clock.sleep(3600)
    restored(world, "alice", "alice", backup)
    assert host.gateway.memory == [DOG]
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    assert facts.checkpoints[0].id == backup.id
    assert len(facts.checkpoints) == 2
    assert world.planned() == []


def test_a_child_that_was_destroyed_is_made_anew_and_knows_again(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    client = world.client()
    client.apply(client.plan_destruction(["alice"]))
    world.apply()
    assert world.host("alice").gateway.memory == []
    restored(world, "alice", "alice", backup)
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []


def test_the_memory_of_one_child_may_be_given_to_another(world: FakeFleet, keeper: Keeper) -> None:
    restored(world, "bob", "alice", made(keeper))
    assert world.host("bob").gateway.memory == [DOG]
    assert world.host("bob").gateway.active == "active"
    assert world.planned() == []


def test_one_flipped_bit_is_found_before_anything_is_touched(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    sealed, _ = files(world)
    data = bytearray(sealed.read_bytes())
    data[len(data) // 2] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(BackupDamaged, match="is damaged: it is not what was kept in"):
        keeper.verify("alice", backup)
    ran = list(world.host("alice").ran)
    with pytest.raises(BackupDamaged):
        keeper.send("alice", "alice", backup)
    assert set(world.host("alice").ran[len(ran) :]) <= {"probe"}


def test_a_note_that_was_changed_is_told_and_not_taken(world: FakeFleet, keeper: Keeper) -> None:
    made(keeper)
    _, note = files(world)
    note.write_text(json.dumps({**json.loads(note.read_text()), "version": "2026.9.9"}))
    kept = keeper.kept("alice")
    assert kept.backups == ()
    assert "is not as it was written, or of another fleet key" in kept.problems[0]
    with pytest.raises(BackupDamaged, match=r"the newest backup of alice, .* cannot be read: .* not as"):
        keeper.find("alice")


@pytest.mark.parametrize("what", ["note", "sealed"])
def test_nobody_is_given_an_older_one_in_the_place_of_the_newest_that_is_damaged(
    world: FakeFleet, keeper: Keeper, what: str
) -> None:
    older = made(keeper)
    world.clock.sleep(60)
    newer = made(keeper)
    for file in files(world):
        if newer.id in file.name and file.name.endswith(NOTE) == (what == "note"):
            file.unlink() if what == "sealed" else file.write_text("{}")
    with pytest.raises(BackupDamaged, match=f"the newest backup of alice, {newer.id}, cannot be read"):
        keeper.find("alice")
    assert keeper.find("alice", older.id) == older


def test_a_damaged_note_is_not_written_over_nor_older_than_it(world: FakeFleet, keeper: Keeper) -> None:
    world.clock.sleep(3600)
    ahead = made(keeper)
    next(file for file in files(world) if file.name.endswith(NOTE)).write_text("{}")
    world.clock.behind = 1800.0
    assert made(keeper).id > ahead.id


def test_a_backup_whose_note_was_never_written_is_none(world: FakeFleet, keeper: Keeper) -> None:
    made(keeper)
    _, note = files(world)
    note.unlink()
    assert keeper.kept("alice").backups == ()


def test_a_backup_for_somebody_else_is_opened_with_his_identity_only(world: FakeFleet) -> None:
    other = keys.make_key(bytes(32))
    world.change("alice", backup=BackupSettings(recipient=keys.backup_recipient(other)))
    keeper = world.client().keeper()
    backup = made(keeper)
    assert keeper.verify("alice", backup) is False  # its seal is whole: more nobody can say here
    assert keeper.verify("alice", backup, keys.backup_identity(other)) is True
    with pytest.raises(Refused, match="is sealed for age1"):
        keeper.send("alice", "alice", backup)
    with pytest.raises(BackupDamaged, match="cannot be opened with this identity"):
        keeper.send("alice", "alice", backup, keys.backup_identity(FLEET_KEY))


def test_a_host_that_falls_silent_leaves_no_backup(world: FakeFleet, keeper: Keeper) -> None:
    world.host("alice").fails = [("read the archive", HostTimedOut("gone", "again"))]
    [outcome] = keeper.create(["alice"])
    assert (outcome.backup, outcome.problem) == (None, "gone")
    assert files(world) == []
    assert keeper.create(["alice"])[0].backup is not None


def test_who_leaves_gets_a_plain_archive(world: FakeFleet, keeper: Keeper, tmp_path: Path) -> None:
    backup = made(keeper)
    keeper.fetch("alice", backup, tmp_path / "alice.tar.gz")
    assert DOG.encode() in (tmp_path / "alice.tar.gz").read_bytes()
    assert (tmp_path / "alice.tar.gz").stat().st_mode & 0o777 == 0o600


def test_an_export_that_finds_no_room_leaves_no_file(keeper: Keeper, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            keeper.export("alice", tmp_path / "alice.tar.gz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "alice.tar.gz").exists()


@dataclass(frozen=True)
class Full:
    """The Sealer port where the disk is full after the first bytes; but for that it is the real one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(age, name)

    def open_sealed(self, sealed: Path, target: BufferedIOBase, identity: Secret) -> None:
        age.open_sealed(sealed, target, identity)
        if isinstance(target, BufferedWriter):  # a trial writes nowhere
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_backup_that_finds_no_room_here_leaves_no_file(world: FakeFleet, tmp_path: Path) -> None:
    keeper = Keeper(world.fleet(), replace(world.ports(), sealer=Full()))
    backup = made(keeper)
    with pytest.raises(OSError, match="No space left"):
        keeper.fetch("alice", backup, tmp_path / "alice.tar.gz")
    assert not (tmp_path / "alice.tar.gz").exists()


def test_older_ones_are_removed_when_another_was_made(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(keep=2))
    keeper, all_made = world.client().keeper(), []
    for _ in range(4):
        all_made.append(made(keeper))
        world.clock.sleep(3600)
    assert list(keeper.kept("alice").backups) == [all_made[3], all_made[2]]
    assert len(files(world)) == 4


def test_two_of_one_child_in_the_same_second_are_two(world: FakeFleet) -> None:
    """An id is a second: the other one gets the next that is free."""
    world.clock.sleep(1.0 - world.clock.now().microsecond / 1e6)
    before = world.clock.now()
    first, second = (made(world.client().keeper()) for _ in range(2))
    assert world.clock.now() - before < timedelta(seconds=1)
    assert first.id < second.id
    assert list(world.client().keeper().kept("alice").backups) == [second, first]
    assert world.client().keeper().verify("alice", first)


def test_a_clock_that_is_behind_makes_no_backup_that_is_older(world: FakeFleet) -> None:
    """It would be pruned as it is made, and the memory of before be put back."""
    world.change("alice", backup=BackupSettings(keep=1))
    before = made(world.client().keeper())
    world.host("alice").gateway.remember("my cat is called Mimi")
    world.clock.behind = 600
    [outcome] = world.client().keeper().create(["alice"])
    assert outcome.backup is not None
    assert outcome.backup.id > before.id
    assert outcome.removed == (before,)
    assert world.client().keeper().find("alice") == outcome.backup


def test_a_clock_that_is_months_ahead_removes_nothing_for_its_age_and_stops_no_backups(world: FakeFleet) -> None:
    """Else it would leave a single backup, and none would be due before its time has come."""
    world.change("alice", backup=BackupSettings(every=timedelta(hours=1), keep=5, max_age=timedelta(days=30)))
    before = made(world.client().keeper())
    host, ahead = world.host("alice"), 100 * 86400.0
    here = host.now
    world.clock.behind, host.now = -ahead, lambda: here() - ahead
    [outcome] = world.client().keeper().create(["alice"])
    assert outcome.backup is not None
    assert (outcome.removed, "clocks of alice and of this machine differ" in outcome.problem) == ((), True)
    world.clock.behind, host.now = 0, here
    world.clock.sleep(3600)
    [outcome] = world.client().keeper().create_due(["alice"])
    assert (outcome.problem, outcome.backup is not None, outcome.removed) == ("", True, ())
    assert world.client().keeper().create_due(["alice"]) == []
    assert before in world.client().keeper().kept("alice").backups


def test_a_backup_that_takes_long_to_fetch_was_made_when_its_host_says(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(max_age=timedelta(days=30)))
    host = world.host("alice")
    run = host.run

    def slow(command: Command) -> Completed:
        if command.name == "read the archive":
            world.clock.sleep(3600)
        return run(command)

    host.run = slow  # type: ignore[method-assign]
    began = world.clock.now()
    [outcome] = world.client().keeper().create(["alice"])
    assert (outcome.problem, outcome.backup is not None) == ("", True)
    assert outcome.backup is not None
    assert datetime.fromisoformat(outcome.backup.at) - began < timedelta(minutes=1)
    assert world.clock.now() - began > timedelta(minutes=59)


def test_an_apply_removes_nothing_for_its_age(world: FakeFleet) -> None:
    """It compares no clocks."""
    world.change("alice", backup=BackupSettings(keep=5, max_age=timedelta(days=30)))
    before = made(world.client().keeper())
    world.clock.behind = -100 * 86400
    world.change("alice", version="2026.9.7")
    world.apply()
    assert before in world.client().keeper().kept("alice").backups


def test_a_last_copy_is_the_newest_whatever_the_clock_says(world: FakeFleet, keeper: Keeper) -> None:
    made(keeper)
    world.host("alice").gateway.remember("my cat is called Mimi")
    world.clock.behind = 600
    client = world.client()
    client.apply(client.plan_destruction(("alice",)))
    newest = world.client().keeper().find("alice")
    assert newest.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 2}}


def marked(world: FakeFleet, child: str, backup: Backup, *, waking: bool) -> None:
    client = world.client()
    note_sleep(client.fleet, world.ports(), child, Sleep(backup.id, backup.child, is_waking=waking))


@pytest.mark.parametrize(("child", "waking"), [("alice", False), ("alice", True), ("bob", True)])
def test_what_somebody_wakes_from_is_kept_whatever_its_age(world: FakeFleet, child: str, waking: bool) -> None:
    """Asleep, waking with an older one than the last, and another child that is given this one's memory."""
    world.change("alice", backup=BackupSettings(keep=1, max_age=timedelta(days=1)))
    first = made(world.client().keeper())
    marked(world, child, first, waking=waking)
    for _ in range(2):
        world.clock.sleep(100 * 86400)
        last = made(world.client().keeper())
    assert list(world.client().keeper().kept("alice").backups) == [last, first]
    assert world.client().keeper().prune(["alice", "bob"]) == {"alice": (), "bob": ()}
    note_sleep(world.fleet(), world.ports(), child, None)
    assert world.client().keeper().prune(["alice"]) == {"alice": (first,)}


@pytest.mark.parametrize("settings", [BackupSettings(max_age=timedelta(days=30)), BackupSettings(keep=1)])
def test_nothing_goes_for_the_sake_of_a_newer_one_that_is_damaged(world: FakeFleet, settings: BackupSettings) -> None:
    first = made(world.client().keeper())
    world.clock.sleep(40 * 86400)
    newest = made(world.client().keeper())
    [sealed] = [path for path in files(world) if newest.id in path.name and path.suffix == ".age"]
    flip_last_byte(sealed)
    world.change("alice", backup=settings)
    assert world.client().keeper().prune(["alice"]) == {"alice": ()}
    flip_last_byte(sealed)
    assert world.client().keeper().prune(["alice"]) == {"alice": (first,)}


def test_another_childs_backup_of_the_same_second_is_not_kept_for_it(world: FakeFleet) -> None:
    settings = BackupSettings(keep=1)
    world.change("alice", backup=settings)
    world.change("bob", backup=settings)
    first, of_bob = (outcome.backup for outcome in world.client().keeper().create(["alice", "bob"]))
    assert first is not None
    assert of_bob is not None
    assert first.id == of_bob.id
    marked(world, "alice", first, waking=False)
    world.clock.sleep(60)
    outcomes = world.client().keeper().create(["alice", "bob"])
    assert [outcome.removed for outcome in outcomes] == [(), (of_bob,)]


def test_where_nobody_can_tell_who_wakes_from_what_nothing_is_removed(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(keep=1))
    first = made(world.client().keeper())
    world.clock.sleep(60)

    class Late(DirectoryVault):
        def put(self, name: str, source: Path) -> None:
            super().put(name, source)
            if name.endswith(NOTE):
                world.cloud.fail_next("firewalls", CloudUnavailable("503"))

    ports = replace(world.ports(), vault=lambda place: Late(world.vault))
    [outcome] = FleetClient(world.fleet(), ports).keeper().create(["alice"])
    assert outcome.backup is not None
    assert (outcome.removed, outcome.problem) == ((), "what is too old was not removed: 503")
    assert list(world.client().keeper().kept("alice").backups) == [outcome.backup, first]


def test_two_memories_of_the_same_second_are_not_taken_for_each_other(world: FakeFleet) -> None:
    """A child is given its own backup back, and then another child's that was made with it."""
    world.host("bob").gateway.remember("my fish is called Wanda")
    of_alice, of_bob = (outcome.backup for outcome in world.client().keeper().create(["alice", "bob"]))
    assert of_alice is not None
    assert of_bob is not None
    assert of_alice.id == of_bob.id
    world.clock.sleep(60)
    restored(world, "bob", "bob", of_bob)
    assert world.host("bob").gateway.memory == ["my fish is called Wanda"]
    world.clock.sleep(60)
    restored(world, "bob", "alice", of_alice)
    assert world.host("bob").gateway.memory == [DOG]
    world.clock.sleep(60)
    restored(world, "bob", "bob", of_bob)
    assert world.host("bob").gateway.memory == ["my fish is called Wanda"]


def test_those_that_are_due_are_made(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(every=timedelta(days=1)))
    keeper = world.client().keeper()
    assert [outcome.child for outcome in keeper.create_due(["alice", "bob"])] == ["alice"]
    assert keeper.create_due(["alice", "bob"]) == []
    world.clock.sleep(86400)
    assert [outcome.child for outcome in keeper.create_due(["alice", "bob"])] == ["alice"]


def test_a_backup_is_later_than_those_that_were_made_under_a_former_name(world: FakeFleet, keeper: Keeper) -> None:
    world.clock.sleep(3600)
    ahead = made(keeper)
    world.move("alice", "alba")
    world.apply()
    world.clock.behind = 1800.0
    assert made(world.client().keeper(), "alba").id > ahead.id


def test_backups_follow_a_child_that_got_another_name(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    world.move("alice", "alba")
    assert world.client().keeper().kept("alba").backups == (backup,)


def test_the_network_of_a_host_is_not_taken_as_a_whole(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(rate=10))
    before = world.clock.monotonic()
    backup = made(world.client().keeper())
    assert world.clock.monotonic() - before >= backup.size / 10
    before = world.clock.monotonic()
    restored(world, "alice", "alice", backup)
    assert world.clock.monotonic() - before >= backup.size / 10


def of(*ages: int, settings: BackupSettings) -> list[int]:
    """Of backups so many days old, those that are not kept."""
    now = FakeFleet(Path("/nowhere")).clock.now()
    template = Backup("", "demo", "alice", "0a", "2026.9.6", "", 1, "", 1, "", "")
    found = [replace(template, id=f"{999 - age}", at=(now - timedelta(days=age)).isoformat()) for age in ages]
    return sorted(999 - int(backup.id) for backup in surplus(found, settings, now))


def test_what_is_kept_is_counted_and_aged_and_the_newest_always_stays() -> None:
    assert of(1, 2, 3, settings=BackupSettings(keep=2)) == [3]
    assert of(1, 2, 40, settings=BackupSettings(keep=7, max_age=timedelta(days=30))) == [40]
    assert of(100, 200, settings=BackupSettings(keep=7, max_age=timedelta(days=30))) == [200]
    assert of(settings=BackupSettings()) == []


def test_what_is_only_half_there_goes_when_it_would_go_as_a_whole() -> None:
    now = FakeFleet(Path("/nowhere")).clock.now()
    template = Backup("", "demo", "alice", "0a", "2026.9.6", "", 1, "", 1, "", "")
    hours = {"6": 1, "5": 2, "4": 23, "3": 25, "2": 50, "1": 900}
    found = {
        name: replace(template, id=name, at=(now - timedelta(hours=age)).isoformat()) for name, age in hours.items()
    }

    def gone(
        halves: str, whole: str, settings: BackupSettings, needed: frozenset[tuple[str, str]] = frozenset()
    ) -> str:
        listed = left_over(map(found.__getitem__, halves), map(found.__getitem__, whole), settings, now, needed)
        return "".join(half.id for half in listed)

    two = BackupSettings(keep=2)
    assert gone("321", "65", two) == "321"
    assert gone("543", "6", two) == ""  # somebody may be about to write the notes of these two
    assert gone("432", "65", two) == "32"
    assert gone("2", "3", two) == ""
    assert gone("21", "3", BackupSettings(max_age=timedelta(days=30))) == "1"
    assert gone("3", "2", BackupSettings(keep=1)) == ""  # nothing is newer than it
    assert gone("321", "65", two, frozenset({("alice", "2")})) == "31"


def test_a_fork_takes_the_place_of_no_backup_and_makes_none_undue() -> None:
    now = FakeFleet(Path("/nowhere")).clock.now()
    template = Backup("", "demo", "alice", "0a", "2026.9.6", "", 1, "", 1, "", "")
    fork, copy = Purpose.FORK, Purpose.COPY
    ages = ((1, fork), (2, fork), (3, fork), (4, copy), (5, copy), (6, copy))
    found = [
        replace(template, id=f"{9 - age}", at=(now - timedelta(days=age)).isoformat(), purpose=purpose)
        for age, purpose in ages
    ]
    assert [9 - int(gone.id) for gone in surplus(found, BackupSettings(keep=2), now)] == [6, 3]
    assert is_due(found, BackupSettings(every=timedelta(days=3)), now)
    assert not is_due(found, BackupSettings(every=timedelta(days=5)), now)


def test_who_is_made_anew_under_an_old_name_pushes_out_nothing_that_the_one_before_has_left() -> None:
    now = FakeFleet(Path("/nowhere")).clock.now()
    template = Backup("", "demo", "alice", "0a", "2026.9.6", "", 1, "", 1, "", "", purpose=Purpose.LAST)
    left = [replace(template, id=f"{age}", at=(now - timedelta(days=9 - age)).isoformat()) for age in (1, 2, 3)]
    copies = [replace(it, id=f"{int(it.id) + 4}", uid="0b", purpose=Purpose.COPY) for it in left]
    slept = [replace(it, id=f"{int(it.id) + 7}", uid="0b", purpose=Purpose.SLEEP) for it in left[:1]]
    gone = surplus([*left, *copies, *slept], BackupSettings(keep=1), now)
    assert [backup.id for backup in gone] == ["6", "5", "2", "1"]


def test_the_only_backup_of_a_server_that_is_gone_stays_until_it_is_too_old() -> None:
    now = FakeFleet(Path("/nowhere")).clock.now()
    template = Backup("", "demo", "alice", "0a", "2026.9.6", "", 1, "", 1, "", "")
    found = [replace(template, id=f"{9 - age}", at=(now - timedelta(days=age)).isoformat()) for age in (1, 2, 3)]
    found += [replace(template, id="1", uid="0b", at=(now - timedelta(days=8)).isoformat())]
    assert [backup.id for backup in surplus(found, BackupSettings(keep=1), now)] == ["7", "6"]
    aged = surplus(found, BackupSettings(keep=1, max_age=timedelta(days=7)), now)
    assert [backup.id for backup in aged] == ["7", "6", "1"]


def test_without_a_period_nothing_is_ever_due() -> None:
    assert not is_due([], BackupSettings(), FakeFleet(Path("/nowhere")).clock.now())


def test_what_is_no_identity_is_refused(world: FakeFleet, keeper: Keeper) -> None:
    backup = made(keeper)
    with pytest.raises(Exception, match="this is no age identity"):
        keeper.verify("alice", backup, Secret("nonsense"))
