"""What other programs import: load, plan, apply, destroy, list, connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.api import FleetClient
from reconciler.commands import read_file
from reconciler.errors import ConfigError, HostError, LockHeld, WrongHostKey
from reconciler.managed import files
from reconciler.model import Kind, Policy
from tests.fakes.fleets import FakeFleet


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state)


def everything(world: FakeFleet) -> tuple[object, ...]:
    """What a look must not change."""
    hosts = {number: (dict(host.files), host.gateway.starts) for number, host in world.dialer.hosts.items()}
    journal = (world.state / "journal.jsonl").read_bytes() if world.state.exists() else b""
    return dict(world.cloud.by_id), dict(world.cloud.keys), dict(world.cloud.walls), hosts, journal


def test_a_plan_changes_nothing_anywhere(world: FakeFleet) -> None:
    before = everything(world)
    assert [action.kind for action in world.client().plan().plan.actions] == [Kind.CREATE, Kind.CREATE]
    assert everything(world) == before
    assert not world.state.exists()
    world.applied()
    before = everything(world)
    assert world.client().plan().plan.is_empty
    world.client().servers()
    world.client().plan_destruction(["alice"])
    assert everything(world) == before


def test_a_fleet_that_was_applied_needs_nothing_whatever_becomes_of_the_state_directory(
    world: FakeFleet, tmp_path: Path
) -> None:
    world.applied()
    elsewhere = FakeFleet(tmp_path / "another", clock=world.clock)
    elsewhere.cloud, elsewhere.dialer = world.cloud, world.dialer
    assert elsewhere.planned() == []


def test_only_the_named_children_are_destroyed(world: FakeFleet) -> None:
    world.applied()
    client = world.client()
    planned = client.plan_destruction(["alice"])
    assert [(action.kind, action.child) for action in planned.plan.actions] == [(Kind.DESTROY, "alice")]
    client.apply(planned)
    assert [server.name for server in world.cloud.by_id.values()] == ["demo-bob"]
    assert set(world.store.records()) == {"bob"}
    assert world.planned() == ["create alice: declared"]


def test_whoever_is_asked_for_by_name_may_be_destroyed_as_far_as_the_file_sets_no_limit(world: FakeFleet) -> None:
    world.applied()
    for limit, refused in ((None, False), (2, False), (1, True), (0, True)):
        world.policy = Policy(max_destroys=limit)
        assert world.client().plan_destruction(["alice", "bob"]).plan.is_refused == refused
    assert not world.client().plan_destruction(["alice", "bob"], max_destroys=2).plan.is_refused


def test_a_server_deleted_outside_is_made_again(world: FakeFleet) -> None:
    world.applied()
    del world.cloud.by_id[world.server("alice").id]
    assert world.planned() == ["create alice: gone"]
    world.apply()
    assert world.planned() == []


def test_servers_are_declared_ones_and_ours(world: FakeFleet) -> None:
    assert world.client().servers() == {"alice": None, "bob": None}
    world.applied()
    del world.specs["alice"]
    assert world.client().servers() == {"alice": world.server("alice"), "bob": world.server("bob")}


def test_a_connection_is_pinned(world: FakeFleet) -> None:
    world.applied()
    client, server = world.client(), world.server("alice")
    assert b"apiRoot" not in client.connect(server).run(read_file(files.CONFIG_PATH)).stdout
    world.host("alice").shown_key = "ssh-ed25519 AAAAsomebody"
    with pytest.raises(WrongHostKey):
        client.connect(server)


def test_a_server_without_its_uid_cannot_be_reached(world: FakeFleet) -> None:
    world.applied()
    server = world.server("alice")
    kept = {name: value for name, value in server.labels.items() if not name.endswith("/uid")}
    with pytest.raises(HostError, match="has lost its label openclaw-deploy/uid"):
        world.client().connect(world.cloud.set_labels(server.id, kept))


def test_two_clients_cannot_apply_at_once(world: FakeFleet) -> None:
    with world.client().lock("fleet apply"):
        other = world.client().lock("fleet apply")
        with pytest.raises(LockHeld):
            other.__enter__()


def test_a_broken_file_is_told_at_loading(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("fleet: demo\nchilden: {}\n")
    with pytest.raises(ConfigError) as caught:
        FleetClient.load(path)
    assert any("childen" in problem.summary for problem in caught.value.diagnostics)
    assert not (tmp_path / "state").exists()
