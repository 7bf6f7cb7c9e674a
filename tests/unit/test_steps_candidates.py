"""Making a server from the first type and region to be had, and replacing one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import ActionFailed, CloudError, CloudUnavailable, LimitExceeded, OutOfStock, Refused
from reconciler.model import OutcomeCode, ServerStatus
from reconciler.steps.replacing import ensure_successor
from reconciler.steps.server import check_stock, ensure_server, server_labels, successor_name
from tests.fakes.catalog import REGIONS as SOLD_IN
from tests.fakes.fleets import FakeFleet
from tests.fakes.works import make_work
from tests.fakes.worlds import make_server, make_spec

TYPES, REGIONS = ("cpx22", "cpx32"), ("nbg1", "fsn1")


@pytest.fixture
def world(state: Path) -> FakeFleet:
    world = FakeFleet(state, ("alice",))
    world.change("alice", server_types=TYPES, regions=REGIONS)
    return world


def made(world: FakeFleet) -> tuple[str, str]:
    [server] = world.cloud.by_id.values()
    return server.server_type, server.region


def test_the_first_type_is_tried_everywhere_before_the_next_type(world: FakeFleet) -> None:
    wanted = [(kind, region) for kind in TYPES for region in REGIONS]
    for had in wanted:
        world.cloud.by_id.clear()
        work, notes = make_work(world, "alice")
        ensure_server(work)
        assert made(world) == had
        assert notes.events.count("candidate-refused") == wanted.index(had)
        world.cloud.sold_out.add(had)


def test_when_nothing_can_be_had_the_error_says_what_was_tried_and_what_there_is(world: FakeFleet) -> None:
    world.cloud.sold_out |= {(kind, region) for kind in TYPES for region in REGIONS}
    with pytest.raises(OutOfStock) as raised:
        ensure_server(make_work(world, "alice")[0])
    assert "alice; tried cpx22 in nbg1, cpx22 in fsn1, cpx32 in nbg1, cpx32 in fsn1" in raised.value.summary
    assert raised.value.advice.endswith("in nbg1: cpx12; in fsn1: cpx12")
    assert world.cloud.by_id == {}


def advice_when_refused(world: FakeFleet, *regions: str) -> str:
    """Of a child that shall be a cpx22, which the catalogue goes on to list: its word on stock is no promise."""
    world.change("alice", server_types=("cpx22",), regions=regions)
    for region in regions:
        world.cloud.fail_next("create_server", OutOfStock(f"error during placement in {region}"))
    with pytest.raises(OutOfStock) as raised:
        ensure_server(make_work(world, "alice")[0])
    return raised.value.advice


def test_what_was_just_refused_is_not_what_can_be_had(world: FakeFleet) -> None:
    assert advice_when_refused(world, "nbg1").endswith("to be had now in nbg1: cpx12, cpx32")


def test_a_region_without_anything_else_is_told_from_one_with_something(world: FakeFleet) -> None:
    world.cloud.sold_out |= {("cpx12", "nbg1"), ("cpx32", "nbg1")}
    advice = "list more server_types or regions; to be had now in nbg1: nothing else; in fsn1: cpx12, cpx32"
    assert advice_when_refused(world, "nbg1", "fsn1") == advice


def test_where_its_regions_have_nothing_else_the_others_are_named_with_their_cheapest_type(world: FakeFleet) -> None:
    world.cloud.sold_out |= {("cpx12", "nbg1"), ("cpx32", "nbg1"), ("cpx12", "hel1")}
    advice = (
        "list more regions; no other x86 server can be had now in nbg1, but in fsn1 (from cpx12), hel1 (from cpx22)"
    )
    assert advice_when_refused(world, "nbg1") == advice


def test_where_no_region_has_anything_else_that_is_said_with_what_is_left_to_do(world: FakeFleet) -> None:
    world.cloud.sold_out |= {(kind, region) for kind in ("cpx12", "cpx32") for region in SOLD_IN}
    advice = advice_when_refused(world, *SOLD_IN)
    assert advice.startswith("no other x86 server can be had now in any region: apply again later, or list")


def test_a_catalogue_that_cannot_be_read_does_not_hide_that_nothing_can_be_had(world: FakeFleet) -> None:
    world.cloud.sold_out |= {(kind, region) for kind in TYPES for region in REGIONS}
    world.cloud.fail_next("catalog", CloudUnavailable("no answer"))
    with pytest.raises(OutOfStock, match="tried cpx22 in nbg1"):
        ensure_server(make_work(world, "alice")[0])


def test_a_server_whose_creation_failed_is_gone_before_the_next_candidate(world: FakeFleet) -> None:
    world.cloud.failing_actions = 1
    work, notes = make_work(world, "alice")
    ensure_server(work)
    assert made(world) == ("cpx22", "fsn1")
    assert notes.events == [
        "create-intended",
        "created",
        "delete-intended",
        "candidate-refused",
        "create-intended",
        "created",
    ]


def test_a_failed_server_that_cannot_be_deleted_ends_it(world: FakeFleet) -> None:
    """Else the next candidate would meet its name, and take it for a good one by its nonce."""
    world.cloud.failing_actions = 1
    world.cloud.fail_next("delete_server", CloudUnavailable("no answer"))
    with pytest.raises(CloudError, match="not be deleted either") as raised:
        ensure_server(make_work(world, "alice")[0])
    assert not raised.value.temporary
    assert len(world.cloud.requests) == 1


def test_a_single_candidate_that_fails_says_why(world: FakeFleet) -> None:
    world.change("alice", server_types=("cpx22",), regions=("nbg1",))
    world.cloud.failing_actions = 1
    with pytest.raises(ActionFailed):
        ensure_server(make_work(world, "alice")[0])


def test_a_lost_answer_is_no_reason_for_the_next_candidate(world: FakeFleet) -> None:
    world.cloud.fail_next("create_server", CloudUnavailable("the connection broke off"))
    work, _ = make_work(world, "alice")
    with pytest.raises(CloudUnavailable):
        ensure_server(work)
    ensure_server(work)
    assert made(world) == ("cpx22", "nbg1")


def test_a_full_project_ends_it_at_once_and_for_all(state: Path) -> None:
    world = FakeFleet(state, tuple(f"child{number}" for number in range(6)))
    for name in world.names:
        world.change(name, server_types=TYPES)
    world.cloud.server_limit = 2
    outcomes = world.apply(workers=1)
    failed = [outcome.error for outcome in outcomes if outcome.code is OutcomeCode.FAILED]
    assert failed == ["server: server limit exceeded"] + ["not tried, the project is full: server limit exceeded"] * 3
    assert sum(event.event == "create-intended" for event in world.events()) == 3


def test_without_a_full_project_nobody_stops(world: FakeFleet) -> None:
    world.cloud.server_limit = 0
    with pytest.raises(LimitExceeded):
        ensure_server(make_work(world, "alice")[0])
    world.cloud.server_limit = 1
    ensure_server(make_work(world, "alice")[0])
    assert made(world) == ("cpx22", "nbg1")


def test_no_ipv4_is_asked_for_where_the_file_wants_none(world: FakeFleet) -> None:
    world.change("alice", ipv4=False)
    world.applied()
    assert world.server("alice").ipv4 is False
    assert ":" in (world.server("alice").address or "")


def test_labels_follow_from_the_file() -> None:
    plain = make_spec("alice", labels={"team": "blue"})
    walled = replace(plain, ssh_from=("192.0.2.0/24", "2001:db8::/32"), protect=True)
    turned = replace(walled, ssh_from=("2001:db8::/32", "192.0.2.0/24"))
    assert server_labels(plain) == {"team": "blue"}
    assert set(server_labels(walled)) == {"team", "openclaw-deploy/protect", "openclaw-deploy/ssh-from"}
    assert server_labels(walled) == server_labels(turned)
    assert server_labels(walled) != server_labels(replace(walled, ssh_from=("192.0.2.0/24",)))


# --- replacing -----------------------------------------------------------------------------------------------


def test_a_successor_is_made_beside_the_old_server_under_a_name_of_its_own(world: FakeFleet) -> None:
    world.applied()
    before = world.server("alice")
    work, notes = make_work(world, "alice")
    assert ensure_successor(work)
    made = work.existing()
    assert (world.server("alice"), made.name) == (before, f"demo-{made.uid}")
    assert (made.child, made.is_successor, made.bot, made.uid == before.uid) == ("alice", True, None, False)
    assert not ensure_successor(work)
    assert notes.events == ["create-intended", "created"]


def test_the_longest_name_of_a_fleet_leaves_room_for_a_successor(world: FakeFleet) -> None:
    fleet = replace(world.fleet(), name="f" * 60)
    assert len(successor_name(fleet, "0123456789abcdef")) == 63


def test_nothing_is_begun_while_no_new_server_can_be_had(world: FakeFleet) -> None:
    world.applied()
    before = dict(world.cloud.by_id)
    world.cloud.sold_out |= {(kind, region) for kind in TYPES for region in REGIONS}
    work, notes = make_work(world, "alice")
    with pytest.raises(OutOfStock, match="the old one was kept") as raised:
        check_stock(work)
    assert raised.value.advice.endswith("to be had now in nbg1: cpx12; in fsn1: cpx12")
    assert (world.cloud.by_id, notes.events) == (before, [])


def test_nothing_is_begun_where_the_image_is_not_there_for_the_type(world: FakeFleet) -> None:
    world.applied()
    world.change("alice", image="debian-99")
    with pytest.raises(OutOfStock) as raised:
        check_stock(make_work(world, "alice")[0])
    assert raised.value.advice == "there is no image debian-99 for x86 servers: choose another image"
    assert world.server("alice").status is ServerStatus.RUNNING


def test_a_server_that_is_another_one_by_now_is_not_replaced(world: FakeFleet) -> None:
    world.applied()
    work, _ = make_work(world, "alice")
    other = world.cloud.add(make_server("alice", id=world.server("alice").id, labels={"openclaw-deploy/uid": "ff"}))
    with pytest.raises(Refused):
        ensure_successor(work)
    assert world.server("alice") == other


def test_a_server_that_was_protected_since_the_plan_is_not_replaced(world: FakeFleet) -> None:
    world.applied()
    work, notes = make_work(world, "alice")
    server = world.server("alice")
    protected = world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/protect": "true"})
    with pytest.raises(Refused, match="was protected after the plan was made"):
        ensure_successor(work)
    assert (world.server("alice"), notes.events) == (protected, [])
