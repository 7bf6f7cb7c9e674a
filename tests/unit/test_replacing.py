"""Another server for a child: what happens to the old one, when, and what a plan says of a replacement that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import HostError, HostTimedOut, InvalidRequest
from reconciler.model import Action, Outcome, OutcomeCode, PlanOptions, Server, ServerStatus
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

DOG: Final = "my dog is called Bello"
VERSION: Final = "2026.9.6"
ALLOWED: Final = PlanOptions(allow_replace=frozenset({"alice"}))
GIVEN_UP: Final = PlanOptions(allow_replace=frozenset({"alice"}), without_copy=frozenset({"alice"}))


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice", "bob")).applied()
    made.host("alice").gateway.remember(DOG)
    made.change("alice", regions=("hel1",))
    return made


def replaced(world: FakeFleet, options: PlanOptions = ALLOWED) -> Outcome:
    [outcome] = world.apply(options=options)
    return outcome


def servers(world: FakeFleet) -> list[Server]:
    return [server for server in world.cloud.by_id.values() if server.child == "alice"]


def polling(world: FakeFleet) -> list[FakeHost]:
    """Who asks Telegram for alice's messages."""
    up = [server for server in servers(world) if server.status is ServerStatus.RUNNING]
    hosts = [world.dialer.hosts[server.id] for server in up if server.id in world.dialer.hosts]
    return [host for host in hosts if host.gateway.active == "active"]


def planned(world: FakeFleet, options: PlanOptions = PlanOptions()) -> Action:  # noqa: B008
    [action] = world.client().plan(options=options).plan.actions
    return action


def is_as_before(world: FakeFleet, number: int) -> bool:
    """It has the one server that it had, and answers there with its memory."""
    [host] = polling(world)
    is_same = [server.id for server in servers(world) if not server.is_successor] == [number]
    return is_same and host is world.dialer.hosts[number] and host.gateway.memory == [DOG]


def test_the_new_server_has_memory_name_bot_and_one_start_more(world: FakeFleet) -> None:
    old = world.server("alice")
    assert replaced(world).code is OutcomeCode.DONE
    [new] = servers(world)
    assert (new.name, new.region, new.bot) == ("demo-alice", "hel1", old.bot)
    assert not new.is_successor
    assert world.host("alice").gateway.memory == [DOG]
    assert world.host("alice").gateway.starts == 2  # the second one is part of the proof
    assert world.planned() == []
    assert world.store.records()["alice"].server_id == new.id


@pytest.mark.parametrize("refusal", ["stock", "quota"])
def test_what_cannot_be_had_leaves_the_old_server_alone(world: FakeFleet, refusal: str) -> None:
    before, starts = world.server("alice"), world.host("alice").gateway.starts
    agreed = world.client().plan(options=ALLOWED)
    if refusal == "stock":
        world.cloud.sold_out.add(("cpx22", "hel1"))
    else:
        world.cloud.server_limit = len(world.cloud.by_id)
    [outcome] = world.client().apply(agreed)
    assert outcome.code is OutcomeCode.FAILED
    assert world.cloud.by_id[before.id] == before
    assert world.host("alice").gateway.starts == starts
    assert is_as_before(world, before.id)


def test_who_is_protected_since_the_plan_is_not_touched(world: FakeFleet) -> None:
    agreed, old = world.client().plan(options=ALLOWED), world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/protect": "true"})
    [outcome] = world.client().apply(agreed)
    assert "was protected after the plan was made" in outcome.error
    assert len(servers(world)) == 1
    assert is_as_before(world, old.id)


def test_a_copy_that_fails_lets_the_old_gateway_go_on_at_once(world: FakeFleet) -> None:
    old = world.server("alice")
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    outcome = replaced(world)
    assert outcome.code is OutcomeCode.FAILED
    assert "alice answers on its old server" in outcome.advice
    assert is_as_before(world, old.id)
    assert "openclaw-gateway.service" in world.host("alice").systemd.enabled


