"""From one version to another, on hosts in memory: copy, switch, proof, and back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Final

import pytest

from reconciler.commands.switching import ASIDES, PATIENCE, RETURN_PATH, SWITCH
from reconciler.errors import CloudUnavailable, CommandFailed, HostTimedOut, Refused
from reconciler.managed import files
from reconciler.model import (
    Checkpoint,
    Command,
    Completed,
    FileMode,
    Outcome,
    OutcomeCode,
    Percent,
    PlanOptions,
    Rollout,
    WorkspaceFile,
)
from reconciler.stepping import TRIES
from reconciler.steps.lasting import BURST, LEAST_MB, TIMES_BEFORE
from reconciler.steps.quarantine import mark_of, set_mark
from reconciler.steps.versions import kept_checkpoints
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
    assert (facts.switch, facts.held, facts.noted) == (None, None, ())
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


NEWER: Final = "2026.9.8"


def test_each_version_that_failed_is_held_also_where_another_has_failed_since(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "exits", NEWER: "exits"}
    for version in (NEW, NEWER):
        world.change("alice", version=version)
        world.apply()
    for version in (NEW, NEWER):
        world.client().clear_quarantine(version)  # so that nothing but its own host keeps it from that
        world.change("alice", version=version)
        assert (world.planned(), held_of(world)) == ([], [NEWER, NEW])
    host.gateway.flawed = {NEWER: "exits"}
    [outcome] = world.apply(options=PlanOptions(retry=frozenset({"alice"})))
    assert "is back at" in outcome.advice  # that was NEWER
    world.change("alice", version=NEW)
    assert world.apply(options=PlanOptions(retry=frozenset({"alice"})))[0].code is OutcomeCode.DONE
    assert (held_of(world), linked(host)) == ([NEWER], NEW)  # what runs is not held, the other still is


def test_an_acquittal_is_of_the_version_that_was_tried(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "exits"}
    world.change("alice", version=NEW)
    world.apply()
    world.change("alice", version=NEWER)
    after(host, "make the switch", lambda: setattr(host.gateway, "channel_error", "401 Unauthorized"))
    [outcome] = world.apply()
    assert "not healthy there either" in outcome.advice
    assert held_of(world) == [NEW]


def held_of(world: FakeFleet) -> list[str]:
    """By its host alone, the last first."""
    facts = world.client().plan().children["alice"].facts
    assert facts is not None
    return [hold.version for hold in facts.noted]


def test_the_newer_state_is_kept_aside(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "never ready"}
    world.change("alice", version=NEW)
    world.apply()
    [aside] = [path for path in host.directories if path.rpartition("/")[0] == ASIDES]
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
    assert "61 min" in action.notes[0]  # a minute of them its batch was watched
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
    host.fails = [(command, HostTimedOut("gone")) for command in ("make the switch", "go back") for _ in range(3)]
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


def test_a_version_that_hangs_its_host_twice_is_not_tried_a_third_time(world: FakeFleet) -> None:
    """Nothing but the host's own return ends that, and nobody hears why."""
    host, hangs = world.host("alice"), Event()
    original = host.run

    def run(given: Command) -> Completed:
        if hangs.is_set():
            raise HostTimedOut("no answer within 10 s")
        answer = original(given)
        if given.name == "make the switch":
            hangs.set()
        return answer

    world.change("alice", version=NEW)
    for _ in range(2):
        host.run = run  # type: ignore[method-assign,assignment]
        [outcome] = world.apply()
        assert (outcome.code, "its host goes back by itself" in outcome.advice) == (OutcomeCode.FAILED, True), outcome
        hangs.clear()
        del host.run
        world.clock.sleep(200)
        host.tick()
        assert (linked(host), host.gateway.memory) == (OLD, ["my dog is called Bello"])
    assert world.apply()[0].code is OutcomeCode.DONE  # what else was begun comes to its end
    assert (linked(host), host.gateway.memory, world.planned()) == (OLD, ["my dog is called Bello"], [])
    [said] = [it.detail for it in world.client().plan().plan.diagnostics]
    assert "its host went back twice" in said
    assert world.client().quarantined() == {}
    assert world.apply(options=PlanOptions(retry=frozenset({"alice"})))[0].code is OutcomeCode.DONE
    assert (linked(host), host.gateway.memory) == (NEW, ["my dog is called Bello"])
    [facts] = [child.facts for child in world.client().plan().children.values()]
    assert facts is not None
    assert facts.noted == ()


