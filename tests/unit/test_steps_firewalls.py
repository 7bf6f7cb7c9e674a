"""The cloud's firewalls: one per set of addresses, mended when changed outside, taken back when they lock us out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.api import FleetClient
from reconciler.errors import HostError, NameTaken, WrongHostKey
from reconciler.model import Change, FirewallSpec, HostAddress, Kind, OutcomeCode, ReasonCode, ServerStatus
from reconciler.steps.firewalls import (
    PROOF_PATIENCE,
    ensure_fleet_resources,
    firewall_changes,
    is_covered,
    remove_unwanted_firewalls,
    sources_digest,
    wanted_firewalls,
)
from reconciler.steps.networks import ensure_ssh_from
from reconciler.steps.runs import fleet_firewalls, open_run
from reconciler.store import DirectoryStore
from tests.fakes.clock import FakeClock
from tests.fakes.dialer import FakeDialer
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost
from tests.fakes.works import Notes, make_work
from tests.fakes.worlds import FLEET_KEY, make_spec

FLEET_ID = keys.fleet_id(FLEET_KEY)
OFFICE = ("198.51.100.0/24", "2001:db8::/32")  # where the FakeDialer calls from
ELSEWHERE = ("192.0.2.0/24",)
OPEN = "in tcp 22 from 0.0.0.0/0, ::/0"
FROM_ELSEWHERE = "in tcp 22 from 192.0.2.0/24"


@pytest.fixture
def fresh(state: Path) -> FakeFleet:
    return FakeFleet(state)


@pytest.fixture
def world(fresh: FakeFleet) -> FakeFleet:
    return fresh.applied()


def wanted(world: FakeFleet) -> tuple[FirewallSpec, ...]:
    return wanted_firewalls(world.fleet(), FLEET_ID)


def changes(world: FakeFleet) -> tuple[Change, ...]:
    return firewall_changes(wanted(world), fleet_firewalls(world.fleet(), world.ports()))


def mend(world: FakeFleet) -> Notes:
    notes = Notes()
    ensure_fleet_resources(world.fleet(), world.ports(), notes)
    return notes


def clear_up(world: FakeFleet) -> Notes:
    notes = Notes()
    remove_unwanted_firewalls(world.fleet(), world.ports(), fleet_firewalls(world.fleet(), world.ports()), notes)
    return notes


def apply(world: FakeFleet) -> None:
    assert {outcome.code for outcome in world.apply()} == {OutcomeCode.DONE}


def names_of(world: FakeFleet, child: str) -> list[str]:
    return [wall.name for wall in world.cloud.walls_of(world.server(child))]


# --- what is wanted ------------------------------------------------------------------------------------------


def test_there_is_one_firewall_for_all_and_one_per_set_of_addresses(fresh: FakeFleet) -> None:
    fresh.change("alice", ssh_from=OFFICE)
    fresh.change("bob", ssh_from=tuple(reversed(OFFICE)))
    default, restricted = wanted(fresh)
    digest = sources_digest(OFFICE)
    assert (default.name, default.rules) == ("demo", (OPEN,))
    assert default.selector == f"openclaw-deploy/fleet-id={FLEET_ID},!openclaw-deploy/ssh-from"
    assert restricted.name == f"demo-ssh-{digest}"
    assert restricted.rules == ("in tcp 22 from 198.51.100.0/24, 2001:db8::/32",)
    assert restricted.selector == f"openclaw-deploy/fleet-id={FLEET_ID},openclaw-deploy/ssh-from={digest}"
    assert len(digest) == 16


def test_each_server_is_under_exactly_one_of_ours(fresh: FakeFleet) -> None:
    fresh.change("alice", ssh_from=OFFICE)
    fresh.applied()
    assert names_of(fresh, "alice") == [f"demo-ssh-{sources_digest(OFFICE)}"]
    assert names_of(fresh, "bob") == ["demo"]


# --- what a plan says ----------------------------------------------------------------------------------------


def test_all_as_wanted_is_no_change(world: FakeFleet) -> None:
    assert changes(world) == ()


def test_a_rule_added_by_hand_is_drift(world: FakeFleet) -> None:
    world.cloud.change_wall("demo", OPEN, "in udp 53 from ::/0")
    assert changes(world) == (Change("firewall demo: rules", [OPEN, "in udp 53 from ::/0"], [OPEN], drift=True),)


def test_another_selector_is_drift(world: FakeFleet) -> None:
    world.cloud.walls["demo"] = replace(world.cloud.walls["demo"], selectors=())
    [change] = changes(world)
    assert (change.path, change.before, change.drift) == ("firewall demo: servers", [], True)


def test_a_missing_firewall_and_an_unwanted_one_are_changes(world: FakeFleet) -> None:
    world.change("alice", ssh_from=OFFICE)
    mend(world)
    world.change("alice", ssh_from=ELSEWHERE)
    assert [(change.path, change.before is None, change.after is None, change.drift) for change in changes(world)] == [
        (f"firewall demo-ssh-{sources_digest(ELSEWHERE)}", True, False, False),
        (f"firewall demo-ssh-{sources_digest(OFFICE)}", False, True, False),
    ]


def test_a_firewall_that_others_are_under_is_not_announced_as_removed(world: FakeFleet) -> None:
    world.change("alice", ssh_from=OFFICE)
    apply(world)
    world.change("alice", ssh_from=())
    del world.cloud.by_id[world.server("bob").id]
    planned = world.client().plan(["bob"])
    assert ([action.kind for action in planned.plan.actions], planned.plan.shared) == ([Kind.CREATE], ())
    assert {outcome.code for outcome in world.client().apply(planned)} == {OutcomeCode.DONE}
    assert names_of(world, "alice") == [f"demo-ssh-{sources_digest(OFFICE)}"]
    assert [change.after for change in world.client().plan().plan.shared] == [None]


def test_a_firewall_is_announced_as_removed_when_the_last_server_leaves_it(world: FakeFleet) -> None:
    name = f"demo-ssh-{sources_digest(OFFICE)}"
    world.change("alice", ssh_from=OFFICE)
    apply(world)
    world.change("alice", ssh_from=(), enabled=False)
    assert world.client().plan().plan.shared == ()
    apply(world)
    assert (names_of(world, "alice"), world.planned()) == ([name], [])
    world.change("alice", enabled=True)
    assert [change.path for change in world.client().plan().plan.shared] == [f"firewall {name}"]
    apply(world)
    assert set(world.cloud.walls) == {"demo"}


# --- what an apply does --------------------------------------------------------------------------------------


def test_rules_changed_by_hand_are_put_right_and_nothing_else_is_written(world: FakeFleet) -> None:
    before = dict(world.cloud.walls)
    world.cloud.change_wall("demo", OPEN, "in tcp 80 from 0.0.0.0/0")
    assert mend(world).events == ["firewall-change-intended"]
    assert world.cloud.walls == before
    assert mend(world).events == []


def test_a_change_that_locks_us_out_is_taken_back(world: FakeFleet) -> None:
    """Somebody has let the operator in by a rule of its own; what the file wants keeps the operator out."""
    world.change("alice", ssh_from=ELSEWHERE)
    name = f"demo-ssh-{sources_digest(ELSEWHERE)}"
    mend(world)
    server = world.server("alice")
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/ssh-from": sources_digest(ELSEWHERE)})
    world.cloud.change_wall(name, FROM_ELSEWHERE, "in tcp 22 from 198.51.100.7/32")
    before, started = dict(world.cloud.walls), world.clock.monotonic()
    notes = Notes()
    with pytest.raises(HostError, match="demo-alice no longer answered SSH") as raised:
        ensure_fleet_resources(world.fleet(), world.ports(), notes)
    assert world.cloud.walls == before
    assert world.clock.monotonic() - started >= PROOF_PATIENCE
    assert notes.events == ["firewall-change-intended", "firewall-revert-intended"]
    assert "access.ssh_from" in raised.value.advice


def test_a_change_is_taken_back_when_a_person_does_not_wait_for_its_proof(world: FakeFleet) -> None:
    world.cloud.change_wall("demo", "in tcp 22 from 198.51.100.0/24", "in tcp 8080 from 0.0.0.0/0")
    before, connect = dict(world.cloud.walls), world.dialer.connect

    class Impatient(FakeDialer):
        """Whoever wants to get in after the change is interrupted."""

        def connect(self, address: HostAddress, timeout: float) -> FakeHost:
            if world.cloud.walls != before:
                raise KeyboardInterrupt
            return connect(address, timeout)

    world.dialer = Impatient(world.cloud, world.clock)
    with pytest.raises(KeyboardInterrupt):
        ensure_fleet_resources(world.fleet(), world.ports(), Notes())
    assert world.cloud.walls == before


def test_a_new_firewall_that_locks_us_out_is_gone_again(world: FakeFleet) -> None:
    server = world.server("alice")
    world.change("alice", ssh_from=ELSEWHERE)
    world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/ssh-from": sources_digest(ELSEWHERE)})
    with pytest.raises(HostError):
        mend(world)
    assert list(world.cloud.walls) == ["demo"]


def test_who_was_locked_out_before_is_let_in_again(world: FakeFleet) -> None:
    """Nobody answers before the change, so nobody's silence after it would say anything."""
    world.cloud.change_wall("demo", FROM_ELSEWHERE)
    mend(world)
    assert world.cloud.walls["demo"].rules == (OPEN,)


