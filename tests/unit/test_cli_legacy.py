"""`fleet import legacy`: the fleet file of what the original scripts have made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import run
from reconciler.fleet import load_fleet
from reconciler.model import SecretRef
from tests.fakes.command_line import Said

# As the original specification has it.
ALICE: dict[str, Any] = {
    "name": "alice-bot",
    "ip": "1.2.3.4",
    "region": "nbg1",
    "created_at": "2026-02-13T12:00:00Z",
    "openclaw_version": "0.5.0",
    "telegram_bot": "@AliceBot",
    "status": "operational",
}
CONFIG = """\
defaults:
  region: nbg1
  server_type: cx22
  image: ubuntu-24.04
credentials:
  hetzner_context: openclaw
  anthropic_key_file: instances/credentials.json
"""


class Place:
    """A directory of theirs, and `fleet` in it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def note(self, name: str, content: object) -> Path:
        path = self.directory / "instances" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o600)
        return path

    def take_over(self, *words: str) -> Said:
        code = run(["import", "legacy", *(words or ("instances", "--name", "pets"))])
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(tmp_path / "keys"))
    (tmp_path / "deploy").mkdir()
    monkeypatch.chdir(tmp_path / "deploy")
    return Place(tmp_path / "deploy", capsys)


def test_instances_become_children_of_a_valid_fleet(place: Place) -> None:
    place.note("alice-bot/metadata.json", ALICE)
    place.note("alice-bot/ssh_key", "a key")
    place.note(
        "bob-bot/metadata.json",
        {
            **ALICE,
            "name": "bob-bot",
            "region": "fsn1",
            "server_id": 4711,
            "server_type": "cx42",
            "telegram_bot": "@BobBot",
        },
    )
    place.note("config.yaml", CONFIG)
    place.note("credentials.json", {"anthropic_api_key": "planted-key-of-a-model"})
    said = place.take_over()
    assert (said.code, said.err) == (0, "")
    fleet = load_fleet(place.directory / "fleet.yaml")
    alice, bob = fleet.children["alice-bot"], fleet.children["bob-bot"]
    assert (fleet.name, str(fleet.token)) == ("pets", "hcloud:openclaw")
    assert (alice.regions, alice.server_types, alice.image, alice.version) == (
        ("nbg1",), ("cx23", "cx22"), "ubuntu-24.04", "2026.9.6",
    )  # fmt: skip
    assert (bob.regions, bob.server_types) == (("fsn1",), ("cx43", "cx42"))
    assert alice.model.key == SecretRef("file", "instances/credentials.json#/anthropic_api_key")
    assert alice.bot_token == SecretRef("file", "secrets/alice-bot.token")
    assert "planted" not in (place.directory / "fleet.yaml").read_text() + said.out
    assert "fleet bot token alice-bot\n" in said.out
    assert "fleet import alice-bot --as alice-bot --identity instances/alice-bot/ssh_key --host-key" in said.out
    assert "fleet import 4711 --as bob-bot --identity YOUR_KEY --host-key" in said.out


def test_what_a_person_should_look_at_is_said(place: Place) -> None:
    """Half-made instances were left out without a word, and one server or bot noted twice was none either."""
    for name in ("alice-bot", "bob-bot"):
        place.note(f"{name}/metadata.json", {**ALICE, "server_id": 4711})
    place.note("half-bot/ssh_key", "a key")
    said = place.take_over()
    assert said.code == 0
    assert [line.partition(":")[2].split(":")[0].split(",")[0].strip() for line in said.err.splitlines()] == [
        "half-bot", "alice-bot and bob-bot have noted the same server", "alice-bot and bob-bot have noted the same bot",
    ]  # fmt: skip


def test_a_token_that_they_have_kept_is_referred_to(place: Place) -> None:
    place.note("alice-bot/metadata.json", {**ALICE, "telegram_bot_token": "123456:planted-token-of-a-bot-of-alice"})
    said = place.take_over()
    alice = load_fleet(place.directory / "fleet.yaml").children["alice-bot"]
    assert alice.bot_token == SecretRef("file", "instances/alice-bot/metadata.json#/telegram_bot_token")
    assert ("planted" in said.out, "fleet bot token" in said.out) == (False, False)