class Killed(BaseException):
    """Of this process, so nobody brings anything back."""


def killed() -> None:
    raise Killed


def test_a_plan_says_what_a_change_that_was_cut_off_is_undone_for(world: FakeFleet) -> None:
    host = world.host("alice")
    after(host, "make the switch", killed)
    world.change("alice", version=NEW)
    with pytest.raises(Killed):
        world.apply()
    host.gateway.remember("my cat is called Mimi")
    world.clock.sleep(60)  # soon enough: its host goes back by itself
    [action] = world.client().plan().plan.actions
    assert action.reason.text == f"an apply was cut off on the way from {OLD} to {NEW}"
    undone, *others = action.notes
    assert re.fullmatch(
        f"a change from {OLD} to {NEW} was cut off, and is undone first: what it was told since .{{16}} UTC "
        r"\(1 min\) is set aside",
        undone,
    )
    assert f"silent for about half a minute, twice; back to {OLD} with its memory if {NEW} fails its proof" in others
    assert "1 entry of its conversations came since, and will be set aside" in others
    world.apply()
    noted = [event.event for event in world.client()._ports.store.events()]
    assert noted.count("switch-undone") == 1


def test_a_version_whose_proof_is_cut_off_twice_is_not_tried_a_third_time(world: FakeFleet) -> None:
    """Its host is silent for a moment, and goes back at our word: each try takes what was said meanwhile."""
    host, silent = world.host("alice"), list[bool]()
    original = host.run

    def run(given: Command) -> Completed:
        if given.name == "probe" and silent:
            silent.pop()
            raise HostTimedOut("no answer within 10 s")
        if given.name == "make the switch" and not silent and f"{SWITCH}/made" not in host.files:
            silent.extend([True] * TRIES)
        return original(given)

    host.run = run  # type: ignore[method-assign,assignment]
    world.change("alice", version=NEW)
    for told in ("it goes to 2026.9.7 then", "is not tried again by itself"):
        [outcome] = world.apply()
        assert (outcome.code, told in outcome.advice) == (OutcomeCode.FAILED, True), outcome
        assert (linked(host), host.gateway.memory) == (OLD, ["my dog is called Bello"])
    assert world.planned() == []
    assert world.client().quarantined() == {}
    assert world.apply(options=PlanOptions(retry=frozenset({"alice"})))[0].code is OutcomeCode.FAILED
    del host.run
    assert world.apply(options=PlanOptions(retry=frozenset({"alice"})))[0].code is OutcomeCode.DONE
    assert linked(host) == NEW


def test_what_lies_in_the_midst_of_a_switch_is_brought_back_without_the_return_program_and_the_unit(
    world: FakeFleet,
) -> None:
    """Somebody has removed both, so the host alone cannot do it."""
    host = world.host("alice")
    world.change("alice", version=NEW)
    host.fails = [(command, HostTimedOut("gone")) for command in ("make the switch", "go back") for _ in range(3)]
    world.apply()
    for path in (RETURN_PATH, files.UNIT_PATH):
        del host.files[path]
    host.systemd.reload()
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.DONE, outcome
    assert (linked(host), host.gateway.active, host.gateway.memory) == (NEW, "active", ["my dog is called Bello"])


def test_writing_many_files_slowly_does_not_let_the_host_go_back(world: FakeFleet) -> None:
    host, names = world.host("alice"), [f"notes/{number}.md" for number in range(8)]
    world.change("alice", version=NEW, files={name: WorkspaceFile("Hello.", FileMode.MANAGED) for name in names})
    original = host.run

    def slow(given: Command) -> Completed:
        if given.name.startswith("write "):
            world.clock.sleep(PATIENCE / 4)
            host.tick()
        return original(given)

    host.run = slow  # type: ignore[method-assign,assignment]
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.DONE, outcome
    assert linked(host) == NEW


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


