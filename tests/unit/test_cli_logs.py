"""`fleet logs`: OpenClaw's log and the journal of many children, without secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut, SecretError
from reconciler.logs import Logs
from reconciler.model import Command, Completed, LogRequest, Secret, SecretRef
from reconciler.render.logs import unknown_line
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

PRINTED: Final = "2026-11-22T12:00:00.000+00:00 [telegram] "


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, ("alice", "bob")).applied(), capsys)


def host(fleet: CommandLine, child: str = "alice") -> FakeHost:
    return fleet.world.host(child)


def logged(host: FakeHost, text: str, level: str = "INFO", *, ago: float = 0.0, printed: bool = False) -> None:
    at = host.now() - ago
    host.log.append({"at": at, "level": level, "name": "telegram", "text": text})
    if printed:
        host.journal.append({"at": at + 0.01, "level": 6, "name": "node", "text": f"{PRINTED}{text}"})


def noted(host: FakeHost, text: str, level: int = 6, *, ago: float = 0.0, name: str = "systemd") -> None:
    host.journal.append({"at": host.now() - ago, "level": level, "name": name, "text": text})


def test_both_are_one_in_the_order_of_time_and_each_line_is_there_once(fleet: CommandLine) -> None:
    noted(host(fleet), "Started openclaw-gateway.service.", ago=30)
    logged(host(fleet), "ready", ago=20, printed=True)
    logged(host(fleet), "sendMessage failed", "ERROR", ago=10, printed=True)
    noted(host(fleet), "openclaw-gateway.service: Main process exited", 4, ago=5)
    said = fleet("logs", "alice")
    assert (said.code, said.err) == (0, "")
    assert [line[20:] for line in said.out.splitlines()] == [
        "      systemd: Started openclaw-gateway.service.",
        "INFO  telegram: ready",
        "ERROR telegram: sendMessage failed",
        "WARN  systemd: openclaw-gateway.service: Main process exited",
    ]


def test_what_is_said_twice_is_shown_twice(fleet: CommandLine) -> None:
    for ago in (1.0, 0.5):
        logged(host(fleet), "getUpdates failed", "ERROR", ago=ago, printed=True)
    assert fleet("logs", "alice").out.count("getUpdates failed") == 2


def test_secrets_of_the_child_are_masked_however_they_are_written(fleet: CommandLine) -> None:
    ports = fleet.world.ports()
    token = ports.secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    logged(host(fleet), f"calling https://api.telegram.org/bot{token}/getMe")
    noted(host(fleet), f"env TOKEN={token.encode().hex()}", name="node")
    logged(host(fleet), f"using sk-{'planted' * 4}")
    said = fleet("logs", "alice")
    assert token not in said.out
    assert token.encode().hex() not in said.out
    assert "sk-planted" not in said.out
    assert said.out.count("***") == 3


@pytest.mark.parametrize("before", ["{} ", '{}"', "https://host/{}&bot"])
@pytest.mark.parametrize("shown", [8, 20, 40])
def test_half_of_a_secret_where_a_long_line_is_cut_off_is_not_shown(
    fleet: CommandLine, before: str, shown: int
) -> None:
    """The host has cut it at 4,000 characters, so nobody sees that it was one."""
    token = fleet.world.ports().secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    begins = before.format("x" * (4000 - shown - len(before) + 2))
    logged(host(fleet), f"{begins}{token}"[:4000])
    said = fleet("logs", "alice").out
    assert (token[:shown] in said, said.rstrip().endswith("...")) == (False, True), said[-200:]


def test_a_secret_in_a_name_is_masked_too(fleet: CommandLine) -> None:
    token = fleet.world.ports().secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    host(fleet).log.append({"at": host(fleet).now(), "level": "INFO", "name": token, "text": "hello"})
    assert fleet("logs", "alice").out.endswith("INFO  ***: hello\n")


def test_a_pattern_finds_what_is_seen(fleet: CommandLine) -> None:
    logged(host(fleet), "sent", "ERROR")
    for pattern in ("ERROR", "^ERROR telegram", "telegram: sent", "^sent$"):
        assert "sent" in fleet("logs", "alice", "--grep", pattern).out


@pytest.mark.parametrize("at", [1e17, -1e17, -62135630000.0, 1e99])
def test_a_moment_that_there_is_not_is_none(fleet: CommandLine, at: float) -> None:
    host(fleet).log.append({"at": at, "level": "INFO", "name": "telegram", "text": "ready"})
    said = fleet("logs", "alice")
    assert (said.code, "telegram: ready" in said.out) == (0, True), said


def test_a_pattern_cannot_ask_what_a_secret_is(fleet: CommandLine) -> None:
    token = fleet.world.ports().secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    logged(host(fleet), f"bot {token}")
    assert fleet("logs", "alice", "--grep", token[:9]).out == "(nothing)\n"
    assert fleet("logs", "alice", "--grep", r"^bot \*").out.endswith("bot ***\n")


def test_errors_are_of_the_gateway_and_of_its_unit(fleet: CommandLine) -> None:
    logged(host(fleet), "ready")
    logged(host(fleet), "sendMessage failed", "ERROR", printed=True)
    noted(host(fleet), "openclaw.json:2: gateway: Unrecognized key", name="node")
    noted(host(fleet), "Failed with result 'exit-code'.", 4)
    noted(host(fleet), "Started openclaw-gateway.service.")
    texts = [line.partition(": ")[2] for line in fleet("logs", "alice", "--errors").out.splitlines()]
    assert texts == [
        "sendMessage failed",
        "openclaw.json:2: gateway: Unrecognized key",
        "Failed with result 'exit-code'.",
    ]


def test_since_and_how_many_and_which(fleet: CommandLine) -> None:
    for ago in (7200, 600, 60, 1):
        logged(host(fleet), f"{ago} s ago", ago=ago)
    assert len(fleet("logs", "alice", "--since", "1h").out.splitlines()) == 3
    assert fleet("logs", "alice", "-n", "1").out.rstrip().endswith("1 s ago")
    assert len(fleet("logs", "alice", "--since", "3h", "-n", "2").out.splitlines()) == 2
    assert fleet("logs", "alice", "--grep", "^6.*", "-n", "1").out.rstrip().endswith("60 s ago")


def test_many_children_are_below_one_another_and_one_that_is_silent_is_named(fleet: CommandLine) -> None:
    logged(host(fleet), "ready")
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer", "look at it")
    said = fleet("logs", "--all")
    assert said.code == 3
    assert said.out.splitlines()[0] == "== alice"
    assert said.err == "bob: no answer\n  look at it\n"
    assert fleet("logs", "bob").code == 1


def test_json_is_a_line_for_each(fleet: CommandLine) -> None:
    logged(host(fleet), "ready\x1b[31m", ago=3)
    [line] = fleet("logs", "alice", "--json").out.splitlines()
    found = json.loads(line)
    assert found == {
        "child": "alice",
        "at": found["at"],
        "source": "gateway",
        "level": "INFO",
        "name": "telegram",
        "text": "ready",
    }


def test_what_a_gateway_writes_drives_no_terminal(fleet: CommandLine) -> None:
    logged(host(fleet), "one\ntwo\x07 ::set-output name=x::y")
    assert "one\\ntwo\\x07" in fleet("logs", "alice").out
    assert len(fleet("logs", "alice").out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "soon"), "'soon' is no time such as 30m, 1h or 2d"),
        (("--grep", "("), "'(' is no regular expression"),
        (("-n", "0"), "0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_said(fleet: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    answer = fleet("logs", "alice", *arguments)
    assert answer.code == 64
    assert said in answer.err


def test_nobody_in_particular_is_refused(fleet: CommandLine) -> None:
    assert fleet("logs").code == 64


def answers_with(host: FakeHost, answer: bytes) -> None:
    original = host.run

    def run(command: Command) -> Completed:
        return Completed(0, answer, b"") if command.name == "read logs" else original(command)

    host.run = run  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"now": 1}', b'{"now": 1, "log": {"entries": [{}]}, "journal": {}}'])
def test_an_answer_that_is_none_is_said(fleet: CommandLine, answer: bytes) -> None:
    answers_with(host(fleet), answer)
    said = fleet("logs", "alice")
    assert said.code == 1
    assert "its host does not say what was logged" in said.err


class Unset:
    """Secrets of which none can be resolved."""

    def bot_token(self, reference: SecretRef) -> Secret:
        raise SecretError(f"{reference} is not set", "set it")

    model_key = bot_token


def test_a_secret_that_nobody_here_can_resolve_is_named(fleet: CommandLine) -> None:
    logged(host(fleet), "ready")
    client, ports = fleet.world.client(), replace(fleet.world.ports(), secrets=cast(Any, Unset()))
    with client.lines(kept=False) as lines:
        [log] = Logs(client.fleet, ports, lines.servers, lines.ask).read(["alice"], LogRequest())
    assert [line.text for line in log.lines] == ["ready"]
    spec = fleet.world.specs["alice"]
    assert unknown_line(log).startswith(
        f"Warning: alice: {spec.bot_token} and {spec.model.key} cannot be resolved here"
    )


class Watched:
    """A person looks at `fleet logs --follow` on the children of a world."""

    def __init__(self, world: FakeFleet, wanted: LogRequest) -> None:
        client = world.client()
        self.lines = client.lines(kept=True)
        self._looks = client.logs(self.lines).follow(world.names, wanted, 2.0)

    def look(self) -> dict[str, list[str]]:
        return {
            log.child: [line.text for line in log.lines] if not log.problem else [log.problem]
            for log in next(self._looks)
        }


def test_who_follows_gets_what_comes_once_and_loses_nothing_while_a_host_is_silent(fleet: CommandLine) -> None:
    world = fleet.world
    logged(host(fleet), "before", printed=True)
    watched = Watched(world, LogRequest(lines=1))
    assert watched.look() == {"alice": ["before"], "bob": []}
    assert watched.look() == {"alice": [], "bob": []}
    logged(host(fleet), "now", printed=True)
    assert watched.look() == {"alice": ["now"], "bob": []}
    host(fleet).fails = [("read logs", HostTimedOut("no answer"))]
    logged(host(fleet), "meanwhile", printed=True)
    assert watched.look()["alice"] == ["no answer"]
    logged(host(fleet), "again", printed=True)
    assert watched.look()["alice"] == ["meanwhile", "again"]


def test_the_other_copy_of_a_line_may_come_with_the_next_look(fleet: CommandLine) -> None:
    watched = Watched(fleet.world, LogRequest())
    watched.look()
    noted(host(fleet), f"{PRINTED}ready", name="node")
    assert watched.look()["alice"] == [f"{PRINTED}ready"]
    logged(host(fleet), "ready")
    assert watched.look()["alice"] == []


def test_a_key_over_many_lines_is_masked_also_where_a_look_ends_within_it(fleet: CommandLine) -> None:
    watched = Watched(fleet.world, LogRequest())
    watched.look()
    logged(host(fleet), "-----BEGIN OPENSSH PRIVATE KEY-----")
    logged(host(fleet), "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz")
    assert watched.look()["alice"] == ["***", "***"]
    logged(host(fleet), "c2gtZWQyNTUxOQAAACBqbGFudGVkcGxhbnRlZHBsYW50ZWRwbGFudGVk")
    logged(host(fleet), "-----END OPENSSH PRIVATE KEY-----")
    logged(host(fleet), "ready")
    assert watched.look()["alice"] == ["***", "***", "ready"]


def test_who_was_silent_at_the_first_look_shows_no_more_than_was_asked_for(fleet: CommandLine) -> None:
    for number in range(20):
        logged(host(fleet), f"line {number}", printed=True)
    host(fleet).fails = [("read logs", HostTimedOut("no answer"))]
    watched = Watched(fleet.world, LogRequest(lines=2))
    assert watched.look()["alice"] == ["no answer"]
    assert watched.look()["alice"] == ["line 18", "line 19"]


def test_a_moment_without_the_cloud_ends_no_watch_over_hosts_that_answer(fleet: CommandLine) -> None:
    watched = Watched(fleet.world, LogRequest(lines=1))
    watched.look()
    fleet.world.clock.sleep(100)
    host(fleet).fails = [("read logs", HostTimedOut("no answer"))]
    assert watched.look()["alice"] == ["no answer"]
    logged(host(fleet), "now", printed=True)
    fleet.world.cloud.fail_next("servers", CloudUnavailable("503"))
    assert watched.look()["alice"] == ["now"]
