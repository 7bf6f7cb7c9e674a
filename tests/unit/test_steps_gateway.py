"""The gateway's steps on a host in memory: what is proven, and how its configuration changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.model import (
    AccessPolicy,
    Command,
    Completed,
    GatewayFacts,
    ModelSettings,
    OutcomeCode,
    SecretRef,
    Users,
)
from reconciler.steps.gateway import call_gateway, unproven
from reconciler.steps.work import Work
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

HEALTHY = GatewayFacts(
    active="active",
    version="2026.9.6",
    ready=True,
    token_accepted=True,
    anonymous_refused=True,
    loopback_only=True,
    channel_connected=True,
    channel_activity=1.0,
)


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state, ("alice",)).applied()


@pytest.fixture
def host(world: FakeFleet) -> FakeHost:
    return world.host("alice")


def allow(world: FakeFleet, *users: int) -> None:
    world.change("alice", users=Users(AccessPolicy.ALLOWLIST, users))


def as_wanted(world: FakeFleet) -> bool:
    return world.planned() == []


# --- what healthy means --------------------------------------------------------------------------------------


def test_nothing_is_missing_when_everything_is_proven() -> None:
    assert unproven(HEALTHY, "2026.9.6") == []


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"active": "activating"}, "its unit is activating"),
        ({"version": None}, "it runs no known version, not 2026.9.6"),
        ({"version": "2026.9.5"}, "it runs 2026.9.5, not 2026.9.6"),
        ({"loopback_only": False}, "it listens on another address than loopback"),
        ({"loopback_only": None}, "it listens on another address than loopback"),
        ({"token_accepted": False}, "it does not accept its own token"),
        ({"token_accepted": None}, "it does not accept its own token"),
        ({"anonymous_refused": False}, "it answers without a token"),
        ({"anonymous_refused": None}, "it answers without a token"),
        ({"ready": False}, "not ready: starting"),
        ({"ready": None}, "not ready: starting"),
        ({"ready": False, "failing": ("channels", "db")}, "not ready: channels, db"),
        ({"suppressed": ("telegram",)}, "channels suppressed: telegram"),
        ({"channel_connected": None}, "Telegram: not connected yet"),
        ({"channel_connected": False, "channel_error": "401"}, "Telegram: 401"),
    ],
    ids=str,
)
def test_each_layer_that_is_missing_has_its_words(facts: dict[str, Any], text: str) -> None:
    assert unproven(replace(HEALTHY, **facts), "2026.9.6") == [text]


def test_the_lowest_layer_is_named_first() -> None:
    texts = unproven(GatewayFacts(), "2026.9.6")
    assert texts[0] == "its unit is inactive"
    assert texts[-1] == "Telegram: connected, but the poller has not moved yet"


# --- its configuration ---------------------------------------------------------------------------------------


def test_a_ready_gateway_takes_a_change_without_a_restart(world: FakeFleet, host: FakeHost) -> None:
    allow(world, 42, 7)
    world.applied()
    assert host.config()["channels"]["telegram"]["allowFrom"] == ["7", "42"]
    assert host.config()["channels"]["telegram"]["dmPolicy"] == "allowlist"
    assert (host.gateway.starts, host.gateway.active) == (1, "active")
    assert as_wanted(world)


def test_a_list_shrinks_too(world: FakeFleet, host: FakeHost) -> None:
    allow(world, 1, 2, 3)
    world.applied()
    allow(world, 2)
    world.applied()
    assert host.config()["channels"]["telegram"]["allowFrom"] == ["2"]


def test_a_stopped_gateway_has_its_file_written(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    allow(world, 42)
    world.applied()
    assert host.config()["channels"]["telegram"]["allowFrom"] == ["42"]
    assert (host.gateway.starts, host.gateway.active) == (2, "active")
    assert as_wanted(world)


def test_a_gateway_that_is_not_ready_is_stopped_before_its_file_is_written(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.wrong["ready"] = False
    allow(world, 42)
    client = world.client()
    planned = client.plan()
    host.gateway.stop()
    del host.gateway.wrong["ready"]
    client.apply(planned)
    assert host.config()["channels"]["telegram"]["allowFrom"] == ["42"]
    assert as_wanted(world)


def test_a_change_of_gateway_keys_stops_it_first(world: FakeFleet, host: FakeHost) -> None:
    host.write_config({**host.config(), "gateway": {**host.config()["gateway"], "port": 1}})
    world.applied()
    assert host.config()["gateway"]["port"] == files.PORT
    assert (host.gateway.starts, host.gateway.active) == (2, "active")
    assert as_wanted(world)


@pytest.mark.parametrize("runs", [True, False])
def test_the_agents_own_keys_survive(world: FakeFleet, host: FakeHost, runs: bool) -> None:
    theirs: dict[str, Any] = {"agents": {"list": [{"id": "x"}]}, "tools": {"deny": ["exec"]}}
    config = host.config()
    host.write_config({**config, **theirs, "agents": {**config["agents"], **theirs["agents"]}})
    if not runs:
        host.gateway.stop()
    allow(world, 42)
    world.applied()
    after = host.config()
    assert (after["tools"], after["agents"]["list"]) == (theirs["tools"], theirs["agents"]["list"])
    assert after["channels"]["telegram"]["allowFrom"] == ["42"]


@pytest.mark.parametrize(
    "theirs",
    [
        {"channels": {"telegram": {"proxy": "http://elsewhere.example"}}},
        {"channels": {"telegram": {"accounts": {"other": {"dmPolicy": "open"}}}}},
        {"channels": {"telegram": {"$include": "./theirs.json5"}}},
        {"agents": {"$include": "./theirs.json5"}},
        {"$include": "./theirs.json5"},
    ],
    ids=str,
)
def test_a_managed_key_that_nobody_wants_is_taken_away(world: FakeFleet, host: FakeHost, theirs: Any) -> None:
    before = host.config()
    host.write_config(merged(before, theirs))
    assert host.config() != before
    world.applied()
    assert {name: value for name, value in host.config().items() if name != "meta"} == before  # the gateway's own


def merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


@pytest.mark.parametrize("runs", [True, False])
def test_a_configuration_that_the_release_refuses_is_not_written(world: FakeFleet, host: FakeHost, runs: bool) -> None:
    if not runs:
        host.gateway.stop()
    before, host.invalid_config = host.content(files.CONFIG_PATH), '{"valid": false, "issues": ["no such model"]}'
    world.change("alice", model=ModelSettings("anthropic", "no-such", SecretRef("env", "ANTHROPIC_API_KEY")))
    [outcome] = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert "config: OpenClaw 2026.9.6 does not accept the configuration" in outcome.error
    assert "no such model" in outcome.error
    assert host.content(files.CONFIG_PATH) == before
    assert host.gateway.active == ("active" if runs else "inactive")


def test_a_file_that_the_gateway_could_not_start_with_is_mended_while_it_is_stopped(
    world: FakeFleet, host: FakeHost
) -> None:
    """It goes on with what it has read before, and takes no patch; what is ours in the file is still put right."""
    config, host.gateway.knows_not = host.config(), ("madeUp",)
    config["channels"]["telegram"]["dmPolicy"] = "open"
    host.write_config({**config, "madeUp": True})
    world.applied()
    assert host.config()["channels"]["telegram"]["dmPolicy"] == "pairing"
    assert (host.gateway.starts, host.gateway.active) == (2, "active")
    assert as_wanted(world)


@pytest.mark.parametrize("text", [b"", b" \n", b"[]", b"null"])
def test_a_file_without_any_key_is_filled(world: FakeFleet, host: FakeHost, text: bytes) -> None:
    host.gateway.stop()
    host.files[files.CONFIG_PATH].content = text
    world.applied()
    assert host.config()["channels"]["telegram"]["enabled"] is True
    assert as_wanted(world)


def test_a_file_with_comments_keeps_the_agents_keys(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    host.files[files.CONFIG_PATH].content = b'{ // by hand\n tools: {profile: "minimal"}, }'
    world.applied()
    assert host.config()["tools"] == {"profile": "minimal"}
    assert as_wanted(world)


@pytest.mark.parametrize("text", [b'{"tools": {', b"\xff\xfe", b" " * 1_000_000])
def test_a_file_that_cannot_be_read_is_left_as_it_is(world: FakeFleet, host: FakeHost, text: bytes) -> None:
    host.gateway.stop()
    host.files[files.CONFIG_PATH].content = text
    (outcome,) = world.apply()
    assert outcome.code is OutcomeCode.FAILED
    assert files.CONFIG_PATH in outcome.error
    assert host.content(files.CONFIG_PATH) == text


# --- start and proof -----------------------------------------------------------------------------------------


def test_suppressed_channels_are_started(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    host.gateway.suppress_at_start = ["telegram"]
    world.applied()
    assert host.gateway.suppressed == []
    assert as_wanted(world)


def test_a_unit_that_fails_ends_the_wait_with_its_last_words(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    client = world.client()
    planned = client.plan()
    host.releases.clear()
    waited = world.clock.monotonic()
    [outcome] = client.apply(planned)
    assert "the gateway's unit failed (exit-code, exit 78): the release" in outcome.error
    assert world.clock.monotonic() - waited < 10


def test_a_gateway_that_never_gets_ready_is_named_by_its_lowest_layer(world: FakeFleet, host: FakeHost) -> None:
    host.gateway.stop()
    host.gateway.channel_error = "409: Conflict"
    [outcome] = world.apply()
    assert outcome.error == "prove healthy: the gateway was not healthy within 240 s: Telegram: 409: Conflict"
    assert "fleet ssh alice" in outcome.advice


def test_a_gateway_that_started_with_a_foreign_secret_is_started_again(world: FakeFleet, host: FakeHost) -> None:
    own = host.content(files.TELEGRAM_TOKEN_PATH)
    host.files[files.TELEGRAM_TOKEN_PATH].content = b"1:another bot's"
    host.gateway.start(host.gateway.unit)
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert host.content(files.TELEGRAM_TOKEN_PATH) == own
    started = json.loads(host.content(files.STARTED_PATH))["digests"]
    assert started[files.TELEGRAM_TOKEN_PATH] == host.stamp(files.TELEGRAM_TOKEN_PATH)
    assert as_wanted(world)


def test_a_secret_put_back_before_any_start_needs_none(world: FakeFleet, host: FakeHost) -> None:
    host.files[files.TELEGRAM_TOKEN_PATH].content = b"1:another bot's"
    world.applied()
    assert host.gateway.starts == 1
    assert as_wanted(world)


def test_the_bots_name_is_kept_on_the_host(world: FakeFleet, host: FakeHost) -> None:
    number = host.content(files.TELEGRAM_TOKEN_PATH).decode().partition(":")[0]
    assert json.loads(host.content(files.APPLIED_PATH))["bot"] == f"bot{number}"
    assert world.store.records()["alice"].bot == f"bot{number}"


def test_a_refusal_of_the_gateway_is_told_in_its_own_words(world: FakeFleet, host: FakeHost) -> None:
    work = Work(world.fleet(), "alice", world.specs["alice"], world.ports(), "run", print, host=host)
    with pytest.raises(HostError, match=r"the gateway refused config\.patch: config changed since last load"):
        call_gateway(work, "config.patch", {"raw": "{}", "baseHash": "old", "replacePaths": []})


class Babbling:
    """A connection to a host whose gateway answers anything but what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def run(self, command: Command) -> Completed:
        return Completed(0, self.answer, b"")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "answer", [b"<html>503</html>", b"[]", b'{"ok": "yes"}', b'{"ok": false, "error": "no"}', b"[" * 9999]
)
def test_an_odd_answer_of_the_gateway_is_an_error_of_its_host(world: FakeFleet, answer: bytes) -> None:
    client = world.client()
    work = Work(client.fleet, "alice", None, client._ports, "run", print, host=Babbling(answer))
    with pytest.raises(HostError, match="status"):
        call_gateway(work, "channels.status", {})