@pytest.mark.parametrize("parallel", [1, 8])
def test_a_rollout_stops_at_the_declared_failures_and_touches_nobody_else(state: Path, parallel: int) -> None:
    """Of those that are on their way at the same time, each may fail besides: nobody of a later batch is touched."""
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
    outcomes = {outcome.action.child: outcome for outcome in world.apply(workers=parallel)}
    gone = [name for name in names if linked(world.host(name)) == NEW]
    brought_back = [name for name in failing if "is back at" in outcomes[name].advice]
    assert 3 <= len(brought_back) < 3 + parallel
    if parallel == 1:
        assert gone == [name for name in names[: names.index(brought_back[-1])] if name not in failing]
    assert {*gone, *brought_back} <= set(names[: 2 + 3 * 20])  # the canaries, and the batches up to the third failure
    untouched = set(names) - set(gone) - set(brought_back)
    assert {name for name in names if world.host(name).gateway.starts == before[name]} == untouched
    assert list(world.client().quarantined()) == [NEW]
    begun = [f"update {name}: unfinished" for name in sorted(untouched) if outcomes[name].steps]
    assert world.planned() == begun  # they had begun when they heard of it
    if begun:
        world.apply(workers=1)
        assert world.planned() == []
        assert {name for name in names if world.host(name).gateway.starts == before[name]} == untouched


def after(host: FakeHost, command: str, then: Callable[[], None]) -> None:
    """`then` happens right after that command was done for the first time."""
    original = host.run
    done: list[Command] = []

    def run(given: Command) -> Completed:
        answer = original(given)
        if given.name == command and not done:
            done.append(given)
            then()
        return answer

    host.run = run  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(("before", "code"), [("200", OutcomeCode.FAILED), ("401", OutcomeCode.DONE)])
def test_a_model_that_answers_no_more_is_a_failure_if_it_did_before(
    world: FakeFleet, before: str, code: OutcomeCode
) -> None:
    host = world.host("alice")
    host.models = before
    world.change("alice", version=NEW)
    after(host, "make the switch", lambda: setattr(host, "models", "401"))
    [outcome] = world.apply()
    assert outcome.code is code, outcome
    assert world.client().quarantined() == {}  # we have asked, and not that version
    assert host.gateway.memory == ["my dog is called Bello"]


