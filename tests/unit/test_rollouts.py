"""Who goes over to another version, when, and what keeps others from it: on a fleet in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import CloudUnavailable, CommandFailed, HostTimedOut
from reconciler.managed import files
from reconciler.model import Child, Hold, Kind, OutcomeCode, Percent, Plan, PlanOptions, Policy, Rollout
from reconciler.steps.quarantine import held_by_hosts
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost
from tests.fakes.worlds import make_spec
from tests.unit.test_steps_switching import after

OLD: Final = "2026.9.6"
NEW: Final = "2026.9.7"
NAMES: Final = ("alice", "bob", "carol")
MOVED: Final = PlanOptions(allow_replace=True)


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state, NAMES).applied()


def to_new(world: FakeFleet, names: Iterable[str] = NAMES) -> None:
    for name in names:
        world.change(name, version=NEW)


def linked(host: FakeHost) -> str:
    return host.links[files.CURRENT].rpartition("/")[2]


def versions(world: FakeFleet) -> list[str]:
    return [linked(world.host(name)) for name in world.names]


def batches(plan: Plan) -> list[tuple[str, str, int]]:
    return [(str(action.kind), action.child, action.batch) for action in plan.actions]


def withdraw_key(world: FakeFleet) -> None:
    for host in world.dialer.hosts.values():
        host.models = "403"


def test_another_server_and_another_version_are_one_after_the_other(world: FakeFleet) -> None:
    """Else no canary would have tried that version, and nothing would be held where it fails."""
    world.rollout, world.policy = Rollout(canaries=1, batch=1), Policy(max_destroys=100)
    for name in NAMES:
        world.change(name, version=NEW, regions=("hel1",))
        world.host(name).gateway.remember(name)
    planned = world.client().plan(options=MOVED).plan
    assert batches(planned) == [("replace", name, 0) for name in NAMES]
    assert f"it moves with OpenClaw {OLD}; the apply after this one brings it to {NEW}" in planned.actions[0].notes
    assert all(outcome.code is OutcomeCode.DONE for outcome in world.apply(options=MOVED))
    assert versions(world) == [OLD] * 3
    assert batches(world.client().plan().plan) == [("update", name, place) for place, name in enumerate(NAMES, 1)]
    assert all(outcome.code is OutcomeCode.DONE for outcome in world.apply())
    assert versions(world) == [NEW] * 3
    assert [world.host(name).gateway.memory for name in NAMES] == [[name] for name in NAMES]


def test_a_server_that_was_off_starts_with_its_version_and_goes_to_another_in_its_batch(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1)
    for name in NAMES:
        world.change(name, enabled=False)
    world.apply()
    for name in NAMES:
        world.change(name, enabled=True, version=NEW)
        world.host(name).gateway.flawed = {NEW: "exits"}
    planned = world.client().plan().plan
    assert batches(planned) == [("start", name, 0) for name in NAMES]
    goes_on = f"the apply after this one brings it to {NEW}, if nothing on its host keeps it from that"
    assert f"it starts with OpenClaw {OLD}; {goes_on}" in planned.actions[0].notes
    world.apply()
    assert versions(world) == [OLD] * 3
    started = [world.host(name).gateway.starts for name in NAMES]
    assert [outcome.code for outcome in world.apply(workers=1)] == [OutcomeCode.FAILED] * 3
    assert list(world.client().quarantined()) == [NEW]
    assert [world.host(name).gateway.starts for name in NAMES][1:] == started[1:]  # not tried, so never stopped


def test_nobody_follows_a_canary_that_has_failed_at_whatever(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=("alice",), batch=5)
    to_new(world)
    world.host("alice").fails = [("take a checkpoint", CommandFailed("no space left on device"))] * 3
    alice, bob, carol = world.apply()
    assert "no space left on device" in alice.error
    assert bob.error.startswith("not tried, alice has failed before it in this rollout: no space left on device")
    assert carol.error == bob.error
    assert versions(world) == [OLD] * 3
    assert world.client().quarantined() == {}


def test_as_many_may_fail_before_that_as_the_file_says(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, max_failures=2)
    to_new(world)
    world.host("alice").fails = [("take a checkpoint", CommandFailed("no space left on device"))] * 3
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED, OutcomeCode.DONE, OutcomeCode.DONE]
    assert versions(world) == [OLD, NEW, NEW]


def test_nobody_goes_before_a_named_canary_that_cannot(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=("a*",), batch=5)
    to_new(world)
    world.change("carol", version=OLD, labels={"team": "red"})
    world.dialer.silent[world.server("alice").id] = HostTimedOut("no answer")
    plan = world.client().plan().plan
    assert batches(plan) == [("update", "carol", 0)]  # what concerns no version goes on
    waits = [found for found in plan.diagnostics if found.address == "bob"]
    assert [found.summary for found in waits] == [
        f"bob waits with all that it needs: alice of the canaries shall run on {NEW} first"
    ]
    world.dialer.silent.clear()
    assert [place for _, _, place in batches(world.client().plan().plan)] == [0, 1, 2]


def test_a_canary_that_is_brought_back_keeps_the_others_only_as_the_file_says(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=("alice",), batch=1, max_failures=2)
    to_new(world)
    world.host("alice").gateway.flawed = {NEW: "exits"}
    world.apply()
    assert versions(world) == [OLD, NEW, NEW]
    world.change("bob", version="2026.9.8")  # held is only what failed
    assert [child for _, child, _ in batches(world.client().plan().plan)] == ["bob"]


def test_failures_of_several_applies_count_together(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, max_failures=2)
    for name in NAMES:
        world.host(name).gateway.flawed = {NEW: "exits"}
    to_new(world, ("alice",))
    world.apply()
    assert world.client().quarantined() == {}
    to_new(world, ("bob",))
    world.apply()
    assert list(world.client().quarantined()) == [NEW]
    to_new(world, ("carol",))
    assert world.planned() == []


def test_what_a_person_gave_up_counts_as_no_failure(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, max_failures=2)
    to_new(world, ("alice",))
    world.apply()
    client = world.client()
    with client.lock("fleet rollback"):
        client.apply(client.plan_rollback(["alice"], None))
    world.host("bob").gateway.flawed = {NEW: "exits"}
    to_new(world, ("bob",))
    world.apply()
    assert world.client().quarantined() == {}


def test_a_rollout_of_one_is_watched_too(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=0, batch=Percent(100), soak=600)
    to_new(world, ("alice",))
    alice = world.host("alice")
    after(alice, "end the switch", lambda: setattr(alice.gateway, "channel_error", "conflict"))
    [outcome] = world.apply()
    assert "it was healthy, and is not 600 s later: Telegram: conflict" in outcome.error
    assert list(world.client().quarantined()) == [NEW]


def test_a_new_server_is_asked_for_its_model_before_the_old_one_goes(world: FakeFleet) -> None:
    old = world.server("alice").id
    world.change("alice", regions=("hel1",))
    after(world.host("alice"), "read the archive", lambda: withdraw_key(world))
    [outcome] = world.apply(options=MOVED)
    assert "the model's provider took the key before, and answers 403 now" in outcome.error
    assert world.server("alice").id == old


def test_fewer_checkpoints_in_the_file_are_a_change_of_their_own(world: FakeFleet) -> None:
    for version in (NEW, "2026.9.8"):
        world.change("alice", version=version)
        world.apply()
    world.change("alice", update=replace(world.specs["alice"].update, keep=1))
    [action] = world.client().plan().plan.actions
    assert action.reason.text == "more is kept of its versions before than the fleet file says"
    starts = world.host("alice").gateway.starts
    assert world.apply()[0].code is OutcomeCode.DONE
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    assert [checkpoint.version for checkpoint in facts.checkpoints] == [NEW]
    assert (world.planned(), world.host("alice").gateway.starts) == ([], starts)


def test_a_version_that_the_fleet_keeps_away_from_does_not_hide_what_a_host_has_noted(world: FakeFleet) -> None:
    """Whose file names a quarantined version holds that one; its own failure with another counts all the same."""
    hold, other = Hold(NEW, "it was not ready", "2026-11-01T00:00:00+00:00", True), Hold("2026.9.8", "", "")
    facts = replace(world.client().plan().children["alice"].facts, noted=(hold,), held=other)  # type: ignore[type-var]
    assert [*held_by_hosts([Child("alice", facts=facts)])[NEW]] == ["alice"]


def test_nobody_is_promised_a_version_that_the_next_apply_keeps_it_from(world: FakeFleet) -> None:
    """Who is asked to try it again is so by this apply alone; and a server that is off has no host to ask."""
    stays = f"{NEW} is held back, so it stays there: to try that, fleet apply --retry {{}} after this one"
    to_new(world, ("alice", "bob"))
    world.host("alice").gateway.flawed = {NEW: "exits"}
    world.change("bob", enabled=False)
    world.apply()
    assert list(world.client().quarantined()) == [NEW]
    world.change("bob", enabled=True)
    world.change("alice", regions=("hel1",))
    asked = replace(MOVED, retry=frozenset({"alice"}))
    notes = {action.child: action.notes for action in world.client().plan(options=asked).plan.actions}
    assert f"it moves with OpenClaw {OLD}; {stays.format('alice')}" in notes["alice"]
    assert f"it starts with OpenClaw {OLD}; {stays.format('bob')}" in notes["bob"]
    world.client().clear_quarantine(NEW)
    notes = {action.child: action.notes for action in world.client().plan(options=asked).plan.actions}
    assert f"it moves with OpenClaw {OLD}; the apply after this one brings it to {NEW}" in notes["alice"]
    goes_on = f"the apply after this one brings it to {NEW}, if nothing on its host keeps it from that"
    assert f"it starts with OpenClaw {OLD}; {goes_on}" in notes["bob"]


def test_who_gets_the_newest_release_is_told_which_ones_it_may_not_be(world: FakeFleet) -> None:
    to_new(world, ("alice",))
    world.host("alice").gateway.flawed = {NEW: "exits"}
    world.apply()
    world.specs["dora"] = make_spec("dora", server_type="cpx22", version="latest")
    [action] = [it for it in world.client().plan().plan.actions if it.child == "dora"]
    assert f"if that is quarantined, its apply fails ({NEW})" in action.notes[-1]


class Killed(BaseException):
    """The runner is no more."""


def kill_in_soak(world: FakeFleet) -> None:
    """The first batch has gone over, and nobody has seen it stay well."""
    before = world.clock.sleep

    def sleep(seconds: float) -> None:
        if seconds == world.rollout.soak:
            raise Killed
        before(seconds)

    world.clock.sleep = sleep  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.apply()
    world.clock.sleep = before  # type: ignore[method-assign]


@pytest.mark.parametrize("canaries", [("alice",), ()])
def test_a_child_that_is_named_on_the_command_line_waits_for_no_canary(
    world: FakeFleet, canaries: tuple[str, ...]
) -> None:
    world.rollout = Rollout(canaries=canaries, batch=5)
    world.change("bob", version=NEW)
    planned = world.client().plan(["bob"]).plan
    assert [(action.kind, action.child) for action in planned.actions] == [(Kind.UPDATE, "bob")]
    assert planned.diagnostics == ()


def test_nobody_goes_before_a_named_canary_that_has_lost_its_server(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=("alice",), batch=5)
    world.client().keeper().create(["alice"])
    del world.cloud.by_id[world.server("alice").id]
    world.change("bob", version=NEW)
    world.change("alice", version=NEW)
    assert [action.child for action in world.client().plan().plan.actions] == []


@pytest.mark.parametrize("why", ["misspelt", "asleep", "off"])
def test_where_no_named_canary_can_go_nobody_does(world: FakeFleet, why: str) -> None:
    """Else a rollout would begin with its first batch, without anybody noticing."""
    world.rollout = Rollout(canaries=("alise" if why == "misspelt" else "alice",), batch=5)
    if why == "off":
        world.change("alice", enabled=False)
        world.apply()
    elif why == "asleep":
        client = world.client()
        client.apply(client.plan_hibernation(["alice"]))
    for name in world.specs:
        world.change(name, version=NEW)
    planned = world.client().plan().plan
    assert [action.child for action in planned.actions if action.kind is Kind.UPDATE] == []
    told = {it.address: it.summary for it in planned.diagnostics if "canaries" in it.summary}
    assert "no child that shall run is one of the canaries ali" in told["bob"]


@pytest.mark.parametrize("canaries", [1, ("alice",)])
@pytest.mark.parametrize("ill", ["dead", "cut off"])
def test_a_rollout_that_was_cut_off_in_a_soak_does_not_pass_a_sick_canary(
    world: FakeFleet, canaries: int | tuple[str, ...], ill: str
) -> None:
    """The whole fleet went over to a version on which the first one had died meanwhile."""
    world.rollout = Rollout(canaries=canaries, batch=1, soak=3600)
    to_new(world)
    kill_in_soak(world)
    assert versions(world) == [NEW, OLD, OLD]
    if ill == "dead":
        world.host("alice").gateway.stop()
    else:
        world.host("alice").gateway.suppressed = ["telegram"]
    plan = world.client().plan().plan
    assert [action.child for action in plan.actions if action.batch] == []
    assert [it.summary for it in plan.diagnostics if it.address == "bob"] == [
        f"bob waits with all that it needs: alice went over to {NEW} and is not healthy"
    ]
    assert [it.child for it in world.client().plan(options=PlanOptions(retry=frozenset({"bob"}))).plan.actions][
        -1
    ] == "bob"


def test_a_rollout_that_was_cut_off_in_a_soak_has_that_before_it_goes_on(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, soak=3600)
    to_new(world)
    kill_in_soak(world)
    began = world.clock.monotonic()
    host = world.host("alice")
    before = world.clock.sleep

    def sleep(seconds: float) -> None:
        before(seconds)
        if seconds > 3000:
            host.gateway.suppressed = ["telegram"]  # at the end of its soak

    world.clock.sleep = sleep  # type: ignore[method-assign]
    outcomes = world.apply()
    assert world.clock.monotonic() - began > 3000
    assert [(it.action.child, it.code) for it in outcomes] == [
        ("bob", OutcomeCode.FAILED),
        ("carol", OutcomeCode.FAILED),
    ]
    assert (versions(world), [*world.client().quarantined()]) == ([NEW, OLD, OLD], [NEW])


def test_one_look_at_a_bad_moment_is_no_failure(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, soak=3600)
    to_new(world)
    silent_after_soak(world, looks=1)
    assert {it.code for it in world.apply()} == {OutcomeCode.DONE}
    assert (versions(world), [*world.client().quarantined()]) == ([NEW, NEW, NEW], [])


def test_a_host_that_falls_silent_stops_a_rollout_and_blames_no_version(world: FakeFleet) -> None:
    world.rollout = Rollout(canaries=1, batch=1, soak=3600)
    to_new(world)
    silent_after_soak(world, looks=99)
    ended = world.apply()
    assert [it.code for it in ended] == [OutcomeCode.FAILED] * 3
    assert "alice has failed before it in this rollout" in ended[1].error
    assert ended[0].advice == "look: fleet diagnose alice"
    world.dialer.silent.clear()
    assert (versions(world), [*world.client().quarantined()]) == ([NEW, OLD, OLD], [])


def silent_after_soak(world: FakeFleet, looks: int) -> None:
    """Alice's host, for so many looks."""
    before, left = world.clock.sleep, [looks]
    silent, number = world.dialer.silent, world.server("alice").id

    def sleep(seconds: float) -> None:
        before(seconds)
        if seconds == world.rollout.soak and left[0]:
            silent[number] = HostTimedOut("no answer")
        elif number in silent:
            left[0] -= 1
            if not left[0]:
                del silent[number]

    world.clock.sleep = sleep  # type: ignore[method-assign]


