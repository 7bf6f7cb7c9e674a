"""The shell program that gives a gateway its memory, run by a real sh, and killed at every moment.

Whatever is killed when: given once more it ends well, with that memory in the home; and what lay there is kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler import commands
from reconciler.commands.backups import PLACED
from reconciler.commands.switching import CHECKPOINTS
from reconciler.managed import files
from tests.fakes.shell_host import WATCHED, ShellHost, was_killed
from tests.fakes.states import Tree
from tests.unit.switching import FIRST, OLD, UP, some, well

PLACE = commands.place_state(FIRST)


@pytest.fixture
def host(tmp_path: Path) -> ShellHost:
    """Its gateway has a checkpoint, is stopped, and was told something else since."""
    host = ShellHost(tmp_path / "host", OLD)
    begin, take, make, *_ = UP.commands()
    for command in (begin, take, make, commands.stay(FIRST, UP.target)):
        well(host.does(command))
    (host.at(files.HOME) / "memory/since").write_text("my dog is called Bello")
    return host


def given(host: ShellHost) -> Tree:
    """What the checkpoint holds."""
    [found] = [state for state in host.kept() if "memory/since" not in state]
    return found


def test_it_is_given_whatever_kills_it_and_nothing_that_lay_there_is_lost(host: ShellHost, tmp_path: Path) -> None:
    wanted, before = given(host), host.home()
    host.save(tmp_path / "saved")
    well(host.does(PLACE, WATCHED))
    wrong = []
    for moment in some(host.moments()):
        host.restore(tmp_path / "saved")
        assert was_killed(host.does(PLACE, moment))
        if host.home() not in (before, wanted, {}):
            wrong.append(f"killed {moment}: half of a state lies there")
        if before not in (host.home(), *host.kept()):
            wrong.append(f"killed {moment}: what lay there is lost")
        for _ in range(2):
            well(host.does(PLACE))
        if host.home() != wanted or before not in host.kept():
            wrong.append(f"killed {moment}, and again: {sorted(host.home())}")
        strays = {path.name for path in host.at(files.NOTES).iterdir()} - set(files.NOTED)
        if strays:
            wrong.append(f"killed {moment}, and again: left behind: {strays}")
    assert not wrong, "\n".join(wrong)


def test_directories_alone_are_nothing_and_a_link_is_something(host: ShellHost) -> None:
    home = host.at(files.HOME)
    for number, is_linked in enumerate((False, True)):
        host.at(PLACED).unlink(missing_ok=True)
        host.run(["rm", "-rf", "--", str(home)])
        (home / ".openclaw").mkdir(parents=True)
        if is_linked:
            (home / "workspace").symlink_to("/etc")
        well(host.does(PLACE))
        assert len([state for state in host.kept() if "workspace" in state]) == number
    assert Path("/etc").is_dir()


def test_a_link_in_the_home_is_not_followed(host: ShellHost, tmp_path: Path) -> None:
    """Neither by what sets it aside, nor by what is unpacked there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("theirs")
    home = host.at(files.HOME)
    host.run(["rm", "-rf", "--", str(home / "memory")])
    (home / "memory").symlink_to(elsewhere)
    if os.geteuid() == 0:
        os.chown(home / "large", 0, 0)  # as somebody leaves it who works there as root
    wanted = given(host)
    well(host.does(PLACE))
    assert host.home() == wanted
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


def test_it_is_refused_while_the_gateway_runs_or_the_checkpoint_is_damaged(host: ShellHost) -> None:
    before = host.home()
    (host.top / "active" / files.UNIT).touch()
    assert b"the gateway runs" in host.does(PLACE).stderr
    (host.top / "active" / files.UNIT).unlink()
    archive = host.at(f"{CHECKPOINTS}/{FIRST}/state.tar")
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    assert b"is damaged" in host.does(PLACE).stderr
    assert host.home() == before
    assert not host.at(PLACED).exists()


def test_what_was_sent_and_unpacked_before_may_be_sent_again(host: ShellHost) -> None:
    """An answer that was lost must not keep a child from waking; another checkpoint of that id is another."""
    manifest = host.at(f"{CHECKPOINTS}/{FIRST}/manifest.json")
    at = str(json.loads(manifest.read_text())["at"])
    well(host.does(commands.unpack_archive(FIRST, OLD, at, "0" * 64)))
    again = host.does(commands.unpack_archive(FIRST, OLD, "2020-01-01T00:00:00+00:00", "0" * 64))
    assert b"another checkpoint has the id" in again.stderr
