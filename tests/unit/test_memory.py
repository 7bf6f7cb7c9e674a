"""What a gateway remembers goes with no server: last copies, sleep and waking, and who cannot be copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler import commands
from reconciler.api import FleetClient
from reconciler.errors import CloudUnavailable, HostTimedOut, Refused
from reconciler.keys import backup_recipient, make_key
from reconciler.manifests import NOTE
from reconciler.model import (
    BackupSettings,
    Json,
    Kind,
    Outcome,
    OutcomeCode,
    PlanOptions,
    Purpose,
    ServerStatus,
    Severity,
    Sleep,
)
from reconciler.steps.quarantine import mark_of, set_mark
from reconciler.steps.sleeping import note_sleep
from reconciler.vaults.directory import DirectoryVault
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

DOG: Final = "my dog is called Bello"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice", "bob")).applied()
    made.host("alice").gateway.remember(DOG)
    return made


def backups(world: FakeFleet, name: str = "alice") -> list[str]:
    return [backup.id for backup in world.client().keeper().kept(name).backups]


def destroyed(world: FakeFleet, *without_copy: str) -> Outcome:
    client = world.client()
    [outcome] = client.apply(client.plan_destruction(["alice"], without_copy=without_copy))
    return outcome


def hibernated(world: FakeFleet) -> Outcome:
    client = world.client()
    [outcome] = client.apply(client.plan_hibernation(["alice"]))
    return outcome


def woken(world: FakeFleet, client: FleetClient | None = None) -> Outcome:
    client = client or world.client()
    planned = client.plan_waking({"alice": client.keeper().find("alice")})
    client.begin_waking(planned)
    [outcome] = client.apply(planned)
    return outcome


def replaced(world: FakeFleet) -> Outcome:
    world.change("alice", regions=("hel1",))
    [outcome] = world.apply(options=PlanOptions(allow_replace=frozenset({"alice"})))
    return outcome


def is_there(world: FakeFleet, name: str = "alice") -> bool:
    return any(server.name == f"demo-{name}" for server in world.cloud.by_id.values())


def test_nothing_is_destroyed_before_its_memory_is_kept_and_read_back(world: FakeFleet) -> None:
    assert destroyed(world).code is OutcomeCode.DONE
    assert not is_there(world)
    [kept] = world.client().keeper().kept("alice").backups
    assert kept.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}
    assert kept.purpose is Purpose.LAST
    assert world.client().keeper().verify("alice", kept)


def test_who_is_taken_out_of_the_file_can_be_looked_up_and_comes_back_with_its_memory(world: FakeFleet) -> None:
    spec = world.specs.pop("alice")
    world.apply()
    assert not is_there(world)
    assert len(backups(world)) == 1
    world.specs["alice"] = spec
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []


def test_a_copy_that_fails_keeps_the_server_and_starts_its_gateway_again(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    assert destroyed(world).code is OutcomeCode.FAILED
    assert is_there(world)
    assert world.host("alice").gateway.active == "active"
    assert backups(world) == []


@pytest.mark.parametrize("claims", [["x"] * 150_000, json.loads("[" * 600 + "]" * 600)], ids=["many", "deep"])
def test_a_memory_is_kept_whatever_its_user_says_that_it_holds(world: FakeFleet, claims: Json) -> None:
    world.host("alice").claims = claims
    assert destroyed(world).code is OutcomeCode.DONE
    [kept] = world.client().keeper().kept("alice").backups
    assert world.client().keeper().verify("alice", kept)
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


def test_no_server_goes_whose_backup_nobody_can_find_again(world: FakeFleet) -> None:
    class Forgetful(DirectoryVault):
        def put(self, name: str, source: Path) -> None:
            super().put(name, source)
            if name.endswith(NOTE):
                (self.directory / name).write_bytes(source.read_bytes()[:-2])

    ports = replace(world.ports(), vault=lambda place: Forgetful(world.vault))
    client = FleetClient(world.fleet(), ports)
    [outcome] = client.apply(client.plan_destruction(["alice"]))
    assert outcome.code is OutcomeCode.FAILED
    assert "is not as it was written" in outcome.error
    assert (is_there(world), world.host("alice").gateway.active) == (True, "active")


def test_who_does_not_answer_is_deleted_only_where_a_person_says_so(world: FakeFleet) -> None:
    world.dialer.silent[world.server("alice").id] = HostTimedOut("no answer")
    planned = world.client().plan_destruction(["alice"]).plan
    assert planned.actions == ()
    assert "its host does not answer, so no last copy of its memory can be taken" in planned.diagnostics[0].summary
    assert "--no-backup alice" in planned.diagnostics[0].detail
    assert destroyed(world, "alice").code is OutcomeCode.DONE
    assert not is_there(world)
    assert "memory-given-up" in [event.event for event in world.events()]


def test_who_is_switched_off_cannot_be_copied_either(world: FakeFleet) -> None:
    world.change("alice", enabled=False)
    world.apply()
    assert world.server("alice").status is ServerStatus.OFF
    del world.specs["alice"]
    assert world.planned() == []
    assert is_there(world)


def test_what_serves_nobody_is_not_copied(world: FakeFleet) -> None:
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/throwaway": "true"})
    world.dialer.silent[server.id] = HostTimedOut("no answer")
    assert destroyed(world).code is OutcomeCode.DONE
    assert backups(world) == []


def test_a_switch_that_was_left_is_undone_before_the_copy(world: FakeFleet) -> None:
    host = world.host("alice")
    host.run(commands.begin_switch("20261126T000000Z", "2026.9.6", "2026.9.7"))
    assert destroyed(world).code is OutcomeCode.DONE
    [kept] = world.client().keeper().kept("alice").backups
    assert kept.version == "2026.9.6"
    assert kept.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}


def test_who_sleeps_has_no_server_and_no_apply_makes_one(world: FakeFleet) -> None:
    assert hibernated(world).code is OutcomeCode.DONE
    assert not is_there(world)
    plan = world.client().plan().plan
    assert plan.actions == ()
    assert str(plan.sync["alice"]) == "SUSPENDED"
    assert plan.diagnostics[0].summary == f"alice is asleep: its memory is in the backup {backups(world)[0]}"
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []
    assert world.client().plan().children["alice"].asleep is None


def test_its_first_start_on_a_new_server_is_with_its_memory(world: FakeFleet) -> None:
    hibernated(world)
    woken(world)
    assert world.host("alice").gateway.starts == 1


def test_a_wake_that_was_cut_off_is_gone_on_with_by_any_apply(world: FakeFleet) -> None:
    hibernated(world)
    client = world.client()
    client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))
    assert world.planned() == ["create alice: asked"]
    world.apply()
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []


def test_who_was_to_wake_and_has_no_backup_any_more_is_not_made_with_an_empty_mind(world: FakeFleet) -> None:
    hibernated(world)
    client = world.client()
    client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))
    for path in (world.state.parent / "backups").rglob("*.json"):
        path.unlink()
    plan = world.client().plan().plan
    assert plan.actions == ()
    assert "alice is to wake, and its backup cannot be had" in plan.diagnostics[0].summary
    client.forget_sleep("alice", client.asleep()["alice"])
    assert world.planned() == ["create alice: gone"] or world.planned() == ["create alice: declared"]


def test_who_would_start_with_an_empty_mind_and_has_backups_is_named(world: FakeFleet) -> None:
    destroyed(world)
    [told] = world.client().plan().plan.diagnostics
    assert "alice will be made without a memory, and there are backups of it" in told.summary
    assert told.detail == "to give it that one instead: fleet restore alice"


def test_who_has_lost_its_server_is_not_made_with_an_empty_mind(world: FakeFleet) -> None:
    """Else the copies of an empty mind would push out those of the real one in time, and nobody would have noticed."""
    client = world.client()
    client.keeper().create(["alice"])
    del world.cloud.by_id[world.server("alice").id]
    plan = world.client().plan().plan
    assert (plan.actions, [it.severity for it in plan.diagnostics]) == ((), [Severity.ERROR])
    assert "alice is not made without a memory: its server is gone" in plan.diagnostics[0].summary
    client.apply(client.plan_restore("alice", client.keeper().find("alice")))
    assert (world.host("alice").gateway.memory, world.planned()) == ([DOG], [])


def test_who_has_lost_its_server_is_made_anew_where_a_person_says_so(world: FakeFleet) -> None:
    client = world.client()
    client.keeper().create(["alice"])
    del world.cloud.by_id[world.server("alice").id]
    assert client.asleep(["alice"]) == {}
    client.forget_sleep("alice", client.asleep(["alice"], or_lost=True)["alice"])
    world.apply()
    assert (world.host("alice").gateway.memory, world.planned()) == ([], [])


def test_who_was_copied_to_be_deleted_and_was_not_is_no_empty_mind_later(world: FakeFleet) -> None:
    """A destruction failed after its last copy, and its server was lost then."""
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    assert destroyed(world).code is OutcomeCode.FAILED
    world.clock.sleep(60)
    world.specs["alice"] = make_spec("alice", server_type="cpx22", labels={"team": "red"})
    world.apply()
    del world.cloud.by_id[world.server("alice").id]
    assert world.planned() == []


def test_whose_last_copy_went_where_the_file_keeps_those_was_not_lost(world: FakeFleet) -> None:
    spec = world.specs["alice"]
    world.change("alice", backup=BackupSettings(to="elsewhere"))
    world.client().keeper().create(["alice"])
    world.clock.sleep(60)
    del world.specs["alice"]
    assert world.apply()[0].code is OutcomeCode.DONE
    world.specs["alice"] = replace(spec, backup=BackupSettings(to="elsewhere"))
    assert world.planned() == ["create alice: declared"]


def test_who_has_its_server_is_not_given_up_as_one_that_was_lost(world: FakeFleet) -> None:
    client = world.client()
    client.keeper().create(["alice"])
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/unfinished": "true"})
    assert world.client().asleep(["alice"], or_lost=True) == {}


def test_sleep_that_was_cut_off_is_gone_on_with(world: FakeFleet) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    assert hibernated(world).code is OutcomeCode.FAILED
    assert world.planned() == ["hibernate alice: unfinished"]
    world.apply()
    assert not is_there(world)
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


def test_who_is_protected_does_not_sleep(world: FakeFleet) -> None:
    world.change("alice", protect=True)
    with pytest.raises(Refused, match="protected: alice"):
        world.client().plan_hibernation(["alice"])


def test_who_has_no_server_does_not_sleep_and_is_not_made_for_it(world: FakeFleet) -> None:
    destroyed(world)
    with pytest.raises(Refused, match="no server that the fleet file declares: alice"):
        world.client().plan_hibernation(["alice"])


def test_another_server_gets_what_the_old_one_remembered(world: FakeFleet) -> None:
    world.change("alice", regions=("hel1",))
    [outcome] = world.apply(options=PlanOptions(allow_replace=frozenset({"alice"})))
    assert outcome.code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []
    assert world.client().plan().children["alice"].asleep is None


@pytest.mark.parametrize("kind", ["replaced", "hibernated", "destroyed"])
def test_a_server_that_cannot_be_deleted_goes_on_with_its_gateway(world: FakeFleet, kind: str) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    ends: dict[str, Callable[[], object]] = {
        "replaced": lambda: replaced(world),
        "hibernated": lambda: hibernated(world),
        "destroyed": lambda: destroyed(world),
    }
    ends[kind]()
    assert world.host("alice").gateway.active == "active"
    assert world.host("alice").gateway.memory == [DOG]


def test_no_gateway_is_stopped_for_a_server_that_cannot_be_had(world: FakeFleet) -> None:
    world.change("alice", regions=("hel1",))
    planned = world.client().plan(options=PlanOptions(allow_replace=frozenset({"alice"})))
    world.cloud.sold_out.add(("cpx22", "hel1"))  # since the plan
    [outcome] = world.client().apply(planned)
    assert "no new server for alice can be had now" in outcome.error
    assert world.host("alice").gateway.starts == 1
    assert backups(world) == []


def test_who_is_off_is_not_replaced_before_its_memory_can_be_copied(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    assert replaced(world).action.kind is Kind.START
    assert replaced(world).action.kind is Kind.REPLACE
    assert world.host("alice").gateway.memory == [DOG]


def test_who_is_put_to_sleep_while_off_is_told_so_by_the_plan(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    plan = world.client().plan_hibernation(["alice"]).plan
    assert plan.actions == ()
    assert "no last copy of its memory can be taken" in plan.diagnostics[0].summary


def test_who_is_destroyed_in_the_midst_of_a_move_does_not_hand_its_memory_to_a_namesake(world: FakeFleet) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    replaced(world)
    assert [server.label("child") for server in world.cloud.by_id.values()].count("alice") == 2
    spec = world.specs.pop("alice")
    world.apply()
    assert "alice" not in [server.label("child") for server in world.cloud.by_id.values()]
    world.specs["alice"] = spec
    world.apply()
    assert world.host("alice").gateway.memory == []


def test_who_is_put_to_sleep_in_the_midst_of_its_waking_sleeps_with_the_same_backup(world: FakeFleet) -> None:
    hibernated(world)
    [kept] = backups(world)
    client = world.client()
    planned = client.plan_waking({"alice": client.keeper().find("alice")})
    client.begin_waking(planned)
    for name in ("a", "b", "c"):
        world.cloud.fail_next("wait", CloudUnavailable(name))
    client.apply(planned)
    world.clock.sleep(700)
    assert world.client().plan().children["alice"].is_unfinished
    assert hibernated(world).code is OutcomeCode.DONE
    assert not is_there(world)
    assert backups(world) == [kept]
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


def test_a_memory_is_given_also_to_a_gateway_that_was_started_without_one(world: FakeFleet) -> None:
    """Its first apply knew of none, and died before its end; then a person said that it shall wake."""
    client = world.client()
    backup = client.keeper().create(["alice"])[0].backup
    assert backup is not None
    del world.cloud.by_id[world.server("alice").id]
    place = world.state.parent / "backups"
    place.rename(place.with_name("away"))
    world.apply()
    place.with_name("away").rename(place)
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/unfinished": "true"})
    assert world.host("alice").gateway.memory == []
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


def test_what_only_another_can_open_is_not_moved_to_another_server(world: FakeFleet) -> None:
    world.change("alice", regions=("hel1",), backup=BackupSettings(recipient=backup_recipient(make_key(bytes(32)))))
    [outcome] = world.apply(options=PlanOptions(allow_replace=frozenset({"alice"})))
    assert outcome.code is OutcomeCode.FAILED
    assert "nobody here could give its memory to another server" in outcome.error
    assert is_there(world)
    assert world.host("alice").gateway.memory == [DOG]
    assert world.host("alice").gateway.active == "active"


def test_a_last_copy_goes_where_the_file_says_for_this_child(world: FakeFleet) -> None:
    world.change("alice", backup=BackupSettings(to="elsewhere"))
    assert destroyed(world).code is OutcomeCode.DONE
    assert len(backups(world)) == 1
    assert list((world.state.parent / "elsewhere" / "demo" / "alice").iterdir())


def test_a_restore_makes_who_has_no_server_a_new_one_with_its_memory(world: FakeFleet) -> None:
    destroyed(world)
    client = world.client()
    planned = client.plan_restore("alice", client.keeper().find("alice"))
    client.begin_waking(planned)
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.DONE
    assert (world.host("alice").gateway.memory, world.host("alice").gateway.starts) == ([DOG], 1)
    assert world.planned() == []


def test_who_is_woken_before_its_server_went_is_only_not_deleted(world: FakeFleet) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    hibernated(world)
    client = world.client()
    planned = client.plan_waking({"alice": client.keeper().find("alice")})
    assert planned.plan.is_empty
    client.begin_waking(planned)
    assert (world.host("alice").gateway.memory, world.host("alice").gateway.active) == ([DOG], "active")
    assert world.planned() == []
    assert world.client().asleep() == {}


def test_going_back_says_beforehand_how_much_is_set_aside(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7")
    world.apply()
    [checkpoint] = world.client().checkpoints(["alice"])["alice"].facts.checkpoints  # type: ignore[union-attr]
    world.host("alice").gateway.remember("my fish is called Wanda")
    world.host("alice").gateway.remember("my cat is called Tom")
    [action] = world.client().plan_rollback(["alice"]).plan.actions
    assert action.notes[-1] == "2 entries of its conversations came since, and will be set aside"
    world.change("alice", version="2026.9.6")
    [action] = world.client().plan().plan.actions
    assert action.notes[-1] == "2 entries of its conversations came since, and will be set aside"
    world.host("alice").fails = [("count what was said", HostTimedOut("gone", "again"))]
    [action] = world.client().plan().plan.actions
    assert f"the checkpoint of {checkpoint.at[:10]}" in " ".join(action.notes)
    assert "entries" not in action.notes[-1]


def test_who_sleeps_and_gets_another_name_still_sleeps_and_wakes_with_its_memory(world: FakeFleet) -> None:
    hibernated(world)
    world.move("alice", "alba")
    assert world.planned() == []
    client = world.client()
    sleep = client.asleep(["alba"])["alba"]
    planned = client.plan_waking({"alba": client.keeper().find(sleep.source, sleep.backup)})
    client.begin_waking(planned)
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.DONE
    assert world.host("alba").gateway.memory == [DOG]
    assert (world.planned(), world.client().asleep()) == ([], {})


def test_a_child_of_another_name_is_warned_of_before_it_is_made_empty(world: FakeFleet) -> None:
    destroyed(world)
    world.move("alice", "alba")
    [told] = world.client().plan().plan.diagnostics
    assert "alba will be made without a memory, and there are backups of it" in told.summary


def test_who_is_woken_while_its_server_is_on_its_way_out_is_not_forgotten(world: FakeFleet) -> None:
    hibernated(world)
    spare = world.server("bob")
    world.cloud.add(
        replace(
            spare,
            id=99,
            name="demo-alice",
            status=ServerStatus.DELETING,
            labels={**spare.labels, "openclaw-deploy/child": "alice"},
        )
    )
    client = world.client()
    client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))
    del world.cloud.by_id[99]
    assert world.planned() == ["create alice: asked"]
    world.apply()
    assert world.host("alice").gateway.memory == [DOG]


def test_whose_memory_it_is_stays_known_through_sleep(world: FakeFleet) -> None:
    destroyed(world)
    world.specs["w"] = make_spec("w", server_type="cpx22")
    client = world.client()
    backup = client.keeper().find("alice")
    for sleep in (Sleep(backup.id, "alice"), Sleep(backup.id, "alice", is_waking=True), Sleep(backup.id, "w")):
        note_sleep(client.fleet, world.ports(), "w", sleep)
        assert client.asleep()["w"] == replace(sleep, noted_as="w")


def test_a_full_disk_here_keeps_the_server_and_starts_its_gateway_again(world: FakeFleet) -> None:
    place = world.state.parent / "backups"
    place.write_text("a file in the place of the directory")
    outcome = destroyed(world)
    assert outcome.code is OutcomeCode.FAILED
    assert "this is a bug" not in outcome.error
    assert (is_there(world), world.host("alice").gateway.active) == (True, "active")


def unfinished(world: FakeFleet) -> int:
    """An apply was cut off on its server after its gateway's start, and users have talked to it."""
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/unfinished": "true"})
    return server.id


