"""`fleet diagnose`: what is wrong with children of a whole fleet, as people and machines read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.managed import files
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

NAMES: Final = ("alice", "bob")
SECRET: Final = "sk-ant-api03-" + "q" * 40


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, NAMES).applied(), capsys)


def causes(fleet: CommandLine) -> dict[str, str | None]:
    said = fleet("diagnose", "--all", "--json")
    return {name: it["cause"] for name, it in json.loads(said.out).items()}


def test_a_healthy_child_has_no_cause_and_every_check_a_line(fleet: CommandLine) -> None:
    said = fleet("diagnose", "alice")
    assert (said.code, "Nothing is wrong that can be seen." in said.out) == (0, True), said
    for check in ("api", "cloud", "first boot", "start limit", "model key", "reply"):
        assert check in said.out
    assert "FAILED" not in said.out


def test_who_is_ill_is_told_with_the_cause_and_what_mends_it(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    said = fleet("diagnose", "alice")
    assert said.code == 2
    assert "FAILED   unit" in said.out
    assert "Cause:     stopped (README, under cause-stopped)" in said.out
    assert "To mend:   fleet start alice" in said.out
    assert fleet("start", "alice", "--yes").code == 0
    assert fleet("diagnose", "alice").code == 0


def test_of_many_only_what_is_not_well_has_lines(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer within 10 s")
    said = fleet("diagnose", "--all")
    assert said.code == 2
    assert "ssh  " not in said.out
    assert "Nothing is wrong that can be seen." in said.out.partition("bob")[0]
    assert "host-silent" in said.out.partition("bob")[2]
    assert causes(fleet) == {"alice": None, "bob": "host-silent"}


def test_a_cloud_that_is_silent_is_the_cause_and_no_error(fleet: CommandLine) -> None:
    for _ in range(6):
        fleet.world.cloud.fail_next("servers", CloudUnavailable("503 Service Unavailable"))
    said = fleet("diagnose", "alice")
    assert (said.code, "cloud-silent" in said.out, "Traceback" in said.err) == (2, True, False), said


def test_a_host_that_falls_silent_in_the_midst_is_said(fleet: CommandLine) -> None:
    fleet.world.host("alice").fails = [("examine the host", HostTimedOut("gone", "again"))]
    said = fleet("diagnose", "alice")
    assert (said.code, "it could not be looked at closely: gone" in said.out) == (3, True), said


def test_a_host_that_has_fallen_silent_is_not_waited_for_again(fleet: CommandLine) -> None:
    """Each question has a time of its own, and together they took minutes."""
    again = HostTimedOut("never asked")
    host = fleet.world.host("alice")
    host.fails = [("ask for models", HostTimedOut("gone", "again")), ("read", again), ("validate", again)]
    findings = json.loads(fleet("diagnose", "alice", "--json").out)["alice"]["findings"]
    assert {it["check"]: it["verdict"] for it in findings}["config"] == "UNKNOWN"
    assert [error for _, error in host.fails] == [again, again]


@pytest.mark.parametrize("printed", [b"", b"[]", b'{"clock": "x"}', b"\xff\xfe", b"[" * 100_000, b'{"listeners": 3}'])
def test_a_host_that_talks_nonsense_is_no_crash(fleet: CommandLine, printed: bytes) -> None:
    host = fleet.world.host("alice")
    original = host.run
    host.run = lambda command: (  # type: ignore[method-assign]
        original(command).__class__(0, printed, b"") if command.name == "examine the host" else original(command)
    )
    said = fleet("diagnose", "alice")
    assert (said.code, "does not say how it is" in said.out) == (3, True), said


def test_what_a_host_says_is_data(fleet: CommandLine) -> None:
    fleet.world.host("alice").closer = {"listeners": [{"pid": 7, "name": "\x1b[2Jevil\n", "is_ours": False}]}
    said = fleet("diagnose", "alice")
    assert (said.code, "\x1b" in said.out, "sudo kill 7" in said.out) == (2, False, True), said


def test_a_configuration_that_is_refused_is_told_without_its_secrets(fleet: CommandLine) -> None:
    issue = {"path": "models", "message": f"Unrecognized key: {SECRET}"}
    fleet.world.host("alice").invalid_config = json.dumps({"valid": False, "issues": [issue]})
    said = fleet("diagnose", "alice")
    assert (said.code, "config-refused" in said.out, SECRET in said.out) == (2, True, False), said
    assert f"{files.CONFIG_PATH}: models: Unrecognized key: ***" in said.out


def test_no_secret_is_in_what_the_gateway_says_of_telegram(fleet: CommandLine) -> None:
    """Nor half of one, where what it says is long."""
    token = fleet.world.ports().secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    fleet.world.host("alice").gateway.channel_error = "not connected"
    for length in (0, 280):
        told = f"{'x ' * (length // 2)}https://api.telegram.org/bot{token}/getMe failed, and {SECRET}"
        fleet.world.host("alice").closer = {"probe_problem": told}
        fleet.world.host("alice").gateway.channel_error = told
        for options in ((), ("--json",)):
            said = fleet("diagnose", "alice", *options)
            assert (said.code, token[:12] in said.out, SECRET[:12] in said.out) == (2, False, False), said


def test_no_secret_is_in_the_last_words_of_the_journal(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.gateway.flawed = {str(host.gateway.version): "exits"}
    host.gateway.start()
    run = host.systemd.state("openclaw-gateway.service")
    host.systemd.runs["openclaw-gateway.service"] = replace(run, journal=f"using {SECRET}")
    said = fleet("diagnose", "alice")
    assert (said.code, "keeps-ending" in said.out, SECRET in said.out) == (2, True, False), said


@pytest.mark.parametrize(("pid", "code", "kills"), [(-1, 3, False), (0, 3, False), (1, 2, False), (2, 2, True)])
def test_nobody_is_told_to_kill_all_processes(fleet: CommandLine, pid: int, code: int, kills: bool) -> None:
    fleet.world.host("alice").closer = {"listeners": [{"pid": pid, "name": "x", "is_ours": False}]}
    said = fleet("diagnose", "alice")
    assert (said.code, "sudo kill" in said.out) == (code, kills), said


def test_nobody_is_diagnosed_without_a_name(fleet: CommandLine) -> None:
    assert (fleet("diagnose").code, fleet("diagnose", "zora").code) == (64, 64)


def test_it_changes_nothing(fleet: CommandLine) -> None:
    files_before = dict(fleet.world.host("alice").files)
    events, requests = len(fleet.world.events()), len(fleet.world.cloud.requests)
    fleet("diagnose", "--all")
    assert (dict(fleet.world.host("alice").files), len(fleet.world.events())) == (files_before, events)
    assert len(fleet.world.cloud.requests) == requests
