"""What a host has kept of before, and holds back, outlives its server; and an update leaves a copy elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler.commands.switching import ASIDES, SWITCH
from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.managed import files
from reconciler.model import Backup, BackupSettings, OutcomeCode, PlanOptions, Purpose, Rollout
from tests.fakes.damage import flip_last_byte
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import make_spec
from tests.unit.test_steps_switching import after

OLD: Final = "2026.9.6"
NEW: Final = "2026.9.7"
DOG, CAT = "my dog is called Bello", "my cat is called Mimi"
MOVED: Final = PlanOptions(allow_replace=frozenset({"alice"}))
SLEEPS: Final = PlanOptions(hibernate=frozenset({"alice"}))


@pytest.fixture
def world(state: Path) -> FakeFleet:
    """Alice went to NEW, was told something there, and a person went back: OLD runs, and NEW is held."""
    world = FakeFleet(state, ("alice",)).applied()
    world.host("alice").gateway.remember(DOG)
    world.change("alice", version=NEW)
    world.apply()
    world.host("alice").gateway.remember(CAT)
    world.clock.sleep(3600)
    client = world.client()
    with client.lock("fleet rollback"):
        client.apply(client.plan_rollback(["alice"], None))
    assert world.host("alice").gateway.memory == [DOG]
    return world


def linked(host: FakeHost) -> str:
    return host.links[files.CURRENT].rpartition("/")[2]


def kept(world: FakeFleet, purpose: Purpose) -> list[Backup]:
    return [it for it in world.client().keeper().kept("alice").backups if it.purpose is purpose]


def said(backup: Backup) -> int:
    [tables] = backup.holds["databases"].values()  # type: ignore[union-attr]
    return tables["transcript_events"]  # type: ignore[index,call-overload,return-value]


def held(world: FakeFleet) -> str | None:
    facts = world.client().plan().children["alice"].facts
    return facts.held.version if facts and facts.held else None


def wake(world: FakeFleet) -> None:
    client = world.client()
    planned = client.plan_waking({"alice": client.keeper().find("alice")})
    client.begin_waking(planned)
    assert all(outcome.code is OutcomeCode.DONE for outcome in client.apply(planned))


def test_what_was_set_aside_and_the_checkpoints_are_kept_before_a_server_goes_to_sleep(world: FakeFleet) -> None:
    [action] = world.client().plan(options=SLEEPS).plan.actions
    assert "what its host keeps of before is kept as backups as well: 2 checkpoints" in action.notes
    assert world.apply(options=SLEEPS)[0].code is OutcomeCode.DONE
    earlier = kept(world, Purpose.EARLIER)
    assert sorted((it.version, said(it)) for it in earlier) == [(OLD, 1), (NEW, 2)]
    keeper = world.client().keeper()
    assert all(keeper.verify("alice", it) for it in earlier)
    assert keeper.find("alice").purpose is Purpose.SLEEP  # what it knew last is what it wakes with
    wake(world)
    assert world.host("alice").gateway.memory == [DOG]


def test_what_a_version_that_failed_was_told_is_kept_too(fresh: FakeFleet) -> None:
    """It was silenced before it was proven; its user may have had an answer by then."""
    host = fresh.host("alice")
    host.gateway.flawed = {NEW: "second start"}
    after(host, "read ", lambda: None)
    fresh.apply()
    [action] = fresh.client().plan(options=SLEEPS).plan.actions
    before = "what its host keeps of before is kept as backups as well: 1 checkpoint and 1 state that was set aside"
    assert before in action.notes
    assert fresh.apply(options=SLEEPS)[0].code is OutcomeCode.DONE
    assert sorted(it.version for it in kept(fresh, Purpose.EARLIER)) == [OLD, NEW]
    assert all(fresh.client().keeper().verify("alice", it) for it in kept(fresh, Purpose.EARLIER))


def test_what_was_before_comes_back_where_a_person_names_it(world: FakeFleet) -> None:
    world.apply(options=SLEEPS)
    wake(world)
    newest = next(it for it in kept(world, Purpose.EARLIER) if said(it) == 2)
    client = world.client()
    with client.lock("fleet restore"):
        client.keeper().send("alice", "alice", newest)
        client.apply(client.plan_restore("alice", newest))
    assert (linked(world.host("alice")), world.host("alice").gateway.memory) == (NEW, [DOG, CAT])


def test_the_same_is_kept_once_however_often_it_is_tried(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", CommandFailed("no space left on device"))]
    assert world.apply(options=SLEEPS)[0].code is OutcomeCode.FAILED
    assert world.host("alice").gateway.active == "active"
    before = kept(world, Purpose.EARLIER)
    assert world.apply(options=SLEEPS)[0].code is OutcomeCode.DONE
    assert (len(before), kept(world, Purpose.EARLIER)) == (2, before)


def test_a_gateway_answers_while_what_was_before_is_copied(world: FakeFleet) -> None:
    seen: list[str] = []
    host = world.host("alice")
    after(host, "pack what was before", lambda: seen.append(host.gateway.active))
    world.apply(options=SLEEPS)
    assert seen == ["active"]


def test_a_damaged_checkpoint_is_named_and_no_server_goes(world: FakeFleet) -> None:
    host = world.host("alice")
    copy = next(path for path in host.files if path.endswith("/state.tar"))
    host.files[copy] = FakeFile(host.content(copy) + b"!")
    starts = host.gateway.starts
    [outcome] = world.apply(options=SLEEPS)
    assert "is damaged" in outcome.error
    assert "fleet" in outcome.advice
    assert (host.gateway.active, host.gateway.starts) == ("active", starts)  # nobody has waited for that


def test_what_a_switch_leaves_that_is_undone_for_the_copy_is_kept_too(fresh: FakeFleet) -> None:
    host = fresh.host("alice")
    host.fails = [("prove", HostTimedOut("gone"))]
    after(host, "make the switch", lambda: setattr(host, "fails", [("", HostTimedOut("gone"))] * 12))
    fresh.apply()
    host.fails = []
    assert [it["is_tried_again"] for it in host.read_json(f"{SWITCH}/held.json")] == [True]
    assert SWITCH in host.directories
    assert fresh.apply(options=SLEEPS)[0].code is OutcomeCode.DONE
    assert NEW in {it.version for it in kept(fresh, Purpose.EARLIER)}


def test_the_ways_back_go_with_a_child_to_its_new_server(world: FakeFleet) -> None:
    def ways() -> set[str]:
        facts = world.client().plan().children["alice"].facts
        assert facts is not None
        return {it.version for it in facts.checkpoints}

    before = ways()
    world.change("alice", regions=("hel1",))
    assert world.apply(options=MOVED)[0].code is OutcomeCode.DONE
    assert ways() >= before
    assert any(said(it) == 2 for it in kept(world, Purpose.EARLIER))  # what was set aside stays a backup
    assert not [path for path in world.host("alice").directories if path.rpartition("/")[0] == ASIDES]
    world.change("alice", version=NEW)
    client = world.client()
    with client.lock("fleet rollback"):
        facts = world.client().plan().children["alice"].facts
        [left] = [it.id for it in facts.checkpoints if it.is_left]  # type: ignore[union-attr]
        client.apply(client.plan_rollback(["alice"], left))
    assert (linked(world.host("alice")), world.host("alice").gateway.memory) == (NEW, [DOG, CAT])


def test_what_a_person_gives_up_is_not_copied(world: FakeFleet) -> None:
    del world.specs["alice"]
    world.apply(options=PlanOptions(without_copy=frozenset({"alice"})))
    assert kept(world, Purpose.EARLIER) == []


def test_a_version_that_was_held_is_held_after_sleep(world: FakeFleet) -> None:
    world.apply(options=SLEEPS)
    wake(world)
    assert (held(world), world.planned(), linked(world.host("alice"))) == (NEW, [], OLD)


def test_a_version_that_was_held_is_held_by_who_is_made_anew_from_a_backup(world: FakeFleet) -> None:
    spec = world.specs.pop("alice")
    world.apply()
    world.specs["alice"] = spec
    wake(world)
    assert (held(world), world.planned()) == (NEW, [])


@pytest.mark.parametrize("purpose", [Purpose.COPY, Purpose.EARLIER], ids=["an older copy", "what was set aside"])
def test_what_is_held_is_of_the_child_and_not_of_the_memory_that_it_wakes_with(state: Path, purpose: Purpose) -> None:
    """The older copy was made before anybody went back, and knows of nothing that is held."""
    world = FakeFleet(state, ("alice",)).applied()
    world.client().keeper().create(["alice"])
    world.change("alice", version=NEW)
    world.apply()
    world.clock.sleep(3600)
    client = world.client()
    with client.lock("fleet rollback"):
        client.apply(client.plan_rollback(["alice"], None))
    world.clock.sleep(3600)
    world.apply(options=SLEEPS)
    older = next(it for it in kept(world, purpose) if it.version == OLD)
    assert older.held == ()
    client = world.client()
    client.begin_waking(planned := client.plan_waking({"alice": older}))
    assert [outcome.code for outcome in client.apply(planned)] == [OutcomeCode.DONE]
    assert (held(world), world.planned(), linked(world.host("alice"))) == (NEW, [], OLD)


def test_what_another_child_holds_is_not_given_with_its_memory(world: FakeFleet) -> None:
    [made] = world.client().keeper().create(["alice"])
    assert made.backup is not None
    world.specs["carol"] = make_spec("carol", server_type="cpx22")
    client = world.client()
    planned = client.plan_waking({"carol": made.backup})
    client.begin_waking(planned)
    assert all(outcome.code is OutcomeCode.DONE for outcome in client.apply(planned))
    facts = world.client().plan().children["carol"].facts
    assert facts is not None
    assert (facts.held, facts.noted) == (None, ())


@pytest.fixture
def fresh(state: Path) -> FakeFleet:
    world = FakeFleet(state, ("alice",)).applied()
    world.host("alice").gateway.remember(DOG)
    world.change("alice", version=NEW)
    return world


def test_an_update_leaves_a_copy_off_the_host_made_while_the_gateway_answers(fresh: FakeFleet) -> None:
    host = fresh.host("alice")
    seen: list[str] = []
    after(host, "make an archive", lambda: seen.append(host.gateway.active))
    assert fresh.apply()[0].code is OutcomeCode.DONE
    [copy] = kept(fresh, Purpose.UPDATE)
    assert (copy.version, said(copy), seen) == (OLD, 1, ["active"])
    assert fresh.client().keeper().verify("alice", copy)


def test_without_a_copy_nothing_changes_unless_a_person_says_so(fresh: FakeFleet) -> None:
    host = fresh.host("alice")
    starts = host.gateway.starts
    host.fails = [("make an archive", CommandFailed("database disk image is malformed"))] * 2
    [outcome] = fresh.apply()
    assert "no backup could be made before it goes to another version: database disk image" in outcome.error
    assert "nothing was changed" in outcome.advice
    assert "fleet apply --no-backup alice" in outcome.advice
    assert (linked(host), host.gateway.starts) == (OLD, starts)
    given_up = PlanOptions(without_copy=frozenset({"alice"}))
    [action] = fresh.client().plan(options=given_up).plan.actions
    assert "no backup of it is made first (--no-backup)" in action.notes
    assert fresh.apply(options=given_up)[0].code is OutcomeCode.DONE
    assert (linked(host), kept(fresh, Purpose.UPDATE)) == (NEW, [])


def test_storage_that_is_gone_stops_an_update_before_it_begins(fresh: FakeFleet) -> None:
    fresh.vault.write_bytes(b"no directory")
    [outcome] = fresh.apply()
    assert "no backup could be made" in outcome.error
    assert linked(fresh.host("alice")) == OLD


def test_a_gateway_that_is_ill_is_updated_also_without_a_copy(fresh: FakeFleet) -> None:
    host = fresh.host("alice")
    host.gateway.channel_error = "conflict"
    after(host, "make the switch", lambda: setattr(host.gateway, "channel_error", None))
    host.fails = [("make an archive", CommandFailed("database disk image is malformed"))]
    assert fresh.apply()[0].code is OutcomeCode.DONE
    assert linked(host) == NEW
    assert "backup-not-made" in {event.event for event in fresh.ports().store.events()}


def test_copies_of_updates_do_not_pile_up(fresh: FakeFleet) -> None:
    fresh.rollout = Rollout(soak=0)
    fresh.change("alice", backup=replace(fresh.specs["alice"].backup, keep=2))
    for number in range(7, 12):
        fresh.change("alice", version=f"2026.9.{number}")
        fresh.clock.sleep(3600)
        assert fresh.apply()[0].code is OutcomeCode.DONE
    assert [it.version for it in kept(fresh, Purpose.UPDATE)] == ["2026.9.10", "2026.9.9"]


def test_no_user_is_told_and_nothing_stopped_where_there_is_no_room_for_its_memory(fresh: FakeFleet) -> None:
    host = fresh.host("alice")
    starts = host.gateway.starts
    host.fails = [("check for room", CommandFailed("another version takes 9000 MB of disk, and 8000 MB are left"))] * 2
    [outcome] = fresh.apply()
    assert "another version takes 9000 MB of disk" in outcome.error
    assert (host.gateway.starts, fresh.client().plan().children["alice"].facts.noted) == (starts, ())  # type: ignore[union-attr]


def test_what_is_set_aside_of_the_version_of_its_checkpoint_is_kept_beside_that(state: Path) -> None:
    """By going back within a version; the checkpoint knows of the dog alone."""
    world = FakeFleet(state, ("alice",)).applied()
    world.host("alice").gateway.remember(DOG)
    backup = world.client().keeper().create(["alice"])[0].backup
    assert backup is not None
    world.clock.sleep(3600)
    host = world.host("alice")

    def goes_wrong() -> None:
        host.gateway.remember(CAT)
        host.gateway.channel_error = "conflict"

    after(host, "make the switch", goes_wrong)
    client = world.client()
    with client.lock("fleet restore"):
        planned = client.plan_restore("alice", backup)
        client.keeper().send("alice", "alice", backup)
        [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.FAILED
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    [aside] = facts.asides
    host.gateway.channel_error = ""
    world.apply(options=SLEEPS)
    assert sorted(said(it) for it in kept(world, Purpose.EARLIER)) == [1, 2], (aside, facts.checkpoints)


def test_an_archive_whose_end_nobody_heard_of_is_made_once(state: Path) -> None:
    world = FakeFleet(state, ("alice",)).applied()
    world.host("alice").gateway.remember(DOG)
    world.change("alice", version=NEW)
    world.host("alice").fails = [("drop the archive", HostTimedOut("gone", "again"))] * 2
    [outcome] = world.apply()
    assert (outcome.code, len(kept(world, Purpose.UPDATE))) == (OutcomeCode.DONE, 1)


def test_what_was_kept_before_and_is_damaged_since_is_copied_again(world: FakeFleet) -> None:
    """The original is still on the host, and goes with it."""
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    assert world.apply(options=SLEEPS)[0].code is OutcomeCode.FAILED  # what is of before is kept by then
    [cat] = [it for it in kept(world, Purpose.EARLIER) if it.version == NEW]
    [sealed] = world.vault.rglob(f"*{cat.id}*.age")
    flip_last_byte(sealed)
    assert world.apply(options=SLEEPS)[0].code is OutcomeCode.DONE
    keeper = world.client().keeper()
    [again] = [it for it in kept(world, Purpose.EARLIER) if it.version == NEW and it.id != cat.id]
    assert (said(again), keeper.verify("alice", again)) == (2, True)


def test_an_archive_of_another_run_is_none_of_this_one(state: Path) -> None:
    """Its name may lie ahead of the clock: the runner before had another."""
    world = FakeFleet(state, ("alice",)).applied()
    world.host("alice").gateway.remember(DOG)
    world.change("alice", version=NEW)
    world.clock.behind = -86_400.0
    world.host("alice").fails = [("take a checkpoint", HostTimedOut("gone", "again"))] * 3
    assert world.apply()[0].code is OutcomeCode.FAILED
    world.clock.behind = 0.0
    world.host("alice").gateway.remember(CAT)
    world.host("alice").fails = [("make an archive", HostTimedOut("gone", "again"))]
    assert world.apply()[0].code is OutcomeCode.DONE
    assert max(said(it) for it in kept(world, Purpose.UPDATE)) == 2


def test_what_was_set_aside_and_kept_is_put_back_by_its_name(state: Path) -> None:
    """Its moment is a little after that of its checkpoint, so that no two are alike."""
    world = FakeFleet(state, ("alice",)).applied()
    host = world.host("alice")
    host.gateway.flawed = {NEW: "second start"}
    after(host, "make the switch", lambda: None if CAT in host.gateway.memory else host.gateway.remember(CAT))
    world.change("alice", version=NEW)
    world.apply()
    world.change("alice", version=OLD)
    host.gateway.flawed = {}
    world.apply(options=SLEEPS)
    world.dialer.flawed = {}
    client = world.client()
    aside = next(it for it in kept(world, Purpose.EARLIER) if "." in it.at)
    with client.lock("fleet wake"):
        planned = client.plan_waking({"alice": aside}, named=True)
        client.begin_waking(planned)
        outcomes = client.apply(planned)
    assert [it.code for it in outcomes] == [OutcomeCode.DONE], outcomes
    assert CAT in world.host("alice").gateway.memory


def test_a_way_down_that_is_damaged_is_not_tried_again_unasked(state: Path) -> None:
    """Nor does each try push out what is kept off its host."""
    world = FakeFleet(state, ("alice",)).applied()
    host = world.host("alice")
    host.gateway.remember(DOG)
    world.change("alice", version=NEW)
    world.apply()
    first = kept(world, Purpose.UPDATE)
    [path] = [path for path in host.files if path.endswith("/state.tar")]
    host.files[path] = FakeFile(host.content(path) + b"!")
    world.change("alice", version=OLD)
    ends = []
    for _ in range(4):
        world.clock.sleep(3600)
        ends.append([it.code for it in world.apply()])
    assert ends == [[OutcomeCode.FAILED], [], [], []]
    assert (held(world), first[0] in kept(world, Purpose.UPDATE)) == (OLD, True)
    assert len(kept(world, Purpose.UPDATE)) == 2


def test_what_is_of_before_stays_as_long_as_what_its_server_knew_last(world: FakeFleet) -> None:
    """However many servers the child has had since."""
    world.change("alice", version=OLD, backup=BackupSettings(keep=2))
    world.apply(options=SLEEPS)
    for _ in range(3):
        world.clock.sleep(3600)
        client = world.client()
        with client.lock("fleet wake"):
            planned = client.plan_waking({"alice": client.keeper().find("alice")})
            client.begin_waking(planned)
            client.apply(planned)
        world.clock.sleep(3600)
        world.apply(options=SLEEPS)
    of_cat = [it for it in kept(world, Purpose.EARLIER) if said(it) == 2]
    lasts = {it.uid for it in kept(world, Purpose.SLEEP)}
    assert {it.uid for it in of_cat} <= lasts
    assert of_cat
