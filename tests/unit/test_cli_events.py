"""`fleet events`: whether messages come and go, and the last of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import Activity, Command, Completed
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, ("alice", "bob")).applied(), capsys)


def host(fleet: CommandLine, child: str = "alice") -> FakeHost:
    return fleet.world.host(child)


def says(host: FakeHost, text: str, role: str = "user", *, ago: float = 0.0) -> None:
    number = len(host.talk)
    entry = {"id": f"s/{number}", "at": host.now() - ago, "role": role, "session": "agent:main:telegram:direct:4242"}
    host.talk.append({**entry, "length": len(text), "text": text})


def heard(host: FakeHost, **ago: float | None) -> None:
    moments = {key: None if it is None else int((host.now() - it) * 1000) for key, it in ago.items()}
    host.gateway.heard = {"connected": True, **moments}


def test_when_something_came_and_went_and_the_last_messages_without_their_texts(fleet: CommandLine) -> None:
    heard(host(fleet), lastInboundAt=90, lastOutboundAt=600, lastTransportActivityAt=5)
    says(host(fleet), "remember my secret plan", ago=90)
    says(host(fleet), "I will", "assistant", ago=80)
    said = fleet("events", "alice")
    assert (said.code, said.err) == (0, "")
    first, *messages = said.out.splitlines()
    assert first == "alice: connected; last in 90 s ago, out 10 min ago, anything 5 s ago"
    assert [line.split(" ", 4)[4] for line in messages] == [
        "-> agent:main:telegram:direct:4242: 23 characters",
        "<- agent:main:telegram:direct:4242: 6 characters",
    ]
    assert "plan" not in said.out


def test_texts_are_shown_where_they_are_asked_for_and_drive_no_terminal(fleet: CommandLine) -> None:
    says(host(fleet), "one\x1b[2J\ntwo")
    assert "one\\x1b[2J\\ntwo" in fleet("events", "alice", "--texts").out


def test_as_many_as_are_asked_for(fleet: CommandLine) -> None:
    for number in range(20):
        says(host(fleet), "x" * (number + 1), ago=100 - number)
    assert len(fleet("events", "alice", "-n", "3").out.splitlines()) == 4
    assert "20 characters" in fleet("events", "alice", "-n", "1").out
    assert len(fleet("events", "alice").out.splitlines()) == 11


def test_a_gateway_that_forgot_at_its_start_or_is_cut_off_says_so(fleet: CommandLine) -> None:
    host(fleet).gateway.heard = {"connected": False, "lastError": "409: another getUpdates", "lastInboundAt": None}
    first, second = fleet("events", "alice").out.splitlines()
    assert first.startswith("alice: not connected; nothing has come or gone since its start")
    assert second == "  last error: 409: another getUpdates"


def test_a_gateway_that_is_down_is_said_at_once_and_its_messages_are_there(fleet: CommandLine) -> None:
    says(host(fleet), "hello")
    host(fleet).gateway.stop()
    said = fleet("events", "alice")
    assert said.code == 1
    assert "the gateway does not answer on loopback" in said.out
    assert "5 characters" in said.out


def test_a_host_that_is_silent_is_named(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    said = fleet("events", "--all")
    assert (said.code, said.err) == (3, "bob: no answer\n")


def test_json_is_a_line_for_each_child(fleet: CommandLine) -> None:
    says(host(fleet), "hello")
    found = [json.loads(line) for line in fleet("events", "--all", "--json").out.splitlines()]
    assert [(it["child"], it["channel"]["connected"], len(it["messages"])) for it in found] == [
        ("alice", True, 1),
        ("bob", True, 0),
    ]
    assert (found[0]["messages"][0]["text"], found[0]["messages"][0]["length"]) == (None, 5)


ODD_ROLE: Final = b'[{"id": "a", "role": "system", "session": "", "at": 1, "length": 1, "text": null}]'
ODD_TIME: Final = b'[{"id": "a", "role": "user", "session": "", "at": 1e17, "length": 1, "text": null}]'


@pytest.mark.parametrize("answer", [b"", b"{}", b"[1]", b'[{"id": 1}]', b"[" * 100_000, ODD_ROLE, ODD_TIME])
def test_an_answer_that_is_none_is_said(fleet: CommandLine, answer: bytes) -> None:
    original = host(fleet).run

    def run(command: Command) -> Completed:
        return Completed(0, answer, b"") if command.name == "read messages" else original(command)

    host(fleet).run = run  # type: ignore[method-assign]
    said = fleet("events", "alice")
    if answer == b"{}":
        assert said.code == 0  # nothing was said
    else:
        assert (said.code, "its host does not say what was said" in said.err) == (1, True)


@pytest.mark.parametrize(
    "account", [[], {}, None, {"connected": "yes", "lastInboundAt": "soon"}, {"lastInboundAt": 1e99}]
)
def test_what_a_gateway_says_of_its_channel_is_trusted_to_be_nothing(fleet: CommandLine, account: Any) -> None:
    if isinstance(account, dict):
        host(fleet).gateway.heard = account
    else:
        original = host(fleet).run
        payload = json.dumps({"ok": True, "payload": {"channelAccounts": {"telegram": account}}}).encode()

        def run(command: Command) -> Completed:
            return Completed(0, payload, b"") if command.name == "call channels.status" else original(command)

        host(fleet).run = run  # type: ignore[method-assign]
    said = fleet("events", "alice")
    assert said.code in (0, 1)
    assert "bug" not in said.err


def test_nobody_in_particular_is_refused(fleet: CommandLine) -> None:
    assert fleet("events").code == 64


def test_who_wants_none_of_before_sees_what_comes_alone(fleet: CommandLine) -> None:
    says(host(fleet), "before", ago=5)
    client = fleet.world.client()
    with client.lines(kept=True) as lines:
        looks = client.activities(["alice"], lines, 0, texts=True, every=2.0)
        assert [it.text for activity in next(looks) for it in activity.messages] == []
        says(host(fleet), "now")
        assert [it.text for activity in next(looks) for it in activity.messages] == ["now"]


def test_who_follows_a_host_whose_clock_is_behind_sees_its_first_message(fleet: CommandLine) -> None:
    client = fleet.world.client()
    with client.lines(kept=True) as lines:
        looks = client.activities(["alice"], lines, 10, texts=True, every=2.0)
        assert [it for activity in next(looks) for it in activity.messages] == []
        says(host(fleet), "the first of all", ago=300)
        assert [it.text for activity in next(looks) for it in activity.messages] == ["the first of all"]
        assert [it for activity in next(looks) for it in activity.messages] == []


def test_who_follows_sees_each_message_once(fleet: CommandLine) -> None:
    says(host(fleet), "before", ago=5)
    client = fleet.world.client()
    with client.lines(kept=True) as lines:
        looks = client.activities(["alice", "bob"], lines, 10, texts=True, every=2.0)

        def new() -> list[str | None]:
            found: list[Activity] = next(looks)
            return [message.text for activity in found for message in activity.messages]

        assert new() == ["before"]
        assert new() == []
        says(host(fleet), "one")
        says(host(fleet), "two")
        assert new() == ["one", "two"]
        says(host(fleet), "three")  # within the same second
        assert new() == ["three"]
        assert new() == []


def test_who_falls_silent_while_it_is_followed_is_named_once_and_when_it_is_back(fleet: CommandLine) -> None:
    server, clock, silence = fleet.world.server("bob").id, fleet.world.clock, HostTimedOut("no answer within 10 s")

    def falls_silent() -> None:
        fleet.world.dialer.silent[server] = silence
        fleet.world.host("bob").fails = [("", silence)]  # the connection that is open breaks off
        fleet.world.host("alice").gateway.stop()

    def interrupts() -> None:
        raise KeyboardInterrupt

    before = len(clock.slept)
    clock.meanwhile = {
        before + 1: falls_silent,
        before + 4: lambda: fleet.world.dialer.silent.clear(),
        before + 7: interrupts,
    }
    said = fleet("events", "--all", "--follow")
    assert said.err.count("bob: no answer within 10 s") == 1
    assert said.err.count("bob answers again") == 1
    assert said.err.count("the gateway does not answer on loopback") == 1
