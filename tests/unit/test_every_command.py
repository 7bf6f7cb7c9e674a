"""Every command once: in success, with the gateway down, with the machine cut off, and with a child that is not there.

What each says is in the tests of its own; here none hangs, breaks or is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import pytest

from reconciler.cli.main import COMMANDS
from reconciler.cli.main import fleet as program
from reconciler.errors import HostTimedOut
from reconciler.model import Completed
from tests.fakes.fleets import FakeFleet
from tests.unit.test_cli_edit import Operator

A: Final = "alice"


@dataclass(frozen=True)
class Row:
    """What is said after `fleet`, and the exit code: in success, with the gateway down, with the machine cut off."""

    words: tuple[str, ...]
    fine: int = 0
    down: int = 0
    cut: int = 1
    seconds: int = 30  # by the clock of the world, at most, also where nothing answers
    asks_host: bool = True


TABLE: Final = {
    "plan": Row(("plan", A)),
    "apply": Row(("apply", A, "--yes")),
    "destroy": Row(("destroy", A, "--yes"), cut=4),
    "rollback": Row(("rollback", A, "--yes"), cut=4),
    "checkpoints": Row(("checkpoints", A), cut=0),
    "backup create": Row(("backup", "create", A)),
    "backup due": Row(("backup", "due", A), cut=0),
    "backup fetch": Row(("backup", "fetch", A, "--out", "{new}"), cut=0),
    "backup list": Row(("backup", "list", A), cut=0),
    "backup prune": Row(("backup", "prune", A), cut=0),
    "backup verify": Row(("backup", "verify", A), cut=0),
    "restore": Row(("restore", A, "--yes"), cut=4),
    "hibernate": Row(("hibernate", A, "--yes"), cut=4),
    "wake": Row(("wake", A, "--yes"), fine=4, down=4, cut=4, asks_host=False),  # it does not sleep
    "drill": Row(("drill", A), cut=0, seconds=90),
    "export": Row(("export", A, "--out", "{new}")),
    "restart": Row(("restart", A, "--yes")),
    "start": Row(("start", A, "--yes")),
    "stop": Row(("stop", A, "--yes")),
    "reboot": Row(("reboot", A, "--yes")),
    "rebuild": Row(("rebuild", A, "--yes"), cut=4),
    "status": Row(("status", A), cut=0),
    "monitor": Row(("monitor", A), down=2, cut=2),
    "history": Row(("history", A), cut=0, asks_host=False),
    "silence": Row(("silence", A, "--for", "1h"), cut=0, asks_host=False),
    "resuscitate": Row(("resuscitate", A, "--yes"), seconds=900),  # a boot is waited for twice
    "diagnose": Row(("diagnose", A), down=2, cut=2),
    "events": Row(("events", A), down=1),
    "cost": Row(("cost", A), cut=0),
    "config diff": Row(("config", "diff", A)),
    "config edit": Row(("config", "edit", A)),
    "config pull": Row(("config", "pull", A, "{new}")),
    "config push": Row(("config", "push", A, "{old}", "--force", "--yes")),
    "config restore": Row(("config", "restore", A, "--yes"), fine=4, down=4),  # there is none of before
    "config show": Row(("config", "show", A)),
    "logs": Row(("logs", A)),
    "list": Row(("list", A), cut=0),
    "remove": Row(("remove", A, "--yes"), cut=0),
    "update": Row(("update", A, "2026.9.8", "--yes"), cut=4, seconds=120),
    "adopt": Row(("adopt", A, "users"), cut=4),
    "onboard": Row(("onboard", A, "--yes", "--user", "4242", "--timeout", "5"), cut=4),
    "bot check": Row(("bot", "check", A), cut=0),
    "bot token": Row(("bot", "token", A, "--yes"), fine=1, down=1, asks_host=False),  # made up by this world
    "pairing approve": Row(("pairing", "approve", A, "ABCD2345", "--yes"), fine=64, down=64, cut=64),  # nobody asks
    "pairing deny": Row(("pairing", "deny", A, "ABCD2345", "--yes"), fine=64, down=64, cut=64),
    "pairing list": Row(("pairing", "list", A), cut=3),
    "pairing watch": Row(("pairing", "watch", A, "--timeout", "5"), cut=0),
    "send": Row(("send", A, "--user", "4242", "hello"), down=1),
    "exec": Row(("exec", A, "--", "uptime")),
    "ssh": Row(("ssh", A, "uptime")),
    "tunnel": Row(("tunnel", A), fine=1, down=1),  # nothing forwards in memory, so it breaks off at once
    "ssh-config": Row(("ssh-config", A), cut=0),
    "refresh": Row(("refresh", A)),
}

# What these leave is a file, a record or a session of its own, and their exit code says whether.
WITHOUT_JSON: Final = {
    *("backup fetch", "config edit", "config pull", "export", "refresh", "ssh", "ssh-config", "tunnel"),
}
STREAMED: Final = {"logs", "pairing watch"}  # a line of JSON for each of theirs

# These name no child that has a server, and have tests of their own.
OTHERS: Final = {
    *("init", "validate", "add", "import", "import legacy", "journal", "key export", "key recover", "key show"),
    *("quarantine clear", "quarantine list", "alert preview", "alert test"),
    *("dashboard", "monitor install", "report"),
    *("sandbox down", "sandbox fault", "sandbox logs", "sandbox status", "sandbox up"),
}


@pytest.fixture
def operator(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Operator:
    """Alice has been updated once and has a backup; an editor changes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Operator(FakeFleet(state, ("alice", "bob", "carol")), tmp_path, capsys)
    made.world.applied()
    made("update", A, "2026.9.7", "--yes")
    made("backup", "create", A)
    made("config", "pull", A, "old")
    made("monitor")
    made.world.host(A).programs["uptime"] = lambda command: Completed(0, b"up\n", b"")
    return made