def test_a_firewall_of_somebody_else_is_left_alone(world: FakeFleet) -> None:
    theirs = world.cloud.walls["demo"] = replace(world.cloud.walls["demo"], labels={}, rules=(FROM_ELSEWHERE,))
    with pytest.raises(NameTaken):
        mend(world)
    assert world.cloud.walls == {"demo": theirs}


def test_a_firewall_that_nobody_wants_goes_when_no_server_needs_it(world: FakeFleet) -> None:
    world.change("alice", ssh_from=OFFICE)
    apply(world)
    name = f"demo-ssh-{sources_digest(OFFICE)}"
    world.change("alice", ssh_from=())
    assert clear_up(world).events == []
    assert set(world.cloud.walls) == {"demo", name}
    assert names_of(world, "alice") == [name]
    apply(world)
    assert set(world.cloud.walls) == {"demo"}
    assert names_of(world, "alice") == ["demo"]


# --- one server moves to another firewall --------------------------------------------------------------------


def test_a_server_moves_to_the_firewall_of_its_addresses(world: FakeFleet) -> None:
    server = world.cloud.set_labels(world.server("alice").id, {**world.server("alice").labels, "team": "blue"})
    world.change("alice", ssh_from=OFFICE)
    mend(world)
    work, notes = make_work(world, "alice")
    assert ensure_ssh_from(work)
    assert world.server("alice").labels == {**server.labels, "openclaw-deploy/ssh-from": sources_digest(OFFICE)}
    assert notes.events == ["ssh-from-intended"]
    assert not ensure_ssh_from(work)