def test_what_was_begun_is_gone_on_with_and_no_third_server_made(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    made = len(world.cloud.requests)
    action = planned(world, ALLOWED)
    assert any("is left of a replacement that did not end" in note for note in action.notes)
    assert replaced(world).code is OutcomeCode.DONE
    assert len(world.cloud.requests) == made
    assert len(servers(world)) == 1


def test_what_does_not_fit_any_more_goes_before_another_one_is_made(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    [spare] = [server for server in servers(world) if server.is_successor]
    world.change("alice", regions=("fsn1",))
    assert replaced(world).code is OutcomeCode.DONE
    [new] = servers(world)
    assert (new.region, spare.id in world.cloud.by_id) == ("fsn1", False)


def test_where_it_is_not_allowed_any_more_its_new_server_goes_and_saves_its_price(world: FakeFleet) -> None:
    old = world.server("alice")
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    world.change("alice", regions=("nbg1",))
    action = planned(world)
    assert (str(action.kind), str(action.reason.code)) == ("update", "unfinished")
    assert action.monthly is not None
    assert action.monthly.startswith("-")
    world.apply()
    assert len(servers(world)) == 1
    assert is_as_before(world, old.id)


def test_a_proof_that_fails_goes_back_and_keeps_what_the_new_one_was_told(world: FakeFleet) -> None:
    old = world.server("alice")
    world.dialer.flawed = {VERSION: "second start"}
    outcome = replaced(world)
    assert outcome.code is OutcomeCode.FAILED
    assert "alice answers on its old server, and the new one, demo-" in outcome.advice
    assert is_as_before(world, old.id)
    [spare] = [server for server in servers(world) if server.is_successor]
    world.dialer.hosts[spare.id].gateway.remember("I was told this on the new server")
    world.change("alice", regions=("nbg1",))
    world.apply()
    newest = world.client().keeper().find("alice")
    assert newest.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 2}}
    assert [server.id for server in servers(world)] == [old.id]
    assert world.planned() == []


def test_a_new_gateway_that_nobody_can_stop_is_switched_off_before_the_old_one_starts(world: FakeFleet) -> None:
    old = world.server("alice")
    lost: HostError = HostTimedOut("no answer")
    world.dialer.failing = [("restart openclaw-gateway", lost)] * 3 + [("disable openclaw-gateway", lost)] * 3
    assert replaced(world).code is OutcomeCode.FAILED
    [new] = [server for server in servers(world) if server.is_successor]
    assert (new.status, new.is_told) == (ServerStatus.OFF, True)
    assert is_as_before(world, old.id)
    world.change("alice", regions=("nbg1",))
    [outcome] = world.apply()
    assert "what it was told cannot be copied" in outcome.error
    assert is_as_before(world, old.id)
    world.apply(options=PlanOptions(without_copy=frozenset({"alice"})))
    assert [server.id for server in servers(world)] == [old.id]


def test_whose_host_is_silent_is_replaced_only_where_its_memory_is_given_up(world: FakeFleet) -> None:
    world.dialer.silent[world.server("alice").id] = HostTimedOut("no answer")
    plan = world.client().plan(options=ALLOWED).plan
    assert plan.actions == ()
    assert any("--no-backup alice" in found.detail for found in plan.diagnostics)
    assert replaced(world, GIVEN_UP).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == []
    assert "memory-given-up" in [event.event for event in world.events()]
    assert len(servers(world)) == 1


def test_a_silent_host_is_switched_off_before_anybody_takes_its_place(world: FakeFleet) -> None:
    old = world.server("alice")
    world.dialer.silent[old.id] = HostTimedOut("no answer")
    world.cloud.fail_next("set_labels", InvalidRequest("no"))  # the one that would retire it
    assert replaced(world, GIVEN_UP).code is OutcomeCode.FAILED
    assert not world.server("alice").is_retired
    assert world.cloud.power_ons[old.id] == 1  # so it was off


def test_who_was_never_finished_and_was_told_something_keeps_it_on_another_server(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": "true"})
    assert replaced(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


@pytest.mark.parametrize("value", ["true", "untouched"])
def test_where_no_gateway_has_ever_started_there_is_no_memory_to_move(world: FakeFleet, value: str) -> None:
    old, host = world.server("alice"), world.host("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": value})
    for path in [path for path in host.files if "/.openclaw/state/" in path]:
        del host.files[path]
    assert replaced(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == []
    assert world.client().keeper().kept("alice").backups == ()


def test_who_was_never_finished_and_cannot_be_asked_is_not_replaced(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": "true"})
    world.dialer.silent[old.id] = HostTimedOut("no answer")
    assert "no last copy can be taken of what alice may have been told" in replaced(world).error
    assert [server.id for server in servers(world)] == [old.id]


def test_a_server_that_was_to_succeed_one_that_is_gone_may_be_empty(world: FakeFleet) -> None:
    world.client().keeper().create(["alice"])
    before = world.server("alice").id
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    assert replaced(world).code is OutcomeCode.FAILED
    del world.cloud.by_id[before]
    [told] = world.client().plan(["alice"]).plan.diagnostics
    assert "alice goes on with the server that was to succeed its own, maybe without a memory" in told.summary
    assert told.detail == "to give it that one afterwards: fleet restore alice"


def test_a_successor_that_somebody_deletes_leaves_the_old_server_to_go_on(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/retired": "true"})
    world.host("alice").gateway.stop()
    world.host("alice").systemd.disable("openclaw-gateway.service")
    world.change("alice", regions=("nbg1",))
    world.apply()
    assert is_as_before(world, old.id)
    assert not world.server("alice").is_retired
    assert world.planned() == []
