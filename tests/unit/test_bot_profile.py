"""What a bot shows to people is as the fleet file says, and what the file leaves open is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from reconciler.fleet import load_fleet
from reconciler.model import BotProfile
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

WISH: Final = BotProfile("Alice's assistant", description="I answer Alice.")


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state)


@pytest.fixture
def fleet(world: FakeFleet, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world.change("alice", profile=WISH)
    return CommandLine(world.applied(), capsys)


def bot_of(world: FakeFleet, child: str) -> int:
    return int(world.secrets.bot_token(world.specs[child].bot_token).reveal().partition(":")[0])


def shown(world: FakeFleet, child: str = "alice") -> BotProfile | None:
    return world.channel.profiles.get(bot_of(world, child))


def test_a_bot_is_called_as_the_file_says_and_another_is_left_alone(fleet: CommandLine) -> None:
    assert shown(fleet.world) == BotProfile("Alice's assistant", "I answer Alice.", "")
    assert shown(fleet.world, "bob") is None
    assert fleet.world.planned() == []


def test_another_name_in_the_file_is_a_change(fleet: CommandLine) -> None:
    fleet.world.change("alice", profile=BotProfile("Ada's assistant", "I answer Alice."))
    said = fleet("plan")
    assert "the fleet file or this tool changed" in said.out
    assert "Alice's assistant" in said.out
    assert "Ada's assistant" in said.out
    assert fleet("apply", "--yes").code == 0
    assert shown(fleet.world) == BotProfile("Ada's assistant", "I answer Alice.", "")


def test_a_name_that_somebody_else_gave_is_drift_and_is_mended(fleet: CommandLine) -> None:
    fleet.world.channel.profiles[bot_of(fleet.world, "alice")] = BotProfile("Mallory", "I answer Alice.", "and more")
    assert "drift" in fleet("plan").out
    starts = fleet.world.host("alice").gateway.starts
    assert fleet("apply", "--yes").code == 0
    assert shown(fleet.world) == BotProfile("Alice's assistant", "I answer Alice.", "and more")
    assert fleet.world.host("alice").gateway.starts == starts


def test_what_the_file_says_no_more_stays_as_it_is(fleet: CommandLine) -> None:
    fleet.world.change("alice", profile=BotProfile())
    assert fleet("apply", "--yes").code == 0
    assert shown(fleet.world) == BotProfile("Alice's assistant", "I answer Alice.", "")


def test_an_empty_text_takes_it_away(fleet: CommandLine) -> None:
    fleet.world.change("alice", profile=BotProfile(description=""))
    assert fleet("apply", "--yes").code == 0
    assert shown(fleet.world) == BotProfile("Alice's assistant", "", "")
    assert fleet.world.planned() == []


def test_what_is_so_already_and_not_noted_is_noted(fleet: CommandLine) -> None:
    """As after an apply that was killed between the two."""
    host = fleet.world.host("alice")
    applied = host.read_json("/var/lib/openclaw-deploy/applied.json")
    assert isinstance(applied, dict)
    assert isinstance(applied["digests"], dict)
    del applied["digests"]["bot profile"]
    host.files["/var/lib/openclaw-deploy/applied.json"].content = json.dumps(applied).encode()
    assert "it is only noted on the host, and nothing restarts" in fleet("plan").out
    assert fleet("apply", "--yes").code == 0
    fleet.world.channel.profiles[bot_of(fleet.world, "alice")] = BotProfile("Mallory", "", "")
    assert fleet.world.planned() == ["update alice: drifted"]


def test_telegram_out_of_reach_is_said_and_stops_nothing(fleet: CommandLine) -> None:
    fleet.world.channel.is_down = True
    said = fleet("plan")
    assert (said.code, "nobody can tell what its bot shows" in said.out) == (0, True)
    assert fleet.world.planned() == []


def test_telegram_out_of_reach_fails_no_other_change(fleet: CommandLine) -> None:
    fleet.world.channel.is_down = True
    fleet.world.change("alice", labels={"team": "red"})
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.planned() == []


def test_what_telegram_takes_is_set_also_where_it_refuses_the_name(fleet: CommandLine) -> None:
    fleet.world.change("alice", profile=BotProfile("Ada's assistant", "I answer Ada.", "Ada's"))
    fleet.world.channel.refuses_changes = True
    assert fleet("apply", "--yes").code == 1
    assert shown(fleet.world) == BotProfile("Alice's assistant", "I answer Ada.", "Ada's")


def test_a_name_that_telegram_refuses_fails_that_child_and_is_tried_by_the_next_apply(fleet: CommandLine) -> None:
    """It may be refused for a day: all else is done, and noted as done."""
    fleet.world.change("alice", profile=BotProfile("Ada's assistant"), version="2026.9.6")
    fleet.world.channel.refuses_changes = True
    said = fleet("apply", "--yes")
    assert (said.code, "429: Too Many Requests" in said.out) == (1, True)
    assert fleet.world.planned() == ["update alice: changed"]
    fleet.world.channel.refuses_changes = False
    assert fleet("apply", "--yes").code == 0
    assert fleet.world.planned() == []


def test_a_child_is_made_also_while_its_bot_may_not_be_renamed(
    world: FakeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    world.change("alice", profile=WISH)
    world.channel.refuses_changes = True
    fleet = CommandLine(world, capsys)
    assert fleet("apply", "--yes").code == 3
    assert not world.server("alice").is_unfinished
    assert world.host("alice").gateway.active == "active"


def test_what_differs_is_a_finding(fleet: CommandLine) -> None:
    fleet.world.channel.profiles[bot_of(fleet.world, "alice")] = BotProfile("Mallory", "", "")
    said = fleet("bot", "check", "alice")
    assert (said.code, "not as the fleet file says: name, description (fleet apply alice)" in said.out) == (2, True)


FILE: Final = """\
fleet: demo
cloud: {provider: sandbox}
defaults:
  region: nbg1
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:KEY}
  config: {channels: {telegram: {linkPreview: false}}}
children:
  alice:
    bot:
      token: env:ALICE
      name: Alice's assistant
      commands: [{command: report, description: What happened today}]
"""


def test_commands_become_a_part_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(FILE)
    alice = load_fleet(path).children["alice"]
    assert alice.profile == BotProfile("Alice's assistant")
    menu = [{"command": "report", "description": "What happened today"}]
    assert alice.config == {"channels": {"telegram": {"linkPreview": False, "customCommands": menu}}}
