"""Which first apply has not ended: told by one mark per run, by a server's own label, by its host and by the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.errors import HostTimedOut, Unauthorized, WrongHostKey
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Outcome, OutcomeCode, PlanOptions, Silence
from reconciler.steps.runs import LONGEST_RUN, UNFINISHED, Ending, close_runs, open_run
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY

THREE = ("alice", "bob", "carol")
SILENT = HostTimedOut("no packet came")
LONG = LONGEST_RUN.total_seconds() + 1


@pytest.fixture
def fresh(state: Path) -> FakeFleet:
    return FakeFleet(state, THREE)


@pytest.fixture
def cut_off(state: Path) -> FakeFleet:
    """The run that made all three has died right after its last child, and took state/ with it."""
    world = FakeFleet(state, THREE).applied()
    open_run(world.fleet(), world.ports(), nonce_of(world, "alice"))
    for name in THREE:
        world.store.forget(name)
    return world


def nonce_of(world: FakeFleet, name: str) -> str:
    return world.server(name).labels[LABEL_PREFIX + "nonce"]


def marks(world: FakeFleet) -> list[str]:
    """The open runs, by the default firewall's labels."""
    return [name for name in world.cloud.walls["demo"].labels if name.startswith(LABEL_PREFIX + "run-")]


def unfinished(world: FakeFleet) -> set[str]:
    """Children whose servers say so themselves."""
    return {server.child or "" for server in world.cloud.by_id.values() if server.is_unfinished}


def failed(outcomes: Iterable[Outcome]) -> set[str]:
    return {outcome.action.child for outcome in outcomes if outcome.code is OutcomeCode.FAILED}


def shared(world: FakeFleet, *names: str) -> list[str]:
    return [change.path for change in world.client().plan(names or None).plan.shared]


def show_first_key(world: FakeFleet, name: str) -> None:
    first = keys.public_key(keys.host_key(FLEET_KEY, world.server(name).uid or "", 0))
    world.host(name).shown_key = first
    world.host(name).files[f"{files.HOST_KEY_PATH}.pub"].content = f"{first}\n".encode()


# --- a run and its end ---------------------------------------------------------------------------------------


def test_a_run_that_goes_well_leaves_no_mark_and_writes_to_no_server(fresh: FakeFleet) -> None:
    fresh.applied()
    assert (marks(fresh), unfinished(fresh)) == ([], set())
    posted = {request.name: dict(request.labels) for request in fresh.cloud.requests}
    assert {server.name: dict(server.labels) for server in fresh.cloud.by_id.values()} == posted


def test_what_fails_says_so_itself_and_the_run_is_closed(fresh: FakeFleet, tmp_path: Path) -> None:
    twin = fresh.copy(tmp_path / "twin")
    twin.apply(workers=1)
    number = twin.server("bob").id  # it will have
    fresh.dialer.silent[number] = SILENT
    assert failed(fresh.apply(workers=1)) == {"bob"}
    assert (marks(fresh), unfinished(fresh)) == ([], {"bob"})
    assert fresh.planned() == ["create bob: unfinished"]
    fresh.dialer.silent.clear()
    assert failed(fresh.apply()) == set()
    assert (marks(fresh), unfinished(fresh), fresh.planned()) == ([], set(), [])


def test_a_server_that_was_made_and_never_heard_of_says_so_too(fresh: FakeFleet) -> None:
    fresh.cloud.fail_next("wait", Unauthorized("the token may only read"))
    assert failed(fresh.apply(workers=1)) == {"alice"}
    assert (marks(fresh), unfinished(fresh)) == ([], {"alice"})
    fresh.clock.sleep(60)  # it comes up
    assert fresh.planned() == ["create alice: unfinished"]


def test_nothing_is_made_that_no_mark_tells_of(fresh: FakeFleet) -> None:
    fresh.cloud.fail_next("label_firewall", Unauthorized("the token may only read"))
    with pytest.raises(Unauthorized):
        fresh.apply()
    assert fresh.cloud.by_id == {}


