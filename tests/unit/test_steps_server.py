"""Reaching a new server and bringing its system up, on a host in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.errors import CommandFailed, HostRefused, LoginRefused, WrongHostKey
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, OutcomeCode, ServerStatus
from reconciler.steps.runs import UNFINISHED
from reconciler.steps.work import bot_of
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import WANTED_FIREWALL, FakeHost
from tests.fakes.worlds import FLEET_KEY


@pytest.fixture
def fresh(state: Path) -> FakeFleet:
    return FakeFleet(state, ("alice",))


@pytest.fixture
def world(fresh: FakeFleet) -> FakeFleet:
    return fresh.applied()


@pytest.fixture
def host(world: FakeFleet) -> FakeHost:
    return world.host("alice")


def error_of(world: FakeFleet) -> str:
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    return outcome.error


# --- the server ----------------------------------------------------------------------------------------------


def test_a_new_server_carries_its_identity_from_its_first_moment(world: FakeFleet) -> None:
    [request] = world.cloud.requests
    labels = {name.removeprefix(LABEL_PREFIX): value for name, value in request.labels.items()}
    assert labels == {
        "fleet": "demo",
        "fleet-id": keys.fleet_id(FLEET_KEY),
        "child": "alice",
        "uid": world.server("alice").uid,
        "nonce": world.events()[0].run,
        "bot": bot_of(world.specs["alice"], world.ports()),
    }
    assert labels["bot"]
    assert request.ssh_key_ids == (world.cloud.keys["demo"].id,)
    assert world.cloud.walls["demo"].rules == ("in tcp 22 from 0.0.0.0/0, ::/0",)


def test_user_data_holds_no_key_that_is_used_later(world: FakeFleet, host: FakeHost) -> None:
    uid = world.server("alice").uid or ""
    told = world.cloud.requests[0].user_data.reveal()
    assert keys.host_key(FLEET_KEY, uid, 1).reveal().split("\n")[2] not in told
    assert keys.gateway_token(FLEET_KEY, uid, 1).reveal() not in told
    assert host.shown_key == keys.public_key(keys.host_key(FLEET_KEY, uid, 1))


def test_a_server_that_is_off_is_powered_on_and_proven(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.applied()
    assert world.server("alice").status is ServerStatus.RUNNING
    assert host.gateway.active == "active"


def test_protection_is_a_label_that_comes_and_goes(world: FakeFleet) -> None:
    for protect in (True, False):
        world.change("alice", protect=protect, version=f"2026.9.{7 + protect}")
        world.applied()
        assert (world.server("alice").label("protect") == "true") is protect


# --- the way in ----------------------------------------------------------------------------------------------


def test_a_booting_host_is_waited_for(fresh: FakeFleet) -> None:
    fresh.applied()
    assert fresh.clock.slept[:2] == [0.5, 0.5]


def test_first_boots_own_errors_are_shown(fresh: FakeFleet) -> None:
    fresh.applied()
    server, host = fresh.server("alice"), fresh.host("alice")
    fresh.cloud.set_labels(server.id, {**server.labels, UNFINISHED: "true"})
    host.fails = [("wait for cloud-init", CommandFailed("cloud-init: no space left on device"))]
    [outcome] = fresh.apply()
    assert outcome.error == "reach: cloud-init: no space left on device"
    assert "/var/log/cloud-init-output.log" in outcome.advice


def test_a_finished_child_is_not_waited_for_as_long_as_a_new_one(world: FakeFleet) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.dialer.silent[world.server("alice").id] = HostRefused("nothing listens")
    before = world.clock.monotonic()
    assert error_of(world) == "reach: nothing listens"
    assert 60 < world.clock.monotonic() - before < 300


@pytest.mark.parametrize("error", [WrongHostKey("another key"), LoginRefused("not our key")])
def test_a_finished_child_that_is_somebody_else_is_not_asked_again(
    world: FakeFleet, error: WrongHostKey | LoginRefused
) -> None:
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.dialer.silent[world.server("alice").id] = error
    world.dialer.met.clear()
    assert error_of(world) == f"reach: {error.summary}"
    assert len(world.dialer.met) == 1


def test_a_finished_child_is_met_only_with_its_own_host_keys(world: FakeFleet) -> None:
    world.client().plan()
    uid = world.server("alice").uid or ""
    assert world.dialer.met[-1].host_keys == (keys.public_key(keys.host_key(FLEET_KEY, uid, 1)),)
    assert world.dialer.met[0].host_keys[-1] == keys.public_key(keys.host_key(FLEET_KEY, uid, 0))


def test_a_login_key_added_by_hand_is_taken_away(world: FakeFleet, host: FakeHost) -> None:
    host.files[files.AUTHORIZED_KEYS_PATH].content += b"ssh-ed25519 AAAAintruder\n"
    world.applied()
    assert b"intruder" not in host.content(files.AUTHORIZED_KEYS_PATH)


# --- the system ----------------------------------------------------------------------------------------------


def test_a_firewall_rule_added_by_hand_is_taken_away(world: FakeFleet, host: FakeHost) -> None:
    host.firewall = {**WANTED_FIREWALL, "rules": ["22/tcp", "80/tcp"]}
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert host.firewall == WANTED_FIREWALL
    assert host.gateway.starts == 1


def test_a_firewall_that_locks_us_out_takes_itself_back(world: FakeFleet, host: FakeHost) -> None:
    before = host.firewall = {**WANTED_FIREWALL, "rules": ["22/tcp", "80/tcp"]}
    client = world.client()
    planned = client.plan()
    host.fails = [("confirm the firewall", LoginRefused("no way in any more"))]
    client.apply(planned)
    world.clock.sleep(61)
    world.planned()
    assert host.firewall == before
    world.applied()
    assert (host.firewall, host.firewall_before) == (WANTED_FIREWALL, None)


def test_a_new_version_replaces_the_release_and_runs(world: FakeFleet, host: FakeHost) -> None:
    world.change("alice", version="2026.9.7")
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert host.links[files.CURRENT] == "/opt/openclaw/releases/2026.9.7"
    assert (host.gateway.version, host.gateway.starts) == ("2026.9.7", 3)  # once more, to prove that it does
    assert world.planned() == []
