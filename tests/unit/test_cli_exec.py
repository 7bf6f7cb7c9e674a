"""`fleet exec`: one command on many hosts, and what each of them said."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.commands.shell import plain
from reconciler.errors import HostTimedOut
from reconciler.model import Command, Completed
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state).applied()
    for name in world.names:
        world.host(name).programs["uptime"] = lambda command: Completed(0, f"{command.line}\n".encode(), b"")
    return CommandLine(world, capsys)


def test_each_answer_stands_below_its_child(fleet: CommandLine) -> None:
    said = fleet("exec", "--all", "--", "uptime", "-p", "a b", "$(reboot)")
    assert (said.code, said.err) == (0, "")
    line = "  set -- uptime -p 'a b' '$(reboot)'; exec \"$@\""
    assert said.out.splitlines() == ["alice: exit code 0", line, "bob: exit code 0", line]


def test_what_stands_behind_the_dashes_is_the_commands(fleet: CommandLine) -> None:
    said = fleet("exec", "alice", "--json", "--", "uptime", "--all", "--", "--json")
    assert json.loads(said.out)["alice"]["stdout"] == 'set -- uptime --all -- --json; exec "$@"\n'


def test_a_command_that_fails_somewhere_is_told_by_the_exit_code(fleet: CommandLine) -> None:
    fleet.world.host("bob").programs["uptime"] = lambda command: Completed(7, b"", b"no \x1b[31mclock\n::error::x\n")
    said = fleet("exec", "--all", "--", "uptime")
    assert said.code == 3
    assert "bob: exit code 7\n  no \\x1b[31mclock\n" in said.out
    assert "\n  ::error" not in said.out
    assert fleet("exec", "bob", "--", "uptime").code == 1


def test_a_host_that_does_not_answer_hinders_nobody_else(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer in 15 s", "look at it")
    said = fleet("exec", "--all", "--", "uptime")
    assert (said.code, said.out.startswith("alice: no answer in 15 s\n  look at it\nbob: exit code 0\n")) == (3, True)
    told = json.loads(fleet("exec", "--all", "--json", "--", "uptime").out)
    assert (told["alice"]["exit_code"], told["alice"]["problem"]) == (None, "no answer in 15 s")


def test_it_runs_as_the_login_account_and_for_so_long(fleet: CommandLine) -> None:
    seen: list[Command] = []

    def look(command: Command) -> Completed:
        seen.append(command)
        return Completed(0, b"", b"")

    fleet.world.host("alice").programs["uptime"] = look
    fleet("exec", "alice", "--timeout", "7", "--", "uptime")
    assert [(command.as_root, command.timeout) for command in seen] == [(False, 7)]


def test_the_journal_tells_who_ran_which_program_and_not_its_words(fleet: CommandLine) -> None:
    fleet("exec", "alice", "--", "uptime", "planted-secret")
    [event] = [event for event in fleet.world.events() if event.event == "command-run"]
    assert event.fields == {"by": "ada", "child": "alice", "program": "uptime", "exit_code": 0}


@pytest.mark.parametrize("word", ["curl -H 'Authorization: Bearer planted-secret'", "A=planted-secret", "\x1b[31m"])
def test_a_word_that_is_no_programs_name_is_not_in_the_journal(fleet: CommandLine, word: str) -> None:
    fleet.world.host("alice").programs[word] = lambda command: Completed(127, b"", b"")
    fleet("exec", "alice", "--", word)
    [event] = [event for event in fleet.world.events() if event.event == "command-run"]
    assert event.fields["program"] == "(no plain name)"


WORDS = ("API_TOKEN=x", "if", "cd", "$(id)", "a b", "--", "-x")


def in_a_shell(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", plain(words, 5).line], capture_output=True, text=True, timeout=10, check=False)


@pytest.mark.parametrize("word", WORDS)
def test_a_real_shell_takes_the_first_word_for_a_program(word: str) -> None:
    assert in_a_shell(word, "/").returncode in (2, 126, 127)


def test_a_real_shell_hands_all_words_on_as_they_are() -> None:
    assert in_a_shell("printf", "%s|", *WORDS).stdout == "".join(f"{word}|" for word in WORDS)


def test_output_that_was_cut_says_so(fleet: CommandLine) -> None:
    fleet.world.host("alice").programs["uptime"] = lambda command: Completed(0, b"x" * (1 << 20), b"")
    assert "(only the first 1048576 bytes are shown)" in fleet("exec", "alice", "--", "uptime").out


@pytest.mark.parametrize("words", [(), ("alice",), ("alice", "--"), ("--", "uptime"), ("alcie", "--", "uptime")])
def test_what_is_left_out_is_a_usage_error(fleet: CommandLine, words: tuple[str, ...]) -> None:
    said = fleet("exec", *words)
    assert (said.code, said.out) == (64, "")


def test_who_has_no_server_is_named_and_no_failure(fleet: CommandLine) -> None:
    fleet("hibernate", "bob", "--yes")
    said = fleet("exec", "--all", "--", "uptime")
    assert (said.code, "Not asked, for want of a server: bob" in said.err, "bob" in said.out) == (0, True, False)
    assert fleet("exec", "bob", "--", "uptime").code == 1


def test_what_has_ended_is_noted_before_all_have(fleet: CommandLine) -> None:
    """Somebody loses patience with the one that hangs."""

    def interrupted(command: Command) -> Completed:
        raise KeyboardInterrupt

    fleet.world.host("bob").programs["uptime"] = interrupted
    assert fleet("exec", "--all", "--", "uptime").code == 130
    ended = {
        str(it.fields["child"]): it.fields["exit_code"] for it in fleet.world.events() if it.event == "command-run"
    }
    assert ended == {"alice": 0, "bob": None}


def test_a_command_over_ssh_is_noted_with_how_it_ended(fleet: CommandLine) -> None:
    fleet("ssh", "alice", "uptime")
    assert [(it.event, it.fields.get("exit_code")) for it in fleet.world.events()][-2:] == [
        ("command-intended", None), ("command-run", 0),
    ]  # fmt: skip
