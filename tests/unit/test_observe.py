"""Looking: what a host that does not answer, a foreign server and a wrong listing come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.errors import (
    CloudUnavailable,
    HostError,
    HostRefused,
    HostTimedOut,
    LoginRefused,
    WrongHostKey,
)
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, LATEST, Child, OutcomeCode, SecretRef, ServerStatus, Silence
from reconciler.observe import LOOK_UPS, Observation, observe
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY, make_server


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state).applied()


def look(world: FakeFleet) -> Observation:
    return observe(world.fleet(), world.ports())


def alice(world: FakeFleet) -> Child:
    return look(world).children["alice"]


def obstacle(world: FakeFleet, name: str) -> str:
    found = look(world).children[name].obstacle
    assert found is not None
    assert found.address == name
    return found.summary


def relabel(world: FakeFleet, **labels: str | None) -> None:
    """Change alice's labels openclaw-deploy/*, as by hand; None takes one away."""
    server = world.server("alice")
    changed = {**server.labels, **{LABEL_PREFIX + name: value for name, value in labels.items()}}
    world.cloud.set_labels(server.id, {name: value for name, value in changed.items() if value is not None})


@pytest.mark.parametrize(
    ("error", "silence"),
    [
        (HostRefused("nothing listens"), Silence.REFUSED),
        (HostTimedOut("no packet came"), Silence.TIMED_OUT),
        (WrongHostKey("another key"), Silence.WRONG_HOST_KEY),
        (LoginRefused("not our key"), Silence.LOGIN_REFUSED),
        (HostError("it is strange"), Silence.PROBE_FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HostError) else "",
)
def test_a_host_that_does_not_answer_is_silent_and_not_absent(
    world: FakeFleet, error: HostError, silence: Silence
) -> None:
    world.dialer.silent[world.server("alice").id] = error
    child = alice(world)
    assert (child.silence, child.silence_detail, child.facts) == (silence, error.summary, None)
    assert child.server == world.server("alice")
    assert look(world).children["bob"].facts is not None
    assert world.planned() == []


def test_a_probe_that_fails_is_silence_too(world: FakeFleet) -> None:
    world.host("alice").fails = [("probe", HostTimedOut("the probe did not end"))]
    assert alice(world).silence is Silence.TIMED_OUT


def test_a_foreign_server_of_a_childs_name_is_that_childs_obstacle_and_not_an_absence(world: FakeFleet) -> None:
    del world.cloud.by_id[world.server("alice").id]
    world.cloud.add(replace(make_server("alice", id=77), labels={LABEL_PREFIX + "fleet-id": "somebody"}))
    world.change("bob", version="2026.9.7")
    assert "it belongs to the fleet with id somebody" in obstacle(world, "alice")
    assert world.planned() == ["update bob: changed"]


@pytest.mark.parametrize(
    "changes", [{"child": None}, {"child": "bob"}, {"child": "carol"}, {"uid": None}, {"child": None, "uid": None}]
)
def test_a_server_whose_name_and_labels_do_not_agree_is_an_obstacle_and_the_others_go_on(
    world: FakeFleet, changes: dict[str, str | None]
) -> None:
    relabel(world, **changes)
    world.change("bob", version="2026.9.7")
    assert "server demo-alice (" in obstacle(world, "alice")
    assert "carries this fleet's id, but" in obstacle(world, "alice")
    assert world.planned() == ["update bob: changed"]


def test_a_server_with_another_name_by_hand_is_still_its_childs_obstacle(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), name="renamed"))
    assert "server renamed (" in obstacle(world, "alice")
    assert world.planned() == []


def test_a_server_that_no_child_can_be_found_for_goes_under_its_own_name(world: FakeFleet) -> None:
    fleet_id = world.server("alice").label("fleet-id") or ""
    world.cloud.add(replace(make_server("alice", id=77), name="stray", labels={LABEL_PREFIX + "fleet-id": fleet_id}))
    assert "server stray (77)" in obstacle(world, "stray")
    assert world.planned() == []


def test_a_moved_childs_server_is_found_under_its_old_name_with_its_record(world: FakeFleet) -> None:
    server = world.server("alice")
    world.move("alice", "carol")
    child = look(world).children["carol"]
    assert (child.server, child.obstacle) == (server, None)
    assert child.record is not None
    assert set(look(world).children) == {"bob", "carol"}
    assert world.planned() == ["update carol: changed"]


def test_moves_follow_each_other(world: FakeFleet) -> None:
    server = world.server("alice")
    world.move("alice", "carol")
    world.move("carol", "dave")
    assert look(world).children["dave"].server == server


def test_a_moved_child_is_renamed_and_nothing_is_made_or_deleted(world: FakeFleet) -> None:
    before = world.server("alice")
    world.move("alice", "carol")
    world.apply()
    assert world.planned() == []
    after = world.server("carol")
    assert (after.id, after.child, after.uid) == (before.id, "carol", before.uid)
    assert len(world.cloud.requests) == len(world.names)


