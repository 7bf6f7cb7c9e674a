"""Backups by the clock: what the files of examples/ call, what it does to a fleet, what it says, and its exit codes."""

from __future__ import annotations

import configparser
import re
import shlex
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.api import FleetClient
from reconciler.errors import HostTimedOut, VaultError
from reconciler.model import BackupSettings
from reconciler.vaults.directory import DirectoryVault
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
DAILY: Final = BackupSettings(every=timedelta(days=1), keep=2)


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state, ("alice", "bob")).applied()
    for name in ("alice", "bob"):
        world.change(name, backup=DAILY)
    return CommandLine(world, capsys)


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string((EXAMPLES / name).read_text())
    return parsed


def workflow() -> Any:
    return yaml.load((EXAMPLES / "fleet-backup.workflow.yaml").read_text(), yaml.BaseLoader)  # noqa: S506 `on` is a word


def by_systemd() -> list[str]:
    program, *arguments = shlex.split(unit("fleet-backup.service")["Service"]["ExecStart"])
    assert Path(program).is_absolute()
    return [Path(program).name, *arguments]


def by_cron() -> list[str]:
    line = (EXAMPLES / "fleet-backup.cron").read_text().splitlines()[-1]
    *_, _user, command = line.split(maxsplit=6)
    return shlex.split(command.removeprefix("cd /srv/fleet && "))


def by_workflow() -> list[str]:
    return shlex.split(workflow()["jobs"]["due"]["steps"][-1]["run"])


@pytest.mark.parametrize("words", [by_systemd(), by_cron(), by_workflow()], ids=["systemd", "cron", "workflow"])
def test_a_schedule_makes_what_is_due_and_says_nothing_where_nothing_is(fleet: CommandLine, words: list[str]) -> None:
    program, *arguments = words
    assert program == "fleet"
    made = fleet(*arguments)
    assert (made.code, made.err) == (0, "")
    assert [line.partition(":")[0] for line in made.out.splitlines()] == ["alice", "bob"]
    for _ in range(3):
        fleet.world.clock.sleep(3600)
        assert told(fleet(*arguments)) == (0, "", "")
    fleet.world.clock.sleep(86400)
    assert fleet(*arguments).out.count("\n") == 2
    assert [len(fleet.world.client().keeper().kept(name).backups) for name in ("alice", "bob")] == [2, 2]


def told(said: Said) -> tuple[int, str, str]:
    return said.code, said.out, said.err


def test_where_nothing_is_due_no_host_is_asked(fleet: CommandLine) -> None:
    fleet("backup", "due")
    ran = {name: len(fleet.world.host(name).ran) for name in ("alice", "bob")}
    fleet("backup", "due")
    assert {name: len(fleet.world.host(name).ran) for name in ("alice", "bob")} == ran


def test_who_sleeps_or_is_off_or_has_no_server_yet_is_no_failure_of_every_pass(fleet: CommandLine) -> None:
    fleet("backup", "due")
    assert fleet("hibernate", "alice", "--yes").code == 0
    fleet.world.change("bob", enabled=False)
    assert fleet("apply", "--yes").code == 0
    fleet.world.clock.sleep(10 * 86400)
    assert told(fleet("backup", "due")) == (0, "", "")
    assert fleet("wake", "alice", "--yes").code == 0
    assert fleet("backup", "due").out.startswith("alice: ")


def test_a_pass_says_by_its_exit_code_whether_some_or_all_failed(fleet: CommandLine) -> None:
    fleet.world.host("alice").fails = [("make an archive", HostTimedOut("gone", "again"))]
    some = fleet("backup", "due")
    assert (some.code, "alice: no backup: gone" in some.out) == (3, True)
    fleet.world.host("alice").fails = [("make an archive", HostTimedOut("gone", "again"))]
    assert fleet("backup", "due").code == 1
    assert fleet("backup", "due").out.startswith("alice: ")  # the next one goes on from there


def test_a_place_that_cannot_be_read_keeps_nobody_else_from_a_backup(fleet: CommandLine) -> None:
    class Silent(DirectoryVault):
        def names(self, prefix: str) -> list[str]:
            raise VaultError("the bucket does not answer", "try again")

    fleet.world.change("alice", backup=replace(DAILY, to="elsewhere"))
    usual = fleet.world.ports()
    ports = replace(usual, vault=lambda to: Silent(Path("/nowhere")) if to == "elsewhere" else usual.vault(to))
    of_alice, of_bob = FleetClient(fleet.world.fleet(), ports).keeper().create_due(["bob", "alice"])
    assert (of_alice.backup, of_alice.problem) == (None, "the bucket does not answer")
    assert of_bob.backup is not None


def test_a_pass_that_comes_in_the_midst_of_an_apply_leaves_it_to_the_next(fleet: CommandLine) -> None:
    with fleet.world.store.lock("fleet apply"):
        assert fleet("backup", "due").code == 5
    assert unit("fleet-backup.service")["Service"]["SuccessExitStatus"] == "5"
    assert fleet("backup", "due").code == 0


def test_what_calls_it_is_whole() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.timer")} == {path.stem for path in EXAMPLES.glob("*.service")}
    timer = unit("fleet-backup.timer")
    assert (timer["Timer"]["OnCalendar"], timer["Install"]["WantedBy"]) == ("hourly", "timers.target")
    [schedule] = workflow()["on"]["schedule"]
    line = (EXAMPLES / "fleet-backup.cron").read_text().splitlines()[-1]
    for minute_to_weekday in (schedule["cron"], " ".join(line.split()[:5])):
        assert re.fullmatch(r"[0-5]?\d \* \* \* \*", minute_to_weekday)
    given = set(workflow()["jobs"]["due"]["env"]) - {"FLEET_KEY"}
    assert all(name.startswith("FLEET_SECRET_") for name in given), "under CI no reference may name another"
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"({path.name})" in listed for path in EXAMPLES.iterdir() if path.name != "README.md")
