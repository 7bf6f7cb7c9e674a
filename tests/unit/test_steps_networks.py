"""A server moves only to a cloud firewall that is there, and not while who may reach it is left to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import NotFound
from reconciler.managed import files
from reconciler.model import Kind, Outcome, OutcomeCode, PlanOptions, ServerStatus
from reconciler.steps.firewalls import sources_digest
from reconciler.steps.networks import ensure_ssh_from
from reconciler.steps.repairs import REPAIRS
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import WANTED_FIREWALL
from tests.fakes.works import make_work

OFFICE = ("198.51.100.0/24",)  # where the FakeDialer calls from
HOME = ("203.0.113.0/24",)


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state).applied()


def unplug(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.host("alice").gateway.stop()


def apply_alice(world: FakeFleet) -> tuple[list[Kind], list[OutcomeCode]]:
    """What `fleet apply alice` plans, and how that ends."""
    planned = world.client().plan(["alice"])
    outcomes: Sequence[Outcome] = world.client().apply(planned)
    return [action.kind for action in planned.plan.actions], [outcome.code for outcome in outcomes]


def walls_of_alice(world: FakeFleet) -> list[str]:
    return [wall.name for wall in world.cloud.walls_of(world.server("alice"))]


def name_of(sources: tuple[str, ...]) -> str:
    return f"demo-ssh-{sources_digest(sources)}"


# --- a firewall that nobody has made ---------------------------------------------------------------------------


def test_a_resize_of_who_is_off_makes_the_firewall_that_it_brings_its_server_under(world: FakeFleet) -> None:
    unplug(world)
    world.change("alice", server_types=("cpx32",), ssh_from=OFFICE)
    assert apply_alice(world) == ([Kind.RESIZE], [OutcomeCode.DONE])
    assert walls_of_alice(world) == [name_of(OFFICE)]


def test_a_server_stays_where_it_is_when_the_firewall_of_its_networks_is_not_there(world: FakeFleet) -> None:
    server = world.server("alice")
    world.change("alice", ssh_from=OFFICE)
    work, notes = make_work(world, "alice")
    with pytest.raises(NotFound, match="alice was not moved"):
        ensure_ssh_from(work)
    assert (world.server("alice"), notes.events) == (server, [])


def test_a_firewall_that_selects_others_is_as_good_as_none(world: FakeFleet) -> None:
    world.change("alice", ssh_from=OFFICE)
    world.apply()
    world.change("alice", ssh_from=())
    world.cloud.walls["demo"] = replace(world.cloud.walls["demo"], selectors=("theirs=yes",))
    work, _ = make_work(world, "alice")
    with pytest.raises(NotFound, match="alice was not moved"):
        ensure_ssh_from(work)
    assert walls_of_alice(world) == [name_of(OFFICE)]


def test_a_start_makes_the_firewall_that_it_brings_its_server_under(world: FakeFleet) -> None:
    """The operator has moved, and the cloud's firewall is in the way; nobody has made that of the file's networks."""
    world.change("alice", ssh_from=OFFICE)
    world.apply()
    world.host("alice").firewall = WANTED_FIREWALL
    unplug(world)
    world.dialer.source = "203.0.113.9"
    world.change("alice", ssh_from=HOME)
    assert apply_alice(world) == ([Kind.START], [OutcomeCode.DONE])
    assert walls_of_alice(world) == [name_of(HOME)]


def test_where_the_firewall_to_go_back_to_is_gone_the_files_lets_in(world: FakeFleet) -> None:
    """An apply has moved it and died; since then somebody has deleted the firewall that it came from."""
    world.change("bob", ssh_from=HOME)
    world.apply()
    moved = {"openclaw-deploy/ssh-from": sources_digest(HOME), "openclaw-deploy/ssh-from-before": "0123456789abcdef"}
    world.cloud.set_labels(world.server("alice").id, {**world.server("alice").labels, **moved})
    unplug(world)
    assert apply_alice(world) == ([Kind.START], [OutcomeCode.DONE])
    assert (walls_of_alice(world), world.server("alice").is_unproven) == (["demo"], False)


# --- what is left to a person ----------------------------------------------------------------------------------


def widen(world: FakeFleet) -> None:
    """Somebody takes away the label by which alice is under the firewall of her networks."""
    server = world.server("alice")
    kept = {name: value for name, value in server.labels.items() if name != "openclaw-deploy/ssh-from"}
    world.cloud.set_labels(server.id, kept)


@pytest.fixture
def contested(world: FakeFleet) -> FakeFleet:
    """Her networks were mended as often as they are within a day, and somebody has changed them again."""
    world.change("alice", ssh_from=OFFICE)
    world.apply()
    for _ in range(REPAIRS):
        widen(world)
        assert world.planned() == ["update alice: drifted"]
        world.apply()
    widen(world)
    assert world.planned() == []
    return world


def test_networks_that_are_left_alone_stay_while_other_drift_is_mended(contested: FakeFleet) -> None:
    contested.host("alice").files[files.SSHD_PATH].content += b"# theirs\n"
    assert apply_alice(contested) == ([Kind.UPDATE], [OutcomeCode.DONE])
    assert b"theirs" not in contested.host("alice").files[files.SSHD_PATH].content
    assert (walls_of_alice(contested), contested.planned()) == (["demo"], [])


def test_networks_that_are_left_alone_are_no_repair(contested: FakeFleet) -> None:
    contested.clock.sleep(12 * 3600)
    for _ in range(REPAIRS):
        contested.host("alice").files[files.SSHD_PATH].content += b"# theirs\n"
        contested.apply()
    contested.clock.sleep(13 * 3600)
    assert contested.planned() == ["update alice: drifted"], "a day after the last repair it is mended once more"


def test_networks_that_are_left_alone_are_moved_when_a_person_says_so(contested: FakeFleet) -> None:
    contested.apply(options=PlanOptions(repair=frozenset({"alice"})))
    assert (walls_of_alice(contested), contested.planned()) == ([name_of(OFFICE)], [])
