"""The one selector: which children a command means, and what it says when nothing is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.main import COMMANDS, OTHER_WORDS, SECTIONS
from reconciler.errors import UsageProblem
from reconciler.model import LABEL_PREFIX, Server
from reconciler.selection import Selection, resolve
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_server, make_spec

DECLARED = {
    "web-1": make_spec("web-1", group="canary", labels={"tier": "gold"}),
    "web-2": make_spec("web-2", group="main", labels={"tier": "gold", "noisy": ""}),
    "db": make_spec("db", group="main", labels={"tier": "tin"}),
    "alone": make_spec("alone"),
}
SERVERS: dict[str, Server | None] = {
    "web-1": make_server("web-1", labels={"console": "yes"}),
    "old": make_server("old", labels={"tier": "tin"}),
    "db": None,
}
CASES: dict[str, tuple[Selection, str]] = {
    "nothing is all": (Selection(), "alone db old web-1 web-2"),
    "all": (Selection(everything=True), "alone db old web-1 web-2"),
    "a name": (Selection(("db",)), "db"),
    "names add up": (Selection(("db", "web-1")), "db web-1"),
    "a glob": (Selection(("web-*",)), "web-1 web-2"),
    "a glob and a name in it": (Selection(("web-*", "web-1", "web-?")), "web-1 web-2"),
    "an undeclared child by its name": (Selection(("old",)), "old"),
    "a group": (Selection(groups=("main",)), "db web-2"),
    "groups add up": (Selection(groups=("main", "canary")), "db web-1 web-2"),
    "a group narrows names down": (Selection(("web-*",), ("main",)), "web-2"),
    "a label's value": (Selection(labels=("tier=gold",)), "web-1 web-2"),
    "a label whatever its value": (Selection(labels=("tier",)), "db old web-1 web-2"),
    "a label without a value": (Selection(labels=("noisy=",)), "web-2"),
    "labels narrow each other down": (Selection(labels=("tier=gold", "noisy")), "web-2"),
    "everything narrows": (Selection(("web-*",), ("canary",), ("tier=gold",)), "web-1"),
}


@pytest.mark.parametrize("case", CASES)
def test_which_children_are_meant(case: str) -> None:
    selection, expected = CASES[case]
    assert " ".join(resolve(selection, DECLARED, SERVERS)) == expected


@pytest.mark.parametrize(
    ("selection", "summary", "advice"),
    [
        (Selection(("wed-1",)), "no child matches wed-1", "did you mean web-1"),
        (Selection(("db", "zz*")), "no child matches zz*", "there are: alone, db, old, web-1, web-2"),
        (Selection(groups=("mian",)), "no group matches mian", "did you mean main?"),
        (Selection(labels=("tier=silver",)), "no label matches tier=silver", "did you mean"),
        (Selection(labels=("console",)), "no label matches console", "there are: "),
        (Selection(("db",), ("canary",)), "no child is all of this: db --group canary", "leave one out"),
    ],
)
def test_what_matches_nothing_is_an_error_with_what_comes_near(selection: Selection, summary: str, advice: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        resolve(selection, DECLARED, SERVERS)
    assert caught.value.summary == summary
    assert advice in caught.value.advice
    assert caught.value.exit_code == 64


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, names=("alice", "bob", "carol")), capsys)


def test_apply_touches_the_selected_children_only(fleet: CommandLine) -> None:
    fleet.world.change("bob", group="canary")
    assert fleet("apply", "--yes", "--group", "canary").code == 0
    assert [server.name for server in fleet.world.cloud.by_id.values()] == ["demo-bob"]
    assert fleet("apply", "--yes", "al*").code == 0
    assert sorted(server.name for server in fleet.world.cloud.by_id.values()) == ["demo-alice", "demo-bob"]


def test_only_the_hosts_of_selected_children_are_asked(fleet: CommandLine) -> None:
    fleet.world.applied()
    met = fleet.world.dialer.met
    for arguments in (("plan", "bob"), ("status", "b*"), ("status", "--label", f"{LABEL_PREFIX}child=bob")):
        del met[:]
        said = fleet(*arguments)
        addresses = {address.address for address in met}
        assert addresses <= {fleet.world.server("bob").address}, (arguments, said)
    del met[:]
    assert "bob" in fleet("list", "bob").out
    assert met == []


def test_list_and_status_show_the_selected_children(fleet: CommandLine) -> None:
    fleet.world.applied()
    for command in ("list", "status"):
        out = fleet(command, "alice", "car*").out
        assert [line.split()[0] for line in out.splitlines()] == ["CHILD", "alice", "carol"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "nobody"),
        ("apply", "--yes", "nobody"),
        ("status", "--group", "nobody"),
        ("list", "--label", "nobody"),
        ("destroy", "--yes", "nobody"),
        ("destroy", "--yes"),
        ("plan", "--all", "alice"),
        ("ssh", "nobody"),
        ("plan", "--allow-replace", "nobody"),
        ("apply", "--repair", "nobody"),
    ],
)
def test_nobody_is_a_usage_error_and_changes_nothing(fleet: CommandLine, arguments: tuple[str, ...]) -> None:
    fleet.world.applied()
    before = dict(fleet.world.cloud.by_id)
    said = fleet(*arguments)
    assert (said.code, said.out) == (64, "")
    assert said.err.startswith("Error: ")
    assert fleet.world.cloud.by_id == before


def test_a_typo_in_the_commands_name_is_told(fleet: CommandLine) -> None:
    said = fleet("aply")
    assert said.code == 64
    assert "There is no command 'aply'. Did you mean apply?" in said.err


def test_what_others_call_it_leads_to_ours_and_help_shows_each_command_once(fleet: CommandLine) -> None:
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)
    assert {*OTHER_WORDS}.isdisjoint(COMMANDS)
    assert {name for names in OTHER_WORDS.values() for name in names} <= {*COMMANDS}
    assert "There is no command 'doctor'. Did you mean diagnose or status?" in fleet("doctor").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("config", "set"), "There is no command 'set' here. There are: diff, edit, pull, push, restore, show."),
        (("config", "dif"), "There is no command 'dif' here. Did you mean diff?"),
        (("backup", "craete"), "There is no command 'craete' here. Did you mean create?"),
        (("sandbox", "fault", "sett"), "There is no command 'sett' here. Did you mean set?"),
    ],
)
def test_a_group_says_what_it_has(fleet: CommandLine, words: tuple[str, ...], said: str) -> None:
    found = fleet(*words)
    assert (found.code, said in found.err) == (64, True), found
