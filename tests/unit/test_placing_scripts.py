"""The shell program that gives a gateway its memory, run by a real sh, and killed at every moment.

Whatever is killed when: given once more it ends well, with that memory in the home; and what lay there is kept.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from reconciler import commands
from reconciler.commands.backups import ARCHIVE, PLACED
from reconciler.commands.switching import CHECKPOINTS
from reconciler.managed import files
from tests.fakes.damage import flip_last_byte
from tests.fakes.shell_host import WATCHED, ShellHost, was_killed
from tests.fakes.states import Tree, tree
from tests.unit.switching import FIRST, OLD, SECOND, UP, some, well

ARCHIVED = "ab" * 32
PLACE = commands.place_state(FIRST, ARCHIVED)
AT = "2026-11-26T18:45:00+00:00"
OWNER = 990
CLOSED = 0 if os.geteuid() == 0 else 0o400  # who is not root cannot play it, either


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
    flip_last_byte(archive)
    assert b"is damaged" in host.does(PLACE).stderr
    assert host.home() == before
    assert not host.at(PLACED).exists()


def test_what_was_sent_and_unpacked_before_may_be_sent_again(host: ShellHost) -> None:
    """An answer that was lost must not keep a child from waking."""
    archive = packed(host)
    well(sent(host, SECOND, archive))
    before = host.at(f"{CHECKPOINTS}/{SECOND}").stat().st_ino
    well(sent(host, SECOND, archive))
    assert host.at(f"{CHECKPOINTS}/{SECOND}").stat().st_ino == before
    assert not host.at(ARCHIVE).exists()


def test_another_checkpoint_of_that_id_is_another_also_if_it_was_made_in_the_same_second(host: ShellHost) -> None:
    """Ids are times: the child whose memory this is may have one of the same as the child that lives here."""
    well(sent(host, SECOND, packed(host)))
    (host.at(files.HOME) / "memory/since").write_text("of somebody else")
    for checkpoint in (FIRST, SECOND):  # one that was taken here, and one that was sent
        before = tree(host.at(CHECKPOINTS))
        again = sent(host, checkpoint, packed(host))
        assert b"another checkpoint has the id" in again.stderr
        assert tree(host.at(CHECKPOINTS)) == before


def test_a_gateway_that_was_given_one_memory_is_given_another_of_the_same_id(host: ShellHost) -> None:
    well(host.does(PLACE))
    (host.at(files.HOME) / "memory/since").write_text("what was said since")
    well(host.does(commands.place_state(FIRST, "cd" * 32)))
    assert host.home() == given(host)


def test_what_its_owner_may_not_read_himself_comes_along_with_its_modes(host: ShellHost) -> None:
    home = host.at(files.HOME)
    closed = home / "memory/closed"
    (closed / "inner").mkdir(parents=True)
    (closed / "inner/file").write_text("also his")
    (home / "memory/since").chmod(CLOSED)
    (closed / "inner").chmod(CLOSED and CLOSED | 0o100)
    closed.chmod(CLOSED and CLOSED | 0o100)
    before = {name: kept[2:] for name, kept in host.home().items() if name.startswith("memory")}
    archive = packed(host)
    well(sent(host, SECOND, archive))
    well(host.does(commands.place_state(SECOND, hashlib.sha256(archive).hexdigest())))
    assert {name: kept[2:] for name, kept in host.home().items() if name.startswith("memory")} == before
    if os.geteuid() == 0:
        assert {kept[1] for kept in host.home().values()} == {(OWNER, OWNER)}


def packed(host: ShellHost) -> bytes:
    """What lies in the home, as an archive of another host."""
    done = host.run(["tar", "-Sczpf", "-", "-C", str(host.at(files.HOME)), "."])
    well(done)
    return done.stdout


def sent(host: ShellHost, checkpoint: str, archive: bytes) -> subprocess.CompletedProcess[bytes]:
    """Its owner is another than root where there is another."""
    if os.geteuid() == 0:
        host.fake("runuser", f'shift 3; exec setpriv --reuid={OWNER} --regid={OWNER} --clear-groups "$@"')
        host.fake("chown", f'case $1 in root:) ;; *) shift; set -- {OWNER}:{OWNER} "$@" ;; esac; exec /bin/chown "$@"')
    else:
        host.fake("runuser", 'shift 3; exec "$@"')
        host.fake("chown", ":")
    well(host.does(commands.receive_archive(0, archive)))
    return host.does(commands.unpack_archive(checkpoint, OLD, AT, hashlib.sha256(archive).hexdigest()))