def test_a_label_that_was_put_on_the_server_since_the_plan_outlives_its_move(world: FakeFleet) -> None:
    for sources in (OFFICE, ()):
        world.change("alice", ssh_from=sources)
        mend(world)
        work, _ = make_work(world, "alice")
        label = {"team": f"blue{len(sources)}"}
        world.cloud.set_labels(world.server("alice").id, {**world.server("alice").labels, **label})
        assert ensure_ssh_from(work)
        assert world.server("alice").labels.items() >= label.items()


def test_a_server_that_does_not_answer_from_its_new_firewall_moves_back(world: FakeFleet) -> None:
    server = world.server("alice")
    world.change("alice", ssh_from=ELSEWHERE)
    mend(world)
    work, _ = make_work(world, "alice")
    with pytest.raises(HostError, match="the change was taken back"):
        ensure_ssh_from(work)
    assert world.server("alice") == server
    assert names_of(world, "alice") == ["demo"]


# --- the apply that moved it has died --------------------------------------------------------------------------


def killed_while_moving(world: FakeFleet, sources: tuple[str, ...]) -> None:
    """Of the apply that takes alice there nothing happens after the label is set."""
    world.change("alice", ssh_from=sources)
    mend(world)
    work, _ = make_work(world, "alice")
    work.ports = replace(work.ports, clock=Deadly())
    with pytest.raises(Killed):
        ensure_ssh_from(work)


class Killed(BaseException):
    pass


class Deadly(FakeClock):
    """Whoever pauses is killed."""

    def sleep(self, seconds: float) -> None:
        raise Killed


def test_the_next_apply_takes_a_lock_out_back(world: FakeFleet) -> None:
    server = world.server("alice")
    killed_while_moving(world, ELSEWHERE)
    (action,) = world.client().plan().plan.actions
    assert (action.kind, action.reason.code) == (Kind.UPDATE, ReasonCode.UNFINISHED)
    assert (
        action.reason.text == "it does not answer, and its firewall at the cloud is not the file's, or was never proven"
    )
    assert [outcome.error for outcome in world.apply()] == [
        "ssh from: alice no longer answered SSH after the change of access.ssh_from, so the change was taken back"
    ]
    assert world.server("alice").labels == server.labels
    world.change("alice", ssh_from=OFFICE)
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert world.planned() == []


def test_a_lock_out_is_over_when_the_file_is_mended(world: FakeFleet) -> None:
    server = world.server("alice")
    killed_while_moving(world, ELSEWHERE)
    world.change("alice", ssh_from=())
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (world.server("alice").labels, world.planned()) == (server.labels, [])