# --- a run that was cut off ----------------------------------------------------------------------------------


def test_the_host_tells_that_its_first_apply_has_ended(cut_off: FakeFleet) -> None:
    assert (cut_off.planned(), shared(cut_off)) == ([], []), "it may still be at work somewhere"
    cut_off.clock.sleep(LONG)
    assert (cut_off.planned(), shared(cut_off)) == ([], ["firewall demo: open runs"])
    cut_off.apply()
    assert (marks(cut_off), unfinished(cut_off), shared(cut_off)) == ([], set(), [])


def test_whoever_has_not_answered_is_unfinished_then(cut_off: FakeFleet) -> None:
    cut_off.dialer.silent[cut_off.server("bob").id] = SILENT
    assert cut_off.planned() == ["create bob: unfinished"]
    assert shared(cut_off) == [], "there is something left to finish"
    assert failed(cut_off.apply()) == {"bob"}
    assert (marks(cut_off), unfinished(cut_off)) == ([], {"bob"})


def test_a_record_of_an_apply_that_ended_there_keeps_it_finished(cut_off: FakeFleet) -> None:
    cut_off.client().refresh()
    cut_off.dialer.silent[cut_off.server("bob").id] = SILENT
    assert cut_off.client().plan().children["bob"].silence is Silence.TIMED_OUT
    assert cut_off.planned() == []


def test_who_is_finished_is_never_known_by_the_first_host_key_again(cut_off: FakeFleet) -> None:
    cut_off.client().refresh()
    show_first_key(cut_off, "bob")
    assert cut_off.client().plan().children["bob"].silence is Silence.WRONG_HOST_KEY
    with pytest.raises(WrongHostKey):
        cut_off.client().connect(cut_off.server("bob"))


def test_who_is_not_finished_is_known_by_the_first_host_key(cut_off: FakeFleet) -> None:
    host = cut_off.host("bob")
    show_first_key(cut_off, "bob")
    del host.files[files.APPLIED_PATH]
    cut_off.client().connect(cut_off.server("bob")).close()
    assert cut_off.planned() == ["create bob: unfinished"]
    assert failed(cut_off.apply()) == set()
    assert host.shown_key == keys.public_key(keys.host_key(FLEET_KEY, cut_off.server("bob").uid or "", 1))
    assert (marks(cut_off), cut_off.planned()) == ([], [])


def test_a_run_stays_open_while_somebody_of_it_was_not_looked_at(cut_off: FakeFleet) -> None:
    del cut_off.host("bob").files[files.APPLIED_PATH]
    cut_off.dialer.silent[cut_off.server("carol").id] = SILENT
    assert shared(cut_off, "bob") == []
    client = cut_off.client()
    client.apply(client.plan(["bob"]))
    assert (len(marks(cut_off)), unfinished(cut_off)) == (1, set())
    assert cut_off.planned() == ["create carol: unfinished"]
    cut_off.apply()
    assert (marks(cut_off), unfinished(cut_off)) == ([], {"carol"})


def test_a_run_is_closed_when_what_it_left_is_destroyed(cut_off: FakeFleet) -> None:
    cut_off.dialer.silent[cut_off.server("bob").id] = SILENT
    del cut_off.specs["bob"]
    assert cut_off.planned() == ["destroy bob: removed"]
    assert failed(cut_off.apply()) == {"bob"}, "nobody can tell whether it was told something"
    cut_off.apply(options=PlanOptions(without_copy=frozenset({"bob"})))
    assert (marks(cut_off), cut_off.planned(), shared(cut_off)) == ([], [], [])


def test_a_run_that_was_cut_off_before_its_first_server_is_closed(fresh: FakeFleet) -> None:
    fresh.applied()
    open_run(fresh.fleet(), fresh.ports(), "f00d")
    fresh.clock.sleep(LONG)
    assert shared(fresh) == ["firewall demo: open runs"]
    fresh.apply()
    assert (marks(fresh), shared(fresh)) == ([], [])