def stop(world: FakeFleet) -> None:
    world.host(A).gateway.stop()


def cut_off(world: FakeFleet) -> None:
    world.dialer.silent[world.server(A).id] = HostTimedOut("no answer within 10 s", "look at its console")


def leaves() -> Iterator[str]:
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {below}" for below in command.list_commands(context))
        else:
            yield name


def test_every_command_has_a_row() -> None:
    assert set(leaves()) == {*TABLE, *OTHERS}


@pytest.mark.parametrize(
    ("how", "change"), [("fine", lambda world: None), ("down", stop), ("cut", cut_off)], ids=["fine", "down", "cut"]
)
@pytest.mark.parametrize("name", TABLE)
def test_it_ends_at_once_and_says_how(
    operator: Operator, tmp_path: Path, name: str, how: str, change: Callable[[FakeFleet], None]
) -> None:
    row = TABLE[name]
    change(operator.world)
    began = operator.world.clock.monotonic()
    said = operator.line(*(word.format(new=tmp_path / "new", old=tmp_path / "old") for word in row.words))
    assert said.code == getattr(row, how), said
    assert operator.world.clock.monotonic() - began <= row.seconds
    assert "bug in fleet" not in said.err
    assert said.code == 0 or (said.out + said.err).strip()
    if how == "cut" and row.asks_host and said.code not in (0, 64):
        assert "no answer within 10 s" in said.out + said.err, said


def json_words(name: str, tmp_path: Path) -> list[str]:
    words = [word.format(new=tmp_path / "new", old=tmp_path / "old") for word in TABLE[name].words]
    place = len(name.split())
    return [*words[:place], "--json", *words[place:]]


@pytest.mark.parametrize(
    ("how", "change"), [("fine", lambda world: None), ("down", stop), ("cut", cut_off)], ids=["fine", "down", "cut"]
)
@pytest.mark.parametrize("name", [name for name in TABLE if name not in WITHOUT_JSON])
def test_for_machines_standard_output_holds_json_and_nothing_else(
    operator: Operator, tmp_path: Path, name: str, how: str, change: Callable[[FakeFleet], None]
) -> None:
    change(operator.world)
    said = operator.line(*json_words(name, tmp_path))
    assert said.code == getattr(TABLE[name], how), said
    for text in said.out.splitlines() if name in STREAMED else filter(None, [said.out]):
        json.loads(text)
    has_ended = said.code in (0, 2, 3)
    assert said.out or (name in STREAMED if has_ended else said.err.strip()), said


@pytest.mark.parametrize("name", sorted(WITHOUT_JSON))
def test_who_has_nothing_to_say_to_machines_takes_no_such_option(operator: Operator, tmp_path: Path, name: str) -> None:
    assert operator.line(*json_words(name, tmp_path)).code == 64


@pytest.mark.parametrize("name", TABLE)
def test_a_child_that_is_not_there_is_named_and_so_is_who_may_be_meant(operator: Operator, name: str) -> None:
    said = operator.line(*(word.format(new="new", old="old").replace(A, "alise") for word in TABLE[name].words))
    assert (said.code, "alise" in said.err, "alice" in said.err) == (64, True, True), said