def test_a_model_that_is_busy_for_a_moment_is_asked_again(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    asked: list[str] = []

    def busy_once() -> None:
        host.models = "529"
        after(host, "ask for models", ready_then)

    def ready_then() -> None:
        asked.append(host.models)
        host.models = "200"

    after(host, "make the switch", busy_once)
    assert world.apply()[0].code is OutcomeCode.DONE
    assert asked == ["529"]


@pytest.mark.parametrize(("looks", "code"), [(2, OutcomeCode.DONE), (3, OutcomeCode.FAILED)])
def test_one_bad_look_is_not_the_end_of_a_version(world: FakeFleet, looks: int, code: OutcomeCode) -> None:
    """The third look after the switch is the first of the soak."""
    host = world.host("alice")
    world.change("alice", version=NEW)
    original, seen = host.run, []

    def run(given: Command) -> Completed:
        if given.name == "probe" and host.links[files.CURRENT].endswith(NEW) and host.gateway.active == "active":
            seen.append(given)
            host.gateway.channel_error = "away" if 3 < len(seen) <= 3 + looks else None
        return original(given)

    host.run = run  # type: ignore[method-assign,assignment]
    [outcome] = world.apply()
    assert outcome.code is code, (outcome, len(seen))
    assert ("did not stay healthy for 20 s: Telegram: away" in outcome.error) is (code is OutcomeCode.FAILED)


def test_a_gateway_that_ends_and_comes_back_during_its_proof_has_not_passed_it(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    after(host, "postpone the return", lambda: host.gateway.wrong.update(restarts=1))
    world.change("alice", update=replace(world.specs["alice"].update, soak=60))
    [outcome] = world.apply()
    assert "it ended, and was started again" in outcome.error
    assert linked(host) == OLD


@pytest.mark.parametrize(("left", "code"), [(LEAST_MB, OutcomeCode.DONE), (LEAST_MB - 1, OutcomeCode.FAILED)])
def test_a_disk_that_fills_up_during_the_proof_blames_no_version(
    world: FakeFleet, left: int, code: OutcomeCode
) -> None:
    """By somebody's download, perhaps. It goes back all the same: with a full disk nobody is answered."""
    host = world.host("alice")
    world.change("alice", version=NEW)
    after(host, "make the switch", lambda: setattr(host, "disk_free_mb", left))
    [outcome] = world.apply()
    assert outcome.code is code, outcome
    assert host.gateway.memory == ["my dog is called Bello"]
    if code is OutcomeCode.DONE:
        return
    assert f"the disk has {left} MB left" in outcome.error
    assert f"alice is back at {OLD}, and healthy" in outcome.advice
    assert "not tried again by itself" in outcome.advice
    planned = world.client().plan()
    assert (linked(host), planned.plan.quarantined, planned.plan.actions) == (OLD, {}, ())
    assert f"the disk has {left} MB left" in planned.plan.diagnostics[0].detail
    again = PlanOptions(retry=frozenset({"alice"}))
    [outcome] = world.apply(options=again)
    assert "another version takes 1500 MB of disk" in outcome.error
    host.disk_free_mb = 30_000
    assert world.apply(options=again)[0].code is OutcomeCode.DONE
    assert linked(host) == NEW


@pytest.mark.parametrize(
    ("before", "now", "code"),
    [
        (0, BURST - 1, OutcomeCode.DONE),
        (0, BURST, OutcomeCode.FAILED),
        (40, 40 * TIMES_BEFORE, OutcomeCode.DONE),  # it has always been like that
        (40, 40 * TIMES_BEFORE + 1, OutcomeCode.FAILED),
        (0, -50, OutcomeCode.DONE),  # a host that lies
    ],
)
def test_a_version_that_writes_many_more_errors_than_the_one_before_has_not_passed(
    world: FakeFleet, before: int, now: int, code: OutcomeCode
) -> None:
    host = world.host("alice")
    host.gateway.errors_of = {OLD: before, NEW: now}
    world.change("alice", version=NEW)
    [outcome] = world.apply()
    assert outcome.code is code, outcome
    assert host.gateway.memory == ["my dog is called Bello"]
    if code is OutcomeCode.FAILED:
        assert f"the gateway writes errors: {now} since its start, and {before} in" in outcome.error
        assert (linked(host), list(world.client().quarantined())) == (OLD, [NEW])


def test_a_failure_of_the_world_blames_no_version_and_is_tried_again(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    lost = [("restart openclaw-gateway.service", HostTimedOut("gone"))] * 3
    after(host, "make the switch", lambda: setattr(host, "fails", list(lost)))
    [outcome] = world.apply()
    assert "alice is back at 2026.9.6, and healthy" in outcome.advice, outcome
    assert "apply again: it goes to 2026.9.7 then" in outcome.advice
    assert (linked(host), host.gateway.memory) == (OLD, ["my dog is called Bello"])
    assert world.client().quarantined() == {}
    assert world.planned() == ["update alice: changed"]
    assert world.apply()[0].code is OutcomeCode.DONE
    assert (linked(host), host.gateway.memory) == (NEW, ["my dog is called Bello"])


def test_a_switch_whose_last_word_got_no_answer_stays(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    original = host.run

    def run(given: Command) -> Completed:
        answer = original(given)
        if given.name == "end the switch":
            raise CommandFailed("the connection broke off at a bad moment")
        return answer

    host.run = run  # type: ignore[method-assign,assignment]
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert outcome.advice == "its host has heard that it may stay at 2026.9.7: apply again"
    del host.run
    assert (linked(host), host.gateway.memory) == (NEW, ["my dog is called Bello"])
    assert world.apply()[0].code is OutcomeCode.DONE
    assert (linked(host), world.planned()) == (NEW, [])


def test_what_is_ill_on_either_version_is_no_fault_of_the_new_one(world: FakeFleet) -> None:
    host = world.host("alice")
    world.change("alice", version=NEW)
    after(host, "make the switch", lambda: setattr(host.gateway, "channel_error", "401 Unauthorized"))
    [outcome] = world.apply()
    assert "alice is back at 2026.9.6, and not healthy there either" in outcome.advice, outcome
    planned = world.client().plan()
    assert (planned.plan.quarantined, planned.children["alice"].facts.noted) == ({}, ())  # type: ignore[union-attr]


def test_who_tries_a_quarantined_version_again_in_vain_leaves_the_quarantine_as_it_was(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {NEW: "exits"}
    world.change("alice", version=NEW)
    world.apply()
    [before] = world.client().quarantined().values()
    world.clock.sleep(3600)
    after(host, "make the switch", lambda: setattr(host.gateway, "channel_error", "401 Unauthorized"))
    world.apply(options=PlanOptions(retry=frozenset({"alice"})))
    assert world.client().quarantined() == {NEW: before}


def test_nobody_begins_a_switch_after_the_version_has_failed_elsewhere(state: Path) -> None:
    """Bob is past the first question when alice fails: it is asked once more before anything of his is stopped."""
    world = FakeFleet(state, ("alice", "bob")).applied()
    world.rollout = Rollout(canaries=0, batch=2)
    for name in world.names:
        world.change(name, version=NEW)
    world.host("alice").gateway.flawed = {NEW: "exits"}
    failed = Event()
    accepted = "validate the configuration"
    after(world.host("bob"), accepted, lambda: wait_for(failed))
    after(world.host("alice"), "go back", failed.set)
    starts = world.host("bob").gateway.starts
    alice, bob = world.apply(workers=2)
    assert alice.code is bob.code is OutcomeCode.FAILED
    assert "not tried, 2026.9.7 has failed on alice and is quarantined" in bob.error
    assert (linked(world.host("bob")), world.host("bob").gateway.starts) == (OLD, starts)


def wait_for(event: Event) -> None:
    assert event.wait(30)


def test_the_newest_release_is_not_taken_while_it_is_quarantined(world: FakeFleet) -> None:
    set_mark(world.fleet(), world.ports(), OLD, mark_of(world.clock.now(), "carol", "prove lasting"))
    world.specs["bob"] = make_spec("bob", server_type="cpx22", version="latest")
    [outcome] = world.apply()
    assert "the newest OpenClaw, 2026.9.6, is quarantined: carol: failed at prove lasting" in outcome.error


def test_what_cannot_be_noted_at_the_cloud_is_told(world: FakeFleet) -> None:
    world.host("alice").gateway.flawed = {NEW: "exits"}
    world.change("alice", version=NEW)
    after(world.host("alice"), "make the switch", lambda: setattr(world.cloud, "label_firewall", unavailable))
    [outcome] = world.apply()
    assert "whether 2026.9.7 is quarantined could not be noted at the cloud: 503" in outcome.advice
    assert "alice is back at 2026.9.6, and healthy" in outcome.advice


def unavailable(number: int, labels: object) -> None:
    raise CloudUnavailable("503")


def test_a_version_that_fails_once_is_tried_by_the_next_child_where_two_may_fail(state: Path) -> None:
    world = FakeFleet(state, ("alice", "bob", "carol")).applied()
    world.rollout = Rollout(canaries=1, batch=1, max_failures=2)
    world.host("alice").gateway.flawed = world.host("bob").gateway.flawed = {NEW: "exits"}
    for name in world.names:
        world.change(name, version=NEW)
    alice, bob, carol = world.apply(workers=1)
    assert "is back at" in alice.advice
    assert "is back at" in bob.advice
    assert "not tried, 2026.9.7 has failed on bob and is quarantined" in carol.error


def test_a_batch_that_does_not_stay_well_is_the_last_one(state: Path) -> None:
    """Alice has passed her own proof, and falls silent while her batch is watched."""
    world = FakeFleet(state, ("alice", "bob")).applied()
    world.rollout = Rollout(canaries=1, soak=600)
    for name in world.names:
        world.change(name, version=NEW)
    alice = world.host("alice")
    after(alice, "end the switch", lambda: setattr(alice.gateway, "channel_error", "conflict"))
    first, second = world.apply()
    assert "it was healthy, and is not 600 s later: Telegram: conflict" in first.error, (first, second)
    assert first.advice == "to go back, without what it was told since: fleet rollback alice"
    assert "not tried, 2026.9.7 has failed on alice" in second.error
    assert linked(world.host("bob")) == OLD


def test_no_more_than_the_declared_number_goes_at_once(state: Path) -> None:
    world = FakeFleet(state, ("alice", "bob", "carol")).applied()
    world.rollout = Rollout(canaries=0, batch=3, max_parallel=1)
    silent: list[int] = []
    for name in world.names:
        world.change(name, version=NEW)
        after(
            world.host(name), "make the switch", lambda: silent.append(sum(is_silent(world, it) for it in world.names))
        )
    world.apply(workers=8)
    assert silent == [1, 1, 1]


def is_silent(world: FakeFleet, name: str) -> bool:
    return world.host(name).gateway.active != "active"


def test_tries_that_fail_again_and_again_do_not_push_out_the_way_down() -> None:
    kept = kept_checkpoints(
        [Checkpoint(f"2026112{day}T000000Z", f"2026.9.{5 if day == 0 else 6}", "") for day in range(6)], 3
    )
    assert [(it.id[7], it.version) for it in kept] == [("0", "2026.9.5"), ("4", "2026.9.6"), ("5", "2026.9.6")]