def test_the_label_of_one_that_is_switched_off_stays(fresh: FakeFleet) -> None:
    fresh.applied()
    server = fresh.server("bob")
    fresh.cloud.set_labels(server.id, {**server.labels, UNFINISHED: "true"})
    fresh.change("bob", enabled=False)
    fresh.apply()
    assert unfinished(fresh) == {"bob"}


# --- what nobody can tell ------------------------------------------------------------------------------------


def test_a_server_in_doubt_keeps_its_run_open(cut_off: FakeFleet) -> None:
    """Its label is lost and put back, as the plan advises; in between somebody applies."""
    show_first_key(cut_off, "bob")
    del cut_off.host("bob").files[files.APPLIED_PATH]
    server = cut_off.server("bob")
    without = {name: value for name, value in server.labels.items() if name != LABEL_PREFIX + "uid"}
    cut_off.cloud.set_labels(server.id, without)
    cut_off.change("alice", labels={"team": "blue"})
    assert failed(cut_off.apply()) == set()
    cut_off.cloud.set_labels(server.id, dict(server.labels))
    assert cut_off.planned() == ["create bob: unfinished"]
    assert failed(cut_off.apply()) == set()
    assert (marks(cut_off), cut_off.planned()) == ([], [])


def test_a_run_that_has_just_begun_somewhere_else_stays_open(fresh: FakeFleet) -> None:
    fresh.applied()
    open_run(fresh.fleet(), fresh.ports(), "f00d")
    [mark] = marks(fresh)
    fresh.cloud.delete_server(fresh.server("alice").id)
    fresh.clock.sleep(60)
    assert failed(fresh.apply()) == set()
    assert marks(fresh) == [mark]
    fresh.clock.sleep(LONG)
    fresh.apply()
    assert marks(fresh) == []


def test_what_fails_says_so_also_when_the_mark_was_lost(fresh: FakeFleet) -> None:
    fresh.applied()
    bob, others = fresh.server("bob").id, frozenset({fresh.server("alice").id, fresh.server("carol").id})
    ending = Ending(nonce_of(fresh, "bob"), finished=others, left=frozenset({bob}), started=frozenset(), made_all=False)
    close_runs(fresh.fleet(), fresh.ports(), tuple(fresh.cloud.walls.values()), ending)
    assert unfinished(fresh) == {"bob"}


def test_a_finished_child_that_is_off_is_not_called_unfinished(cut_off: FakeFleet) -> None:
    server = cut_off.server("bob")
    cut_off.cloud.wait(cut_off.cloud.power_off(server.id), 10)
    cut_off.change("bob", enabled=False)
    cut_off.change("alice", labels={"team": "blue"})
    assert failed(cut_off.apply()) == set()
    assert (len(marks(cut_off)), unfinished(cut_off), cut_off.planned()) == (1, set(), [])
    cut_off.change("bob", enabled=True)
    assert failed(cut_off.apply()) == set()
    assert (marks(cut_off), unfinished(cut_off), cut_off.planned()) == ([], set(), [])


def test_a_partial_apply_that_closes_a_run_leaves_the_firewalls_alone(cut_off: FakeFleet) -> None:
    cut_off.cloud.walls["demo-ssh-9e63"] = replace(cut_off.cloud.walls["demo"], id=99, name="demo-ssh-9e63")
    cut_off.change("alice", labels={"team": "blue"})
    client = cut_off.client()
    client.apply(client.plan(["alice"]))
    assert set(cut_off.cloud.walls) == {"demo", "demo-ssh-9e63"}


def test_an_alarm_of_somebody_unknown_says_how_a_half_made_server_is_named(fresh: FakeFleet) -> None:
    fresh.applied()
    fresh.store.forget("bob")
    show_first_key(fresh, "bob")
    assert f"{UNFINISHED}=true" in fresh.client().plan().children["bob"].silence_detail