def test_what_was_told_before_a_first_apply_has_ended_is_kept(world: FakeFleet) -> None:
    unfinished(world)
    assert destroyed(world).code is OutcomeCode.DONE
    assert not is_there(world)
    [kept] = world.client().keeper().kept("alice").backups
    assert kept.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}


def test_what_is_not_finished_and_does_not_answer_goes_only_where_a_person_says_so(world: FakeFleet) -> None:
    world.dialer.silent[unfinished(world)] = HostTimedOut("no answer")
    outcome = destroyed(world)
    assert "no last copy can be taken of what alice may have been told" in outcome.error
    assert "--no-backup alice" in outcome.advice
    assert is_there(world)
    assert destroyed(world, "alice").code is OutcomeCode.DONE
    assert not is_there(world)


def test_what_is_not_finished_and_is_off_is_not_even_planned_to_go(world: FakeFleet) -> None:
    unfinished(world)
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    assert world.client().plan_destruction(["alice"]).plan.is_empty
    untouched = {**world.server("alice").labels, "openclaw-deploy/unfinished": "untouched"}
    world.cloud.add(replace(world.server("alice"), labels=untouched))
    assert destroyed(world).code is OutcomeCode.DONE


def test_a_copy_that_fails_of_what_is_not_finished_starts_its_gateway_again(world: FakeFleet) -> None:
    unfinished(world)
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))]
    assert destroyed(world).code is OutcomeCode.FAILED
    assert (is_there(world), world.host("alice").gateway.active) == (True, "active")