def test_a_canary_that_has_failed_at_something_else_lets_nobody_pass(world: FakeFleet) -> None:
    """It has shown nothing of the version, and the next apply brought everybody there."""
    world.rollout = Rollout(canaries=("alice",), batch=5)
    to_new(world)
    world.host("alice").fails = [("take a checkpoint", CommandFailed("no space left on device"))] * 3
    world.apply()
    world.host("alice").fails = []
    world.apply()
    assert versions(world) == [OLD, OLD, OLD]


def test_a_quarantine_that_could_not_be_noted_is_known_by_what_hosts_hold(world: FakeFleet) -> None:
    """The cloud refuses, or somebody deletes what has the note: the next apply went on to the next child."""
    world.rollout = Rollout(canaries=1, batch=1)
    to_new(world)
    world.host("alice").gateway.flawed = {NEW: "exits"}

    def refuse() -> None:
        for _ in range(3):
            world.cloud.fail_next("label_firewall", CloudUnavailable("503"))

    after(world.host("alice"), "make the switch", refuse)
    world.apply()
    assert [*world.client().quarantined()] == [NEW]
    world.apply()
    assert versions(world) == [OLD, OLD, OLD]
    assert world.client().clear_quarantine(NEW) is True
    assert [it.fields["version"] for it in world.events() if it.event == "quarantine-cleared"] == [NEW]
    assert [*world.client().quarantined()] == []
    world.apply()
    assert versions(world) == [OLD, NEW, NEW]
