"""`fleet bot`: how a child gets its bot, and what Telegram says of it."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Final

import pytest

from reconciler.model import Secret, SecretRef, ServerStatus
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

NEW: Final = "7000000001:planted-token-of-a-new-bot-of-alice"


class Operator:
    """Somebody with a token to give."""

    def __init__(self, fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fleet = fleet
        self.world = fleet.world
        self._monkeypatch = monkeypatch

    def gives(self, token: str, *arguments: str, child: str = "alice") -> Said:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(token.encode())))
        return self.fleet("bot", "token", child, *arguments)

    @property
    def place(self) -> Path:
        """In the sandbox a token that a person gives lies beside that of the real bot."""
        return self.world.state.parent / "secrets/alice.token.sandbox"


@pytest.fixture
def operator(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    world = FakeFleet(state)
    world.change("alice", bot_token=SecretRef("file", "secrets/alice.token"))
    return Operator(CommandLine(world.applied(), capsys), monkeypatch)


def bot_of(world: FakeFleet, child: str) -> int:
    return int(world.secrets.bot_token(world.specs[child].bot_token).reveal().partition(":")[0])


def test_a_child_gets_its_bot_and_the_change_is_planned(operator: Operator) -> None:
    said = operator.gives(f"{NEW}\n", "--yes")
    assert said.code == 0
    assert "alice has @bot7000000001_bot (Bot 7000000001), https://t.me/bot7000000001_bot" in said.out
    assert "To do that: fleet apply alice" in said.out
    assert operator.place.read_text() == f"{NEW}\n"
    assert stat.S_IMODE(operator.place.stat().st_mode) == 0o600
    assert operator.fleet("apply", "--yes").code == 0
    assert operator.world.host("alice").content("/etc/openclaw/telegram.token").decode().strip() == NEW
    assert operator.fleet("plan").code == 0
    assert NEW not in said.out + said.err + str(operator.world.events())


def test_machines_are_told_of_the_bot_and_of_the_plan(operator: Operator) -> None:
    said = operator.gives(NEW, "--yes", "--json")
    told = json.loads(said.out)
    assert (said.code, told["bot"]["child"], told["bot"]["id"]) == (0, "alice", 7000000001)
    assert [action["child"] for action in told["plan"]["actions"]] == ["alice"]
    assert NEW not in said.out + said.err


def test_it_is_said_in_the_journal_without_the_token(operator: Operator) -> None:
    operator.gives(NEW, "--yes")
    [event] = [event for event in operator.world.events() if event.event == "bot-token-kept"]
    assert event.fields == {
        "child": "alice", "bot": "7000000001", "username": "bot7000000001_bot", "by": "ada",
    }  # fmt: skip


def test_another_bot_is_not_replaced_without_consent(operator: Operator) -> None:
    said = operator.gives(NEW)
    assert (said.code, "give --yes to go ahead" in said.err, operator.place.exists()) == (4, True, False)


@pytest.mark.parametrize("kept", ["8000000002:another-token-that-everybody-can-read", "garbage"])
def test_what_cannot_be_read_is_not_replaced_without_consent(operator: Operator, kept: str) -> None:
    operator.place.parent.mkdir()
    operator.place.write_text(kept)
    operator.place.chmod(0o644)
    said = operator.gives(NEW)
    assert (said.code, operator.place.read_text()) == (4, kept)
    assert operator.gives(NEW, "--yes").code == 0


def test_what_a_bot_calls_itself_drives_no_terminal(operator: Operator) -> None:
    operator.world.channel.names[7000000001] = "Evil \x1b]0;pwn\x07\n::error::x"
    said = operator.gives(NEW, "--yes")
    assert (said.code, "\x1b" in said.out, "\n::error" in said.out) == (0, False, False)


def test_the_same_bot_again_needs_no_consent_and_changes_nothing(operator: Operator) -> None:
    operator.gives(NEW, "--yes")
    operator.fleet("apply", "--yes")
    operator.world.channel.polled.add(7000000001)  # by its own gateway
    said = operator.gives(NEW)
    assert (said.code, "fleet apply" in said.out) == (0, False)


@pytest.mark.parametrize("junk", ["", "\n", "hello", "12:34", f"{NEW} {NEW}", f"{NEW}\nrm -rf", "12345:" + "x" * 5000])
def test_what_is_no_token_is_not_repeated(operator: Operator, junk: str) -> None:
    said = operator.gives(junk, "--yes")
    assert (said.code, operator.place.exists()) == (64, False)
    assert len(junk) < 8 or junk not in said.out + said.err


def test_a_token_that_is_nobodys_is_not_written(operator: Operator) -> None:
    operator.world.channel.revoked.add(7000000001)
    said = operator.gives(NEW, "--yes")
    assert (said.code, "401" in said.err, operator.place.exists()) == (1, True, False)


def test_a_bot_that_another_child_has_is_refused(operator: Operator) -> None:
    of_bob = operator.world.secrets.bot_token(operator.world.specs["bob"].bot_token).reveal()
    said = operator.gives(of_bob, "--yes")
    assert (said.code, "bob has this bot already" in said.err, operator.place.exists()) == (4, True, False)


def test_a_bot_is_free_when_its_child_is_off_in_the_file_and_at_the_cloud(operator: Operator) -> None:
    of_bob = operator.world.secrets.bot_token(operator.world.specs["bob"].bot_token).reveal()
    operator.world.change("bob", enabled=False)
    assert operator.gives(of_bob, "--yes").code == 4  # its server runs
    operator.fleet("apply", "--yes")
    assert operator.world.server("bob").status is ServerStatus.OFF
    assert operator.gives(of_bob, "--yes").code == 0


def test_a_bot_that_a_server_has_whose_child_is_gone_from_the_file_is_refused(operator: Operator) -> None:
    of_bob = operator.world.secrets.bot_token(operator.world.specs.pop("bob").bot_token).reveal()
    said = operator.gives(of_bob, "--yes")
    assert (said.code, "bob has this bot already" in said.err) == (4, True)


def test_a_bot_that_another_program_uses_is_refused(operator: Operator) -> None:
    operator.world.channel.polled.add(7000000001)
    said = operator.gives(NEW, "--yes")
    assert (said.code, "another program asks for its messages" in said.err) == (4, True)
    assert not operator.place.exists()


def test_a_bot_with_a_webhook_is_refused_and_its_address_is_not_repeated(operator: Operator) -> None:
    operator.world.channel.webhooks[7000000001] = "https://bots.example/hook/planted-secret-path"
    said = operator.gives(NEW, "--yes")
    assert (said.code, "bots.example" in said.err, "planted" in said.err) == (4, True, False)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (SecretRef("env", "ALICE_BOT_TOKEN"), "file:secrets/NAME.token"),
        (SecretRef("file", "all.json#/alice"), "a part of the JSON document all.json"),
    ],
)
def test_where_fleet_cannot_write_it_says_so_before_it_asks(
    operator: Operator, reference: SecretRef, words: str
) -> None:
    operator.world.change("alice", bot_token=reference)
    said = operator.gives("nobody reads this", "--yes")
    assert (said.code, words in said.err) == (1, True)


def test_a_place_that_cannot_be_written_leaves_the_bot_that_was(operator: Operator) -> None:
    operator.place.parent.write_text("a file where a directory should be")
    before = bot_of(operator.world, "alice")
    said = operator.gives(NEW, "--yes")
    assert (said.code, "cannot be written" in said.err, bot_of(operator.world, "alice")) == (1, True, before)


def test_a_child_that_nobody_declares_is_a_usage_error(operator: Operator) -> None:
    assert operator.gives(NEW, child="alcie").code == 64


def test_while_somebody_applies_no_token_is_written(operator: Operator) -> None:
    with operator.world.client().lock("fleet apply"):
        said = operator.gives(NEW, "--yes")
    assert (said.code, operator.place.exists()) == (5, False)


def test_all_bots_are_told(operator: Operator) -> None:
    said = operator.fleet("bot", "check")
    alice, bob = bot_of(operator.world, "alice"), bot_of(operator.world, "bob")
    assert (said.code, said.out.count("none")) == (0, 2)
    assert f"@bot{alice}_bot" in said.out
    assert f"@bot{bob}_bot" in said.out
    assert "bob" not in operator.fleet("bot", "check", "alice").out


def test_who_is_gone_from_the_file_is_not_left_out_in_silence(operator: Operator) -> None:
    del operator.world.specs["bob"]
    said = operator.fleet("bot", "check", "bob")
    assert (said.code, "the fleet file does not declare: bob" in said.err) == (64, True)
    assert operator.fleet("send", "bob", "--user", "77", "Hello").code == 64
    assert operator.fleet("bot", "check", "--all").code == 0


def test_what_keeps_a_bot_from_answering_is_told_for_each(operator: Operator) -> None:
    channel, world = operator.world.channel, operator.world
    channel.revoked.add(bot_of(world, "bob"))
    channel.webhooks[bot_of(world, "alice")] = "https://bots.example/x"
    said = operator.fleet("bot", "check", "--json")
    told = json.loads(said.out)
    assert said.code == 2
    assert told["bob"] == {
        "bot": None, "has_webhook": None, "pending": None, "commands": [],
        "findings": ["Telegram answered getMe with 401: Unauthorized"],
    }  # fmt: skip
    assert told["alice"]["findings"] == ["its messages are sent to bots.example, which its gateway will end"]


def test_two_children_with_one_bot_are_named(operator: Operator) -> None:
    operator.world.change("bob", bot_token=operator.world.specs["alice"].bot_token)
    said = operator.fleet("bot", "check")
    assert (said.code, "bob shall have the same bot" in said.out) == (2, True)


def test_telegram_out_of_reach_is_a_finding_of_each(operator: Operator) -> None:
    operator.world.channel.is_down = True
    said = operator.fleet("bot", "check")
    assert (said.code, said.out.count("nobody answers")) == (2, 2)


def test_the_token_of_the_real_bot_is_never_read_in_the_sandbox(operator: Operator) -> None:
    real = operator.world.state.parent / "secrets/alice.token"
    real.parent.mkdir()
    real.write_text("1234567:planted-token-of-the-real-bot-of-alice")
    real.chmod(0o600)
    before = operator.world.secrets.bot_token(operator.world.specs["alice"].bot_token)
    assert before != Secret(real.read_text())
    operator.gives(NEW, "--yes")
    assert operator.world.secrets.bot_token(operator.world.specs["alice"].bot_token) == Secret(NEW)
    assert real.read_text() == "1234567:planted-token-of-the-real-bot-of-alice"