def test_a_server_that_nobody_ever_got_into_goes_without_ceremony(world: FakeFleet) -> None:
    destroyed(world)
    twin = world.copy(world.state.parent / "twin")
    twin.apply()
    world.dialer.silent[twin.server("alice").id] = HostTimedOut("no answer")  # it will have that number
    world.apply()
    assert world.server("alice").is_untouched
    copies = backups(world)
    assert destroyed(world).code is OutcomeCode.DONE
    assert (is_there(world), backups(world)) == (False, copies)


def test_from_its_first_start_on_a_server_is_not_called_untouched(world: FakeFleet) -> None:
    server, host = world.server("alice"), world.host("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/unfinished": "untouched"})
    host.run(commands.stop_unit("openclaw-gateway.service"))
    host.fails = [("restart openclaw-gateway.service", HostTimedOut("gone", "again"))] * 3
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert (world.server("alice").is_unfinished, world.server("alice").is_untouched) == (True, False)


def test_what_was_told_in_the_midst_of_a_waking_is_not_lost_by_sleep(world: FakeFleet) -> None:
    hibernated(world)
    client = world.client()
    planned = client.plan_waking({"alice": client.keeper().find("alice")})
    client.begin_waking(planned)
    client.apply(planned)
    client.begin_waking(planned)  # it was cut off before its end, with its gateway running
    unfinished(world)
    world.host("alice").gateway.remember("my fish is called Wanda")
    assert hibernated(world).code is OutcomeCode.DONE
    assert len(backups(world)) == 2
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG, "my fish is called Wanda"]