def test_where_we_get_in_the_next_apply_proves_it(world: FakeFleet) -> None:
    killed_while_moving(world, OFFICE)
    assert world.planned() == ["update alice: changed"]
    world.apply()
    assert world.server("alice").labels.keys() >= {"openclaw-deploy/ssh-from"}
    assert not world.server("alice").is_unproven
    assert world.planned() == []


def test_a_child_that_is_silent_for_another_reason_is_left_alone(world: FakeFleet) -> None:
    killed_while_moving(world, OFFICE)
    world.dialer.silent[world.server("alice").id] = WrongHostKey("192.0.2.1 shows a key that is not its own")
    assert world.planned() == []


def test_who_may_reach_a_server_is_not_changed_while_it_is_off(world: FakeFleet) -> None:
    world.change("alice", enabled=False, ssh_from=ELSEWHERE)
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (names_of(world, "alice"), world.planned()) == (["demo"], [])
    world.change("alice", enabled=True)
    for _ in range(2):  # it starts, the change is tried, and taken back
        assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]
        assert (names_of(world, "alice"), world.server("alice").status) == (["demo"], ServerStatus.RUNNING)
    world.change("alice", ssh_from=OFFICE)
    assert ([outcome.code for outcome in world.apply()], world.planned()) == ([OutcomeCode.DONE], [])


def test_who_was_killed_while_moving_and_is_switched_off_comes_back(world: FakeFleet) -> None:
    killed_while_moving(world, ELSEWHERE)
    world.change("alice", enabled=False, ssh_from=())
    world.apply()
    world.change("alice", enabled=True)
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    world.apply()
    assert (names_of(world, "alice"), world.planned()) == (["demo"], [])


def test_a_child_that_was_made_behind_the_wrong_networks_is_reached_when_the_file_is_mended(fresh: FakeFleet) -> None:
    fresh.change("alice", ssh_from=ELSEWHERE)
    assert OutcomeCode.FAILED in [outcome.code for outcome in fresh.apply()]
    fresh.change("alice", ssh_from=OFFICE)
    assert {outcome.code for outcome in fresh.apply()} == {OutcomeCode.DONE}
    assert fresh.planned() == []


def test_a_mended_file_lets_in_whom_nothing_else_does(world: FakeFleet) -> None:
    """Killed between a firewall's change and its proof, an apply leaves no label that tells."""
    world.change("alice", ssh_from=OFFICE)
    apply(world)
    world.dialer.source = "203.0.113.9"
    assert world.planned() == []
    world.change("alice", ssh_from=("203.0.113.0/24", *OFFICE))
    assert world.planned() == ["update alice: unfinished"]


def test_the_firewall_that_a_server_may_go_back_to_stays(world: FakeFleet) -> None:
    world.change("alice", ssh_from=OFFICE)
    apply(world)
    killed_while_moving(world, ELSEWHERE)
    assert clear_up(world).events == []
    world.change("alice", ssh_from=())
    apply(world)
    assert set(world.cloud.walls) == {"demo"}


# --- another fleet with the same key -------------------------------------------------------------------------


def test_a_fleet_with_the_same_key_and_another_name_keeps_its_firewalls_and_marks(
    fresh: FakeFleet, tmp_path: Path
) -> None:
    fresh.change("bob", ssh_from=OFFICE)
    fresh.applied()
    open_run(fresh.fleet(), fresh.ports(), "0123456789abcdef")
    before = dict(fresh.cloud.walls)
    ports = replace(fresh.ports(), store=DirectoryStore(tmp_path / "stage", fresh.clock))
    carol = make_spec("carol", server_type="cpx22")
    stage = FleetClient(replace(fresh.fleet(), name="stage", children={"carol": carol}), ports)
    planned = stage.plan()
    assert [change.path for change in planned.plan.shared] == ["firewall stage"]
    assert [outcome.code for outcome in stage.apply(planned)] == [OutcomeCode.DONE]
    assert {name: fresh.cloud.walls[name] for name in before} == before
    assert names_of(fresh, "bob") == [f"demo-ssh-{sources_digest(OFFICE)}"]
    assert changes(fresh) == ()


def test_no_server_is_moved_to_a_firewall_that_only_another_fleet_has(fresh: FakeFleet) -> None:
    fresh.change("bob", ssh_from=OFFICE)
    fresh.applied()
    assert is_covered(fresh.fleet(), sources_digest(OFFICE), fresh.ports())
    assert not is_covered(replace(fresh.fleet(), name="stage"), sources_digest(OFFICE), fresh.ports())
