"""`fleet send`: who gets which text, and what is said of each message."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import AccessPolicy, Command, Completed, Users
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

HELLO: Final = "Hello from your assistant"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state)
    world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242, 4343), owner=4242), labels={"team": "blue"})
    return CommandLine(world.applied(), capsys)


def sent(fleet: CommandLine, child: str = "alice") -> list[tuple[int, str]]:
    return fleet.world.host(child).messages


def test_the_owner_gets_the_text(fleet: CommandLine) -> None:
    said = fleet("send", "alice", "--owner", HELLO)
    assert (said.code, sent(fleet)) == (0, [(4242, HELLO)])
    assert said.out.split() == ["CHILD", "USER", "MESSAGE", "RESULT", "alice", "4242", "1", "sent"]


def test_everybody_is_each_user_of_the_file_once(fleet: CommandLine) -> None:
    assert fleet("send", "alice", "--everybody", "--owner", "--user", "77", "--yes", HELLO).code == 0
    assert sent(fleet) == [(4242, HELLO), (4343, HELLO), (77, HELLO)]


def test_several_users_are_not_written_to_without_consent(fleet: CommandLine) -> None:
    said = fleet("send", "alice", "--everybody", HELLO)
    assert (said.code, sent(fleet), "give --yes" in said.err) == (4, [], True)


def test_a_text_is_filled_in_for_each_child(fleet: CommandLine) -> None:
    text = "I am {{ name }} of {{ fleet }}{% if labels.team is defined %}, team {{ labels.team }}{% endif %}."
    assert fleet("send", "--all", "--user", "77", "--yes", text).code == 0
    assert sent(fleet) == [(77, "I am alice of demo, team blue.")]
    assert sent(fleet, "bob") == [(77, "I am bob of demo.")]


def test_a_plain_text_is_sent_as_it_is(fleet: CommandLine) -> None:
    text = "{{ name }} $(reboot) `id` 'x' \"y\" ; \u2728\nsecond line"
    assert fleet("send", "alice", "--owner", "--plain", text).code == 0
    assert sent(fleet) == [(4242, text)]


@pytest.mark.parametrize(
    "text", ["{{ nobody }}", "{% for x in y %}", "{{ name", "", "  ", "x" * 4097, "{{ 'x' * 5000 }}"]
)
def test_a_text_that_cannot_be_sent_to_one_is_sent_to_nobody(fleet: CommandLine, text: str) -> None:
    said = fleet("send", "--all", "--user", "77", "--yes", text)
    assert (said.code, sent(fleet), sent(fleet, "bob")) == (64, [], [])


@pytest.mark.parametrize("text", ["x" * 4097, " \n "])
def test_a_plain_text_is_no_longer_than_telegram_takes(fleet: CommandLine, text: str) -> None:
    assert fleet("send", "alice", "--owner", "--plain", text).code == 64
    assert sent(fleet) == []


def test_a_text_comes_from_a_pipe(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Gr\u00fc\u00dfe,\nalice\n".encode())))
    assert fleet("send", "alice", "--owner", "-").code == 0
    assert sent(fleet) == [(4242, "Gr\u00fc\u00dfe,\nalice")]


def test_a_dry_run_shows_texts_and_sends_none(fleet: CommandLine) -> None:
    said = fleet("send", "--all", "--owner", "--dry-run", "Dear {{ users.owner }}")
    assert (said.code, sent(fleet)) == (3, [])
    assert said.out == (
        "alice to 4242:\n  Dear 4242\n"
        "bob: the fleet file names nobody to send it to "
        "(children.bob.users says who: owner, allowed; or name one: --user ID)\n"
    )


def test_who_has_nobody_is_told_and_the_others_get_it(fleet: CommandLine) -> None:
    said = fleet("send", "--all", "--owner", HELLO)
    assert (said.code, sent(fleet)) == (3, [(4242, HELLO)])
    assert "the fleet file names nobody to send it to" in said.out


def test_a_gateway_that_is_down_is_said_at_once(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    said = fleet("send", "alice", "--owner", HELLO)
    assert (said.code, "does not answer on loopback" in said.out) == (1, True)
    assert "fleet status alice says what is wrong" in said.out


def test_a_refusal_is_in_the_gateways_words_and_harmless(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.refusal = "chat not found \x1b[31m::error::x"
    said = fleet("send", "alice", "--owner", "--json", HELLO)
    [told] = json.loads(said.out)
    assert (said.code, told["sent"], "chat not found" in told["problem"]) == (1, False, True)
    assert "\x1b" not in fleet("send", "alice", "--owner", HELLO).out


@pytest.mark.parametrize("silent", ["connection", "answer"])
def test_a_host_that_is_cut_off_hinders_nobody_else(fleet: CommandLine, silent: str) -> None:
    if silent == "connection":
        fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer in 15 s")
    else:
        fleet.world.host("bob").fails.append(("send messages", HostTimedOut("the connection broke off")))
    said = fleet("send", "--all", "--user", "77", "--yes", HELLO)
    assert (said.code, sent(fleet)) == (3, [(77, HELLO)])
    assert ("nobody can tell whether it was sent" in said.out) == (silent == "answer")


def test_a_child_without_a_server_is_told(fleet: CommandLine) -> None:
    del fleet.world.cloud.by_id[fleet.world.server("bob").id]
    said = fleet("send", "bob", "--user", "77", HELLO)
    assert (said.code, "bob has no server" in said.out) == (1, True)


ODD: Final = (
    *("null", "[]", "{}", "x", '["x"]', "[" * 200_000, "[{}, {}]"),
    *('[{"message": null}]', '[{"message": true}]', '[{"message": "", "problem": 7}]'),
)


@pytest.mark.parametrize("answer", ODD)
def test_an_odd_answer_of_a_gateway_is_no_success(fleet: CommandLine, answer: str) -> None:
    fleet.world.host("alice").says["send messages"] = answer.encode()
    said = fleet("send", "alice", "--owner", HELLO)
    assert (said.code, "bug" in said.err) == (1, False)


def test_the_journal_tells_who_sent_to_whom_and_not_what(fleet: CommandLine) -> None:
    fleet("send", "alice", "--owner", HELLO)
    fleet.world.host("alice").gateway.refusal = "chat not found"
    fleet("send", "alice", "--owner", HELLO)
    told = [event for event in fleet.world.events() if event.event.startswith("message-")]
    assert [event.event for event in told] == ["message-sent", "message-not-sent"]
    assert told[0].fields == {"child": "alice", "user": 4242, "by": "ada", "message": "1"}
    assert HELLO not in str(told)


def refused(fleet: CommandLine, *words: str) -> Said:
    said = fleet("send", *words)
    assert said.code == 64
    return said


def test_what_is_left_out_is_said(fleet: CommandLine) -> None:
    assert 'fleet send CHILD --owner "Hello"' in refused(fleet, "alice", "--owner").err
    assert "give --owner, --everybody or --user ID" in refused(fleet, "alice", HELLO).err
    assert "alice" in refused(fleet, "alcie", "--owner", HELLO).err
    refused(fleet, "--owner")
    refused(fleet, "alice", "--user", "x", HELLO)
    refused(fleet, "alice", "--user", "-5", HELLO)


def test_what_a_gateway_repeats_of_a_text_or_a_token_is_kept_nowhere(fleet: CommandLine) -> None:
    token = fleet.world.ports().secrets.bot_token(fleet.world.specs["alice"].bot_token).reveal()
    url = f"https://api.telegram.org/bot{token}/sendMessage"
    fleet.world.host("alice").gateway.refusal = f"Call to {url} failed: {HELLO}"
    said = fleet("send", "alice", "--owner", HELLO)
    written = str([event.fields for event in fleet.world.events()])
    assert (said.code, HELLO in said.out, token[12:] in said.out) == (1, False, False), said
    assert (HELLO in written, token[12:] in written, "its gateway refused it" in written) == (False, False, True)


def test_what_nobody_can_tell_is_called_neither_sent_nor_unsent(fleet: CommandLine) -> None:
    """A program that reads `false` would send it again, and it may have arrived."""
    fleet.world.host("alice").fails.append(("send messages", HostTimedOut("the connection broke off")))
    [told] = json.loads(fleet("send", "alice", "--owner", "--json", HELLO).out)
    assert told["sent"] is None
    events = [event.event for event in fleet.world.events() if event.event.startswith("message")]
    assert events == ["messages-intended", "message-unclear"]


def test_a_line_that_breaks_off_leaves_few_of_which_nobody_can_tell(fleet: CommandLine) -> None:
    users = tuple(range(1000, 1250))
    fleet.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, users))
    host = fleet.world.host("alice")
    before, sends = host.run, iter(range(10))

    def run(command: Any) -> Any:
        if command.name == "send messages" and next(sends) == 1:
            raise HostTimedOut("the connection broke off")
        return before(command)

    host.run = run  # type: ignore[method-assign]
    told = json.loads(fleet("send", "alice", "--everybody", "--yes", "--json", HELLO).out)
    assert [sum(it["sent"] is what for it in told) for what in (True, None, False)] == [150, 100, 0]


def test_a_dry_run_for_a_program_is_json(fleet: CommandLine) -> None:
    said = fleet("send", "alice", "--owner", "--dry-run", "--json", "I am {{ name }}")
    assert json.loads(said.out) == [{"child": "alice", "user": 4242, "text": "I am alice", "problem": None}]
    assert sent(fleet) == []


def test_who_has_heard_is_noted_before_all_have(fleet: CommandLine) -> None:
    """Somebody loses patience with a host that hangs: a second try must know whom not to write to again."""
    host = fleet.world.host("bob")
    run = host.run

    def interrupted(command: Command) -> Completed:
        if command.name == "send messages":
            raise KeyboardInterrupt
        return run(command)

    host.run = interrupted  # type: ignore[method-assign]
    assert fleet("send", "--all", "--user", "77", "--yes", HELLO).code == 130
    told = [it.fields["child"] for it in fleet.world.events() if it.event == "message-sent"]
    assert told == ["alice"]