@pytest.mark.parametrize("way", [destroyed, hibernated])
def test_no_boot_starts_a_gateway_after_its_last_copy(world: FakeFleet, way: Callable[[FakeFleet], Outcome]) -> None:
    host = world.host("alice")
    way(world)
    assert "openclaw-gateway.service" not in host.systemd.enabled


@pytest.mark.parametrize("way", [destroyed, hibernated])
def test_a_server_that_stays_after_all_starts_its_gateway_at_each_boot(
    world: FakeFleet, way: Callable[[FakeFleet], Outcome]
) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    way(world)
    assert "openclaw-gateway.service" in world.host("alice").systemd.enabled


def test_who_is_asleep_and_has_its_server_still_is_not_restored(world: FakeFleet) -> None:
    for _ in range(3):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    hibernated(world)
    client = world.client()
    with pytest.raises(Refused, match="alice is asleep, and the server that it had is not deleted yet") as refusal:
        client.plan_restore("alice", client.keeper().find("alice"))
    assert refusal.value.advice.startswith("end that first: fleet apply alice")


def test_who_ran_on_a_version_that_was_quarantined_since_wakes_on_it(world: FakeFleet) -> None:
    hibernated(world)
    set_mark(world.fleet(), world.ports(), "2026.9.6", mark_of(world.clock.now(), "bob", "prove healthy"))
    client = world.client()
    [action] = client.plan_waking({"alice": client.keeper().find("alice")}).plan.actions
    assert "it wakes on OpenClaw 2026.9.6, as it went to sleep, although that is quarantined" in action.notes[-1]
    assert woken(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]
    assert world.planned() == []