def test_the_least_is_enough(place: Place) -> None:
    place.note("no/metadata.json", {})
    place.note("1234/metadata.json", {})
    assert place.take_over(".", "--name", "pets").code == 0
    fleet = load_fleet(place.directory / "fleet.yaml")
    assert sorted(fleet.children) == ["1234", "no"]
    assert str(fleet.children["no"].model.key) == "env:ANTHROPIC_API_KEY"


def test_what_they_say_gets_into_our_file_only_where_it_is_a_plain_word(place: Place) -> None:
    odd = "nbg1\n  evil: {protect: false}; evil"
    keys = ("ip", "region", "server_type", "telegram_bot", "openclaw_version", "server_id", "server_name")
    place.note("alice-bot/metadata.json", dict.fromkeys(keys, odd))
    place.note("config.yaml", "defaults: {region: [x], server_type: 7, image: 'a b'}\ncredentials: nothing\n")
    said = place.take_over()
    written = (place.directory / "fleet.yaml").read_text()
    assert (said.code, "evil" in said.out, "evil" in written) == (0, False, False)
    assert list(load_fleet(place.directory / "fleet.yaml").children) == ["alice-bot"]


def test_everything_that_cannot_be_read_is_told_at_once_and_nothing_is_written(place: Place) -> None:
    place.note("alice/metadata.json", "{")
    place.note("bob/metadata.json", "[]")
    place.note("Carol Bot/metadata.json", ALICE)
    place.note("dave/metadata.json", ALICE).unlink()
    (place.directory / "instances/dave/metadata.json").mkdir()
    place.note("config.yaml", "created: 2026-02-30")
    said = place.take_over()
    assert (said.code, (place.directory / "fleet.yaml").exists()) == (1, False)
    for name in ("alice", "bob", "Carol Bot", "dave"):
        assert f"instances/{name}/metadata.json: " in said.err
    assert "instances/config.yaml: " in said.err


def test_what_would_be_no_valid_fleet_is_not_begun(place: Place) -> None:
    place.note(f"{'a' * 61}/metadata.json", ALICE)
    said = place.take_over()
    assert (said.code, "66 characters" in said.err, list(place.directory.glob("*.yaml"))) == (4, True, [])
    assert place.take_over().code == 4  # and for the same reason


def test_commands_are_for_where_a_person_is(place: Place) -> None:
    place.note("alice-bot/metadata.json", ALICE)
    place.note("alice-bot/ssh_key", "a key")
    (place.directory / "sub").mkdir()
    said = place.take_over("instances", "--name", "pets", "--file", "sub/fleet.yaml")
    assert "--identity instances/alice-bot/ssh_key --file sub/fleet.yaml --host-key" in said.out
    assert "fleet bot token alice-bot --file sub/fleet.yaml\n" in said.out


def test_a_fleet_may_begin_in_a_directory_that_is_not_there_yet(place: Place) -> None:
    place.note("alice-bot/metadata.json", ALICE)
    said = place.take_over("instances", "--name", "pets", "--file", "new/fleet.yaml")
    assert (said.code, list(load_fleet(place.directory / "new/fleet.yaml").children)) == (0, ["alice-bot"])


def test_where_there_is_nothing_it_says_so(place: Place) -> None:
    (place.directory / "instances").mkdir()
    said = place.take_over()
    assert (said.code, "there is no NAME/metadata.json" in said.err) == (64, True)
    assert place.take_over("nowhere").code == 64


def test_a_fleet_that_is_there_is_not_overwritten(place: Place) -> None:
    place.note("alice-bot/metadata.json", ALICE)
    (place.directory / "fleet.yaml").write_text("mine")
    assert place.take_over().code == 4
    assert (place.directory / "fleet.yaml").read_text() == "mine"
