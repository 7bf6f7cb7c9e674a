"""`fleet onboard`: from a child in the fleet file to a user who gets answers, and on from wherever it ended."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.model import AccessPolicy, SecretRef, Users
from tests.fakes.clock import FakeClock
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

CODE: Final = "HDMC3TZP"
TOKEN: Final = "7000000001:planted-token-of-a-new-bot-of-alice"
HELLO: Final = "Hello, I am alice, your assistant. Write to me whenever you like."


class EventfulClock(FakeClock):
    """What is to come happens while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.to_come: list[tuple[datetime, Callable[[], object]]] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        due = [happens for at, happens in self.to_come if at <= self.now()]
        self.to_come = [(at, happens) for at, happens in self.to_come if at > self.now()]
        for happens in due:
            happens()


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Nothing is applied yet, and whoever asks is let in."""
    return CommandLine(FakeFleet(state, ("alice",), EventfulClock()), capsys)


@pytest.fixture
def applied(fleet: CommandLine) -> CommandLine:
    fleet.world.applied()
    return fleet


def host(fleet: CommandLine) -> FakeHost:
    return fleet.world.host("alice")


def later(fleet: CommandLine, seconds: float, happens: Callable[[], object]) -> None:
    """When the clock has been slept on for so long, that happens."""
    clock = fleet.world.clock
    assert isinstance(clock, EventfulClock)
    clock.to_come.append((clock.now() + timedelta(seconds=seconds), happens))


def noted(fleet: CommandLine, *events: str) -> list[tuple[str, object]]:
    found = fleet.world.ports().store.events()
    return [(it.event, it.fields.get("user")) for it in found if it.event in events]


def test_a_child_comes_to_its_user_in_one_command(fleet: CommandLine) -> None:
    fleet.world.change("alice", users=Users(AccessPolicy.PAIRING, owner=7007))
    later(fleet, 900, lambda: host(fleet).gateway.is_asked(7007, CODE, "Alice"))
    said = fleet("onboard", "alice", "--yes", "--timeout", "3600")
    assert said.code == 0, said
    assert host(fleet).gateway.lets_in == ["7007"]
    assert host(fleet).messages == [(7007, HELLO)]
    assert "open https://t.me/bot" in said.out
    assert "Alice @alice (7007) may talk to alice now." in said.out
    assert "7007 is welcomed: Telegram took it as message 1." in said.out
    assert noted(fleet, "pairing-approved", "message-sent", "onboarded") == [
        ("pairing-approved", "7007"),
        ("message-sent", 7007),
        ("onboarded", 7007),
    ]


def test_for_machines_there_is_one_object(applied: CommandLine) -> None:
    arguments = ("onboard", "alice", "--user", "7007", "--json", "--timeout", "60")
    assert applied(*arguments).code == 64
    nobody = applied(*arguments, "--yes")
    assert (nobody.code, json.loads(nobody.out)["state"]) == (3, "not-come")
    host(applied).gateway.is_asked(7007, CODE, "Alice")
    welcomed = json.loads(applied(*arguments, "--yes").out)
    assert (welcomed["state"], welcomed["user"], welcomed["message"]) == ("welcomed", 7007, "1")
    again = applied(*arguments, "--yes")
    assert (again.code, json.loads(again.out)["state"], "was welcomed on" in again.err) == (0, "welcomed", True)


def test_what_is_done_is_passed_over(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    assert applied("onboard", "alice", "--yes").code == 0
    said = applied("onboard", "alice", "--yes")
    assert (said.code, "4242 was welcomed on " in said.out, len(host(applied).messages)) == (0, True, 1)
    assert applied("onboard", "alice", "--yes", "--again", "--welcome", "{{ name }} again").code == 0
    assert host(applied).messages[1:] == [(4242, "alice again")]


def test_who_does_not_come_is_waited_for_as_long_as_was_said(applied: CommandLine) -> None:
    before = applied.world.clock.now()
    said = applied("onboard", "alice", "--yes", "--user", "7007", "--timeout", "60")
    assert (said.code, "Nobody has come yet. Run this again" in said.err) == (3, True)
    assert 50 <= (applied.world.clock.now() - before).total_seconds() <= 60
    host(applied).gateway.is_asked(7007, CODE)
    assert applied("onboard", "alice", "--yes", "--user", "7007").code == 0
    assert host(applied).messages == [(7007, HELLO)]


def test_who_was_let_in_and_not_welcomed_is(applied: CommandLine) -> None:
    host(applied).gateway.is_asked(7007, CODE)
    assert applied("pairing", "approve", CODE, "--yes").code == 0
    assert applied("onboard", "alice", "--yes", "--user", "7007").code == 0
    assert host(applied).messages == [(7007, HELLO)]


def test_who_was_let_in_and_not_welcomed_is_found_without_being_named(fleet: CommandLine) -> None:
    """It had been approved when the run before ended."""
    fleet.world.change("alice", users=Users(AccessPolicy.PAIRING))
    fleet.world.applied()
    host(fleet).gateway.is_asked(7007, CODE)
    assert fleet("pairing", "approve", CODE, "--yes").code == 0
    said = fleet("onboard", "alice")
    assert (said.code, "7007 was let in before, and not welcomed yet." in said.out) == (0, True), said
    assert host(fleet).messages == [(7007, HELLO)]
    said = fleet("onboard", "alice")
    assert (said.code, "7007 was welcomed on " in said.out, len(host(fleet).messages)) == (0, True, 1), said


def test_another_who_asks_is_named_and_left_waiting(applied: CommandLine) -> None:
    host(applied).gateway.is_asked(666, "QRST2345", "Mallory")
    host(applied).gateway.is_asked(7007, CODE)
    said = applied("onboard", "alice", "--yes", "--user", "7007")
    assert (said.code, host(applied).gateway.lets_in) == (0, ["7007"])
    assert "Mallory @mallory (666) asks as well: fleet pairing list alice" in said.out


def test_nobody_lets_a_stranger_in_unseen(applied: CommandLine) -> None:
    said = applied("onboard", "alice", "--yes")
    assert (said.code, "--yes would let in whoever asks" in said.err) == (64, True)
    host(applied).gateway.is_asked(666, "QRST2345", "Mallory")
    said = applied("onboard", "alice", "--timeout", "10")
    assert (said.code, "there is no terminal to ask on" in said.err, host(applied).gateway.lets_in) == (4, True, [])


def test_whom_the_file_lets_in_alone_is_welcomed_when_they_have_come(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    gateway = host(applied).gateway
    gateway.refusal = "tool execution failed"
    later(applied, 100, lambda: setattr(gateway, "refusal", ""))
    assert applied("onboard", "alice", "--yes").code == 0
    assert host(applied).messages == [(4242, HELLO)]
    assert noted(applied, "message-sent", "message-not-sent") == [("message-sent", 4242)]


def test_who_never_comes_is_noted_once(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    host(applied).gateway.refusal = "tool execution failed"
    said = applied("onboard", "alice", "--yes", "--timeout", "60")
    assert (said.code, "Run this again" in said.err) == (3, True)
    assert noted(applied, "message-sent", "message-not-sent", "onboarded") == [("message-not-sent", 4242)]


def test_what_nobody_can_tell_of_is_not_sent_twice(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    host(applied).fails.append(("send messages", HostTimedOut("the connection broke off")))
    said = applied("onboard", "alice", "--yes")
    assert (said.code, "Sent, not confirmed: nobody can tell" in said.err, host(applied).messages) == (3, True, [])


def test_a_missing_token_is_asked_for_first(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.world.change("alice", bot_token=SecretRef("file", "secrets/alice.token"))
    mine = int(fleet.world.secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal().partition(":")[0])
    fleet.world.channel.revoked.add(mine)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TOKEN.encode())))
    later(fleet, 900, lambda: host(fleet).gateway.is_asked(7007, CODE))
    said = fleet("onboard", "alice", "--yes", "--user", "7007", "--timeout", "3600")
    assert said.code == 0, said
    assert "alice has no bot yet: Telegram answered getMe with 401" in said.out
    assert "https://t.me/bot7000000001_bot" in said.out
    assert TOKEN not in said.out + said.err


def test_an_outage_of_telegram_is_no_missing_token(applied: CommandLine) -> None:
    applied.world.channel.is_down = True
    said = applied("onboard", "alice", "--yes", "--user", "7007")
    assert (said.code, "no bot yet" in said.out, "nobody answers" in said.err) == (1, False, True)


@pytest.mark.parametrize(
    ("users", "arguments", "what"),
    [
        (Users(AccessPolicy.ALLOWLIST, (1, 2)), (), "names several users of alice: 1, 2"),
        (Users(AccessPolicy.ALLOWLIST, (1,)), ("--user", "7"), "lets nobody in but whom the fleet file names"),
        (Users(AccessPolicy.ALLOWLIST, (1,)), ("--welcome", "{{ nobody }}"), "cannot be filled in"),
        (Users(AccessPolicy.ALLOWLIST, (1,)), ("--welcome", "  "), "there is no text"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    fleet: CommandLine, users: Users, arguments: tuple[str, ...], what: str
) -> None:
    fleet.world.change("alice", users=users)
    said = fleet("onboard", "alice", "--yes", *arguments)
    assert (said.code, what in said.err, fleet.world.cloud.by_id) == (64, True, {})


def test_a_stranger_to_the_file_is_refused(fleet: CommandLine) -> None:
    said = fleet("onboard", "alicia", "--yes", "--user", "7")
    assert (said.code, "declares no child alicia" in said.err) == (64, True)


def test_a_plan_that_nobody_agreed_to_is_not_run(fleet: CommandLine) -> None:
    said = fleet("onboard", "alice", "--user", "7007")
    assert (said.code, "1 to create" in said.out, fleet.world.cloud.by_id) == (4, True, {})


def test_an_owner_who_was_let_in_by_code_is_known(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.PAIRING, owner=7007))
    applied.world.applied()
    host(applied).gateway.is_asked(7007, CODE)
    assert applied("pairing", "approve", CODE, "--yes").code == 0
    assert applied("onboard", "alice", "--yes").code == 0
    assert host(applied).messages == [(7007, HELLO)]


def test_a_gateway_that_does_not_answer_is_said_at_once(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    host(applied).fails.append(("send messages", CommandFailed("the gateway does not answer on loopback")))
    before = applied.world.clock.now()
    said = applied("onboard", "alice", "--yes")
    assert (said.code, "does not answer on loopback (fleet status alice" in said.err) == (3, True)
    assert (applied.world.clock.now() - before).total_seconds() < 30


def test_another_bot_has_welcomed_nobody(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    assert applied("onboard", "alice", "--yes").code == 0
    applied.world.change("alice", bot_token=SecretRef("env", "ANOTHER"))
    assert applied("onboard", "alice", "--yes").code == 0
    assert host(applied).messages == [(4242, HELLO)] * 2


def test_what_nobody_can_tell_of_is_not_sent_again_unasked(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    host(applied).fails.append(("send messages", HostTimedOut("the connection broke off")))
    assert applied("onboard", "alice", "--yes").code == 3
    said = applied("onboard", "alice", "--yes")
    assert (said.code, "nobody can tell whether that has arrived" in said.out, host(applied).messages) == (3, True, [])
    assert applied("onboard", "alice", "--yes", "--again").code == 0


def test_a_token_from_elsewhere_is_not_asked_for(fleet: CommandLine) -> None:
    """The environment's is for a person to mend; what Telegram says of it drives no terminal."""
    mine = int(fleet.world.secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal().partition(":")[0])
    fleet.world.channel.revoked.add(mine)
    said = fleet("onboard", "alice", "--yes", "--user", "7")
    assert (said.code, "Telegram answered getMe with 401" in said.err, said.out) == (1, True, "")


def test_who_is_not_waited_for_any_longer_has_not_been_welcomed(applied: CommandLine) -> None:
    """Ctrl-C comes between two tries, and both were refused."""
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    host(applied).gateway.refusal = "tool execution failed"
    nap = applied.world.clock.sleep

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    applied.world.clock.sleep = interrupted  # type: ignore[method-assign]
    assert applied("onboard", "alice", "--yes").code == 130
    applied.world.clock.sleep = nap  # type: ignore[method-assign]
    host(applied).gateway.refusal = ""
    assert applied("onboard", "alice", "--yes").code == 0
    assert len(host(applied).messages) == 1


def test_who_was_welcomed_stays_that_whatever_was_tried_again(applied: CommandLine) -> None:
    applied.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242,)))
    applied.world.applied()
    assert applied("onboard", "alice", "--yes").code == 0
    host(applied).fails.append(("send messages", HostTimedOut("the connection broke off")))
    assert applied("onboard", "alice", "--yes", "--again").code == 3
    assert applied("onboard", "alice", "--yes").code == 0
    assert len(host(applied).messages) == 1
