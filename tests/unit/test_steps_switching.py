"""From one version to another, on hosts in memory: copy, switch, proof, and back."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import HostTimedOut, Refused
from reconciler.managed import files
from reconciler.model import Command, Completed, Outcome, OutcomeCode, Percent, PlanOptions, Rollout
from tests.crash.scenarios import meddle
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import make_spec

OLD: Final = "2026.9.6"
NEW: Final = "2026.9.7"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    """Alice's gateway runs OLD, and has been told something."""
    made = FakeFleet(state, ("alice",)).applied()
    made.host("alice").gateway.remember("my dog is called Bello")
    return made


def linked(host: FakeHost) -> str:
    return host.links[files.CURRENT].rpartition("/")[2]


def test_a_new_version_keeps_the_memory_and_leaves_a_checkpoint_of_the_old(world: FakeFleet) -> None:
    world.change("alice", version=NEW)
    outcomes = world.apply()
    host = world.host("alice")
    assert [outcome.code for outcome in outcomes] == [OutcomeCode.DONE], outcomes
    assert (linked(host), host.gateway.version, host.gateway.memory) == (NEW, NEW, ["my dog is called Bello"])
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    assert [checkpoint.version for checkpoint in facts.checkpoints] == [OLD]
    assert (facts.switch, facts.held) == (None, None)
    assert world.planned() == []


@pytest.mark.parametrize("flaw", ["exits", "second start", "never ready"])
def test_a_version_that_fails_its_proof_is_left_again_with_the_memory_of_before(world: FakeFleet, flaw: str) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: flaw}
    world.change("alice", version=NEW)
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert f"alice is back at {OLD}, and healthy" in outcome.advice
    assert (linked(host), host.gateway.version, host.gateway.memory) == (OLD, OLD, ["my dog is called Bello"])
    planned = world.client().plan()
    assert planned.plan.actions == ()
    assert list(planned.plan.quarantined) == [NEW]
    held, quarantined = planned.plan.diagnostics
    assert held.summary.startswith(f"alice stays at {OLD}: {NEW} is held back since")
    assert quarantined.summary.startswith(f"OpenClaw {NEW} is quarantined since")
    assert world.apply() == []  # the same failed change is not tried again by itself


def test_the_newer_state_is_kept_aside(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "never ready"}
    world.change("alice", version=NEW)
    world.apply()
    [aside] = [path for path in host.directories if path.endswith(".aside")]
    state = json.loads(host.content(f"{aside}/.openclaw/state/openclaw.sqlite"))
    assert state["schema"] == 19  # as the new release has written it


def test_who_says_so_tries_a_held_version_again(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "exits"}
    world.change("alice", version=NEW)
    world.apply()
    host.gateway.flawed = {}
    [outcome] = world.apply(options=PlanOptions(retry=frozenset({"alice"})))
    assert outcome.code is OutcomeCode.DONE, outcome
    assert linked(host) == NEW
    assert host.gateway.memory == ["my dog is called Bello"]


def test_a_lower_version_goes_back_to_the_checkpoint(world: FakeFleet) -> None:
    world.change("alice", version=NEW)
    world.apply()
    host = world.host("alice")
    host.gateway.remember("and my cat Mimi")
    world.clock.sleep(3600)
    world.change("alice", version=OLD)
    [action] = world.client().plan().plan.actions
    assert "goes back to the checkpoint" in action.notes[0]
    assert "60 min" in action.notes[0]
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.DONE, outcome
    assert (linked(host), host.gateway.version, host.gateway.memory) == (OLD, OLD, ["my dog is called Bello"])
    assert world.planned() == []


