"""Another type, name, power or backup setting for a server that stays the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import (
    ActionFailed,
    CloudError,
    CloudUnavailable,
    NameTaken,
    NotFound,
    OutOfStock,
    RateLimited,
    Refused,
    ResourceLocked,
)
from reconciler.model import Server, ServerStatus
from reconciler.steps.power import OFF_PATIENCE, ensure_off, ensure_powered
from reconciler.steps.reshape import ensure_backups, ensure_renamed, ensure_resized
from tests.fakes.fleets import FakeFleet
from tests.fakes.works import make_work
from tests.fakes.worlds import make_server


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state, ("alice",)).applied()


@pytest.fixture
def server(world: FakeFleet) -> Server:
    return world.server("alice")


def resize(world: FakeFleet) -> None:
    work, _ = make_work(world, "alice")
    ensure_resized(work)
    ensure_powered(work)


# --- off -----------------------------------------------------------------------------------------------------


def test_a_server_is_told_to_end_before_it_is_off(world: FakeFleet, server: Server) -> None:
    work, notes = make_work(world, "alice")
    assert ensure_off(work)
    assert world.server("alice") == replace(server, status=ServerStatus.OFF)
    assert notes.events == ["stop-intended"]
    assert not ensure_off(work)


def test_the_plug_is_pulled_only_when_the_server_does_not_listen(world: FakeFleet, server: Server) -> None:
    world.cloud.deaf.add(server.id)
    before = world.clock.monotonic()
    work, notes = make_work(world, "alice")
    ensure_off(work)
    assert world.server("alice").status is ServerStatus.OFF
    assert world.clock.monotonic() - before >= OFF_PATIENCE
    assert notes.events == ["stop-intended", "power-off-intended"]


def test_a_locked_server_is_waited_for(world: FakeFleet, server: Server) -> None:
    world.cloud.set_backups(server.id, True)  # and nobody waits for it
    ensure_off(make_work(world, "alice")[0])
    assert world.server("alice") == replace(server, status=ServerStatus.OFF, backups=True)


def test_a_server_that_stays_locked_is_an_error(world: FakeFleet) -> None:
    for _ in range(100):
        world.cloud.fail_next("shutdown", ResourceLocked("locked"))
    with pytest.raises(ResourceLocked):
        ensure_off(make_work(world, "alice")[0])
    assert world.server("alice").status is ServerStatus.RUNNING


def test_another_server_under_its_number_is_not_switched_off(world: FakeFleet, server: Server) -> None:
    work, _ = make_work(world, "alice")
    other = world.cloud.add(make_server("alice", id=server.id, labels={"openclaw-deploy/uid": "ff"}))
    with pytest.raises(Refused):
        ensure_off(work)
    assert world.server("alice") == other


def test_a_server_that_is_gone_is_said_to_be(world: FakeFleet, server: Server) -> None:
    work, _ = make_work(world, "alice")
    del world.cloud.by_id[server.id]
    with pytest.raises(NotFound, match="is gone"):
        ensure_off(work)


# --- another type --------------------------------------------------------------------------------------------


def test_a_resized_server_is_off_and_keeps_its_disk(world: FakeFleet, server: Server) -> None:
    world.change("alice", server_types=("cpx32",))
    work, notes = make_work(world, "alice")
    assert ensure_resized(work)
    assert world.server("alice") == replace(server, status=ServerStatus.OFF, server_type="cpx32")
    assert notes.events == ["resize-intended"]
    ensure_powered(work)
    assert world.server("alice") == replace(server, server_type="cpx32") == work.server


@pytest.mark.parametrize("moment", ["shutdown", "change_type", "power_on"])
@pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])
def test_a_resize_goes_on_from_wherever_it_was_cut_off(
    world: FakeFleet, server: Server, moment: str, committed: bool
) -> None:
    world.change("alice", server_types=("cpx32",))
    world.cloud.fail_next(moment, CloudUnavailable("the connection broke off"), committed)
    with pytest.raises(CloudUnavailable):
        resize(world)
    world.clock.sleep(60)
    resize(world)
    assert world.server("alice") == replace(server, server_type="cpx32")


def test_nothing_is_stopped_for_a_type_that_cannot_be_had(world: FakeFleet, server: Server) -> None:
    world.change("alice", server_types=("cx23", "cpx12", "cax11"))  # sold out, too small a disk, arm
    work, notes = make_work(world, "alice")
    with pytest.raises(OutOfStock, match="cannot become cx23 or cpx12 or cax11 in nbg1"):
        ensure_resized(work)
    assert (world.server("alice"), notes.events) == (server, [])


@pytest.mark.parametrize("refusal", [OutOfStock("no cpx32 in nbg1"), ActionFailed("it failed")])
def test_a_refused_change_leaves_the_server_running_as_it_was(
    world: FakeFleet, server: Server, refusal: CloudError
) -> None:
    world.change("alice", server_types=("cpx32",))
    world.cloud.fail_next("change_type", refusal)
    work, notes = make_work(world, "alice")
    with pytest.raises(type(refusal)):
        ensure_resized(work)
    assert world.server("alice") == server
    assert notes.events == ["resize-intended", "candidate-refused"]


@pytest.mark.parametrize("error", [CloudUnavailable("no answer"), RateLimited("too many requests")])
def test_after_a_temporary_error_the_server_stays_off_for_the_next_try(
    world: FakeFleet, server: Server, error: CloudError
) -> None:
    """A boot in between would be one more of everything, and would be in the way of the change."""
    world.change("alice", server_types=("cpx32",))
    world.cloud.fail_next("change_type", error)
    with pytest.raises(type(error)):
        ensure_resized(make_work(world, "alice")[0])
    assert world.server("alice") == replace(server, status=ServerStatus.OFF)
    resize(world)
    assert world.server("alice") == replace(server, server_type="cpx32")
    assert world.cloud.power_ons[server.id] == 1


def test_a_listed_type_needs_no_change(world: FakeFleet, server: Server) -> None:
    world.change("alice", server_types=("cpx32", "cpx22"))
    assert not ensure_resized(make_work(world, "alice")[0])
    assert world.server("alice") == server


# --- another name --------------------------------------------------------------------------------------------


def moved(world: FakeFleet, server: Server) -> None:
    world.specs["bert"] = replace(world.specs.pop("alice"), name="bert")


def test_a_renamed_server_keeps_its_uid_and_all_other_labels(world: FakeFleet, server: Server) -> None:
    world.cloud.set_labels(server.id, {**server.labels, "team": "blue"})
    moved(world, server)
    work, notes = make_work(world, "bert")
    work.server = server
    assert ensure_renamed(work)
    labels = {**server.labels, "team": "blue", "openclaw-deploy/child": "bert"}
    assert world.server("bert") == replace(server, name="demo-bert", labels=labels) == work.server
    assert world.store.records() == {}
    assert notes.events == ["rename-intended"]
    assert not ensure_renamed(work)


@pytest.mark.parametrize("committed", [False, True])
def test_a_rename_whose_answer_is_lost_is_tried_again(world: FakeFleet, server: Server, committed: bool) -> None:
    moved(world, server)
    world.cloud.fail_next("rename", CloudUnavailable("the connection broke off"), committed)
    work, _ = make_work(world, "bert")
    work.server = server
    with pytest.raises(CloudUnavailable):
        ensure_renamed(work)
    ensure_renamed(work)
    assert (world.server("bert").child, world.server("bert").uid) == ("bert", server.uid)
    assert world.store.records() == {}


def test_a_name_that_somebody_has_is_an_error_that_says_whose(world: FakeFleet, server: Server) -> None:
    world.cloud.add(replace(make_server("bert", id=77), labels={}))
    moved(world, server)
    work, _ = make_work(world, "bert")
    work.server = server
    with pytest.raises(NameTaken, match="no labels of this tool"):
        ensure_renamed(work)
    assert world.server("alice") == server
    assert set(world.store.records()) == {"alice"}


# --- backups -------------------------------------------------------------------------------------------------


def test_backups_follow_the_file(world: FakeFleet, server: Server) -> None:
    for on in (True, False):
        world.change("alice", backups=on)
        work, notes = make_work(world, "alice")
        assert ensure_backups(work)
        assert world.server("alice") == replace(server, backups=on) == work.server
        assert notes.lines == [("backups-intended", {"server": server.id, "on": on})]
        assert not ensure_backups(work)