def test_a_moved_child_that_has_a_server_of_its_own_is_an_obstacle_and_both_stay(world: FakeFleet) -> None:
    world.move("alice", "bob")
    assert "bob has more than one server" in obstacle(world, "bob")
    assert world.planned() == []


def test_as_that_obstacle_advises_both_servers_are_kept(world: FakeFleet) -> None:
    before = dict(world.specs)
    world.move("alice", "bob")
    found = look(world).children["bob"].obstacle
    assert found is not None
    assert "declare the older name again and take the entry out of `moved` at the same time" in found.detail
    world.specs, world.moved = before, {}
    assert world.planned() == []


def test_a_listing_that_fails_is_an_error_and_nothing_is_absent(world: FakeFleet) -> None:
    world.cloud.fail_next("servers", CloudUnavailable("no answer"))
    with pytest.raises(CloudUnavailable):
        look(world)


def test_prices_that_cannot_be_read_are_an_error_only_where_they_decide(world: FakeFleet) -> None:
    world.cloud.fail_next("catalog", CloudUnavailable("no prices"))
    assert look(world).catalog is None
    del world.cloud.by_id[world.server("alice").id]
    world.cloud.fail_next("catalog", CloudUnavailable("no prices"))
    with pytest.raises(CloudUnavailable, match="no prices"):
        look(world)
    catalog = look(world).catalog
    assert catalog is not None
    assert "cpx22" in catalog.types


def test_a_firewall_changed_in_the_console_is_seen(world: FakeFleet) -> None:
    assert look(world).shared == ()
    world.cloud.delete_firewall("demo")
    assert [change.path for change in look(world).shared] == ["firewall demo"]


def test_latest_is_the_release_that_the_child_was_brought_to(world: FakeFleet) -> None:
    world.change("alice", version=LATEST)
    release = alice(world).wanted["release"]
    assert isinstance(release, dict)
    assert release["version"] == "2026.9.6"
    assert world.planned() == []


def test_a_disabled_childs_secrets_are_not_asked_for(world: FakeFleet) -> None:
    world.change("alice", enabled=False, bot_token=SecretRef("env", "NOT_THERE"))
    assert alice(world).wanted == {}
    assert world.planned() == ["stop alice: disabled"]


def test_servers_of_children_that_nobody_asked_about_are_counted(world: FakeFleet) -> None:
    seen = observe(world.fleet(), world.ports(), ["bob"])
    assert seen.others == (world.server("alice"),)


def test_a_server_that_is_not_finished_is_not_asked(world: FakeFleet) -> None:
    relabel(world, unfinished="true")
    world.dialer.met.clear()
    child = alice(world)
    assert (child.facts, child.silence) == (None, None)
    assert {address.address for address in world.dialer.met} == {world.server("bob").address}


@pytest.mark.parametrize("status", set(ServerStatus) - {ServerStatus.RUNNING})
def test_a_server_that_does_not_run_is_not_asked(world: FakeFleet, status: ServerStatus) -> None:
    world.cloud.add(replace(world.server("alice"), status=status))
    assert (alice(world).facts, alice(world).silence) == (None, None)


def test_the_first_host_key_is_an_alarm_once_the_first_apply_has_finished(world: FakeFleet) -> None:
    uid = world.server("alice").uid or ""
    first = keys.public_key(keys.host_key(FLEET_KEY, uid, 0))
    world.host("alice").shown_key = first
    world.host("alice").files[f"{files.HOST_KEY_PATH}.pub"].content = f"{first}\n".encode()
    assert alice(world).silence is Silence.WRONG_HOST_KEY
    assert world.planned() == []
    relabel(world, unfinished="true")
    world.apply()
    assert world.host("alice").shown_key == keys.public_key(keys.host_key(FLEET_KEY, uid, 1))
    assert alice(world).facts is not None


def test_only_the_named_children_are_looked_at(world: FakeFleet) -> None:
    world.dialer.met.clear()
    seen = observe(world.fleet(), world.ports(), ["bob"])
    assert set(seen.children) == {"bob"}
    assert {address.address for address in world.dialer.met} == {world.server("bob").address}


def test_a_server_of_a_child_that_nobody_declares_is_seen(world: FakeFleet) -> None:
    del world.specs["alice"]
    child = alice(world)
    assert (child.spec, child.server, child.wanted) == (None, world.server("alice"), {})
    assert child.facts is not None


def test_of_many_missing_children_none_is_looked_up_and_a_foreign_server_is_still_not_taken(state: Path) -> None:
    names = tuple(f"c{number:03}" for number in range(LOOK_UPS + 1))
    world = FakeFleet(state, names)
    foreign = world.cloud.add(replace(make_server("c007", id=7777), labels={}))
    client = world.client()
    assert client.watch(None, {}, remembers=True).looked_up == 0
    planned = client.plan()
    assert planned.children["c007"].obstacle is None
    [outcome] = [outcome for outcome in client.apply(planned) if outcome.code is OutcomeCode.FAILED]
    assert (outcome.action.child, world.cloud.by_id[7777]) == ("c007", foreign)