def test_there_is_no_way_down_without_a_checkpoint(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.5")
    planned = world.client().plan()
    assert planned.plan.actions == ()
    assert [found.summary for found in planned.plan.diagnostics] == [
        f"alice stays at {OLD}: there is no way down to 2026.9.5"
    ]


def test_an_operator_who_is_silent_in_the_middle_leaves_a_gateway_that_goes_back(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    host.fails = [(command, HostTimedOut("gone")) for command in ("switch to", "go back") for _ in range(3)]
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert "going back" in outcome.advice
    assert host.gateway.active != "active"
    world.clock.sleep(200)
    host.tick()
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    assert facts.gateway.is_running
    assert facts.switch is None
    assert world.apply()[0].code is OutcomeCode.DONE
    assert (linked(host), host.gateway.memory) == (NEW, ["my dog is called Bello"])


def test_no_more_checkpoints_and_releases_stay_than_the_file_says(world: FakeFleet) -> None:
    for number in range(7, 12):
        world.change("alice", version=f"2026.9.{number}")
        world.clock.sleep(timedelta(days=1).total_seconds())
        [outcome] = world.apply()
        assert outcome.code is OutcomeCode.DONE, outcome
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    assert [checkpoint.version for checkpoint in facts.checkpoints] == ["2026.9.8", "2026.9.9", "2026.9.10"]
    assert sorted(facts.releases) == ["2026.9.10", "2026.9.11", "2026.9.8", "2026.9.9"]


def test_a_damaged_checkpoint_is_not_taken_for_a_way_back(world: FakeFleet) -> None:
    world.change("alice", version=NEW)
    world.apply()
    host = world.host("alice")
    [copy] = [path for path in host.files if path.endswith("/state.tar")]
    host.files[copy] = FakeFile(host.content(copy) + b"!")
    world.change("alice", version=OLD)
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert "is damaged" in outcome.error
    assert (linked(host), host.gateway.memory) == (NEW, ["my dog is called Bello"])


def rolled_back(world: FakeFleet, to: str | None = None) -> list[Outcome]:
    client = world.client()
    with client.lock("fleet rollback"):
        return client.apply(client.plan_rollback(["alice"], to))


def test_a_person_goes_back_and_the_version_of_the_file_is_held(world: FakeFleet) -> None:
    world.change("alice", version=NEW)
    world.apply()
    host = world.host("alice")
    host.gateway.remember("and my cat Mimi")
    [outcome] = rolled_back(world)
    assert outcome.code is OutcomeCode.DONE, outcome
    assert (linked(host), host.gateway.version, host.gateway.memory) == (OLD, OLD, ["my dog is called Bello"])
    planned = world.client().plan()
    assert planned.plan.actions == ()
    assert "rolled back by hand" in planned.plan.diagnostics[0].detail
    assert planned.plan.quarantined == {}  # one child's affair
    [outcome] = world.apply(options=PlanOptions(retry=frozenset({"alice"})))
    assert outcome.code is OutcomeCode.DONE, outcome
    assert linked(host) == NEW


def test_a_person_goes_back_to_an_older_state_of_the_same_version(world: FakeFleet) -> None:
    world.change("alice", version=NEW)
    world.apply()
    host = world.host("alice")
    host.gateway.remember("and my cat Mimi")
    rolled_back(world)
    world.clock.sleep(60)
    checkpoints = world.client().plan().children["alice"].facts
    assert checkpoints is not None
    host.gateway.remember("nonsense")
    [outcome] = rolled_back(world, checkpoints.checkpoints[0].id)
    assert outcome.code is OutcomeCode.DONE, outcome
    assert (linked(host), host.gateway.memory) == (OLD, ["my dog is called Bello"])


def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(world: FakeFleet) -> None:
    with pytest.raises(Refused, match="alice has no checkpoint"):
        world.client().plan_rollback(["alice"])
    world.change("alice", version=NEW)
    world.apply()
    with pytest.raises(Refused, match="alice has no checkpoint 20200101T000000Z") as refusal:
        world.client().plan_rollback(["alice"], "20200101T000000Z")
    assert refusal.value.advice.startswith("it has: 2026")


def test_the_others_stay_where_they_are_and_their_drift_is_mended_all_the_same(state: Path) -> None:
    world = FakeFleet(state, ("alice", "bob", "carol", "dave")).applied()
    world.host("alice").gateway.flawed = {NEW: "exits"}
    for name in world.names:
        world.change(name, version=NEW)
    outcomes = world.apply(workers=1)
    assert [outcome.code for outcome in outcomes] == [OutcomeCode.FAILED] * 4
    assert "not tried, 2026.9.7 has failed on alice and is quarantined" in outcomes[1].error
    assert {linked(world.host(name)) for name in world.names} == {OLD}
    planned = world.client().plan()
    assert planned.plan.actions == ()
    assert any("bob, carol and dave stay as before" in found.summary for found in planned.plan.diagnostics)
    meddle(world.host("bob"))
    assert world.planned() == ["update bob: drifted"]
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    world.client().clear_quarantine(NEW)
    assert world.planned() == [f"update {name}: changed" for name in ("bob", "carol", "dave")]


def test_no_child_is_made_with_a_quarantined_version(world: FakeFleet) -> None:
    world.host("alice").gateway.flawed = {NEW: "exits"}
    world.change("alice", version=NEW)
    world.apply()
    world.specs["bob"] = make_spec("bob", server_type="cpx22", version=NEW)
    planned = world.client().plan()
    assert planned.plan.actions == ()
    assert any("bob is not made: OpenClaw 2026.9.7 is quarantined" in it.summary for it in planned.plan.diagnostics)


def test_a_rollout_stops_at_the_declared_failures_and_touches_nobody_else(state: Path) -> None:
    names = tuple(f"c{number:03d}" for number in range(200))
    world = FakeFleet(state, names)
    world.cloud.server_limit = len(names)
    world.applied(workers=1)
    world.rollout = Rollout(canaries=2, batch=Percent(10), max_failures=3)
    failing = names[5::20]  # one in twenty
    for name in failing:
        world.host(name).gateway.flawed = {NEW: "exits"}
    for name in names:
        world.change(name, version=NEW)
    before = {name: world.host(name).gateway.starts for name in names}
    planned = world.client().plan().plan
    sizes = Counter(action.batch for action in planned.actions)
    assert [sizes[batch] for batch in sorted(sizes)] == [2, *[20] * 9, 18]
    outcomes = {outcome.action.child: outcome for outcome in world.apply(workers=1)}
    gone = [name for name in names if linked(world.host(name)) == NEW]
    brought_back = [name for name in failing if "is back at" in outcomes[name].advice]
    assert len(brought_back) == 3
    assert gone == [name for name in names[: names.index(brought_back[-1])] if name not in failing]
    untouched = set(names) - set(gone) - set(brought_back)
    assert {name for name in names if world.host(name).gateway.starts == before[name]} == untouched
    assert list(world.client().quarantined()) == [NEW]
    assert world.planned() == []


@pytest.mark.parametrize(("before", "code"), [("200", OutcomeCode.FAILED), ("401", OutcomeCode.DONE)])
def test_a_model_that_answers_no_more_is_a_failure_if_it_did_before(
    world: FakeFleet, before: str, code: OutcomeCode
) -> None:
    """FakeHost answers as its model does at that moment, so it falls silent with the switch."""
    host = world.host("alice")
    host.models = before
    host.fails = []
    world.change("alice", version=NEW)
    original = host.run

    def run(command: Command) -> Completed:
        if command.name.startswith("switch to"):
            host.models = "401"
        return original(command)

    host.run = run  # type: ignore[method-assign]
    [outcome] = world.apply()
    assert outcome.code is code, outcome
