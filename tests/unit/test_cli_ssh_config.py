"""`fleet ssh-config`: files for the plain ssh client. That ssh takes them is in tests/contract/test_ssh_config.py."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler import keys
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY

OF_ALICE = ("demo-alice.conf", "demo-alice.key", "demo-alice.known_hosts")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state).applied(), capsys)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "ssh"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_each_child_with_a_server_gets_its_key_its_pin_and_its_block(fleet: CommandLine, out: Path) -> None:
    said = fleet("ssh-config", "--out", str(out))
    assert said.code == 0
    assert said.out.splitlines()[:2] == ["demo-alice", "demo-bob"]
    assert said.out.splitlines()[-1] == f"  Include {out}/*.conf"
    server = fleet.world.server("alice")
    assert (out / "demo-alice.known_hosts").read_text() == f"demo-alice {fleet.world.host('alice').shown_key}\n"
    login = keys.login_key(FLEET_KEY, str(server.uid), 1)
    assert keys.public_key(login) in (fleet.world.host("alice").content("/home/fleet/.ssh/authorized_keys").decode())
    assert (out / "demo-alice.key").read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    block = (out / "demo-alice.conf").read_text()
    for line in (f"HostName {server.address}", "User fleet", "StrictHostKeyChecking yes", "IdentitiesOnly yes"):
        assert f"  {line}\n" in block


def test_nobody_else_can_read_them(fleet: CommandLine, out: Path) -> None:
    out.mkdir()
    (out / "demo-bob.key").write_text("old")
    (out / "demo-bob.key").chmod(0o644)
    fleet("ssh-config", "--out", str(out))
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}


def test_every_directory_that_it_makes_is_its_owners_only(fleet: CommandLine, tmp_path: Path) -> None:
    fleet("ssh-config", "--out", str(tmp_path / "home" / ".ssh" / "demo"))
    made = [tmp_path / "home", tmp_path / "home" / ".ssh", tmp_path / "home" / ".ssh" / "demo"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_only_the_selected_children_are_written_and_the_others_stay(fleet: CommandLine, out: Path) -> None:
    fleet("ssh-config", "--out", str(out), "alice")
    assert names(out) == [*OF_ALICE]
    fleet("ssh-config", "--out", str(out), "bob")
    assert set(OF_ALICE) < set(names(out))


def test_the_files_of_a_child_that_is_gone_are_removed_and_those_of_others_never(fleet: CommandLine, out: Path) -> None:
    fleet("ssh-config", "--out", str(out))
    (out / "mine.conf").write_text("Host mine\n")
    (out / "mine.key").write_text("mine")
    fleet("destroy", "bob", "--yes")
    said = fleet("ssh-config", "--out", str(out))
    assert "demo-bob: removed, it has no server" in said.out
    assert names(out) == [*OF_ALICE, "mine.conf", "mine.key"]


def test_while_keys_change_both_are_there_and_afterwards_one(fleet: CommandLine, out: Path) -> None:
    fleet.changes["ssh_generation"] = 2
    fleet("ssh-config", "--out", str(out), "alice")
    assert "demo-alice.key-before" in names(out)
    assert (out / "demo-alice.conf").read_text().count("IdentityFile") == 2
    assert len((out / "demo-alice.known_hosts").read_text().splitlines()) == 2
    fleet.changes["ssh_generation"] = 1
    fleet("ssh-config", "--out", str(out), "alice")
    assert names(out) == [*OF_ALICE]


def test_a_directory_that_cannot_be_made_is_an_error(fleet: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert fleet("ssh-config", "--out", str(tmp_path / "file" / "ssh")).code == 1


def test_the_home_of_nobody_is_no_directory(fleet: CommandLine) -> None:
    said = fleet("ssh-config", "--out", "~nobody-of-this-name/ssh")
    assert (said.code, said.err) == (
        64,
        "Error: ~nobody-of-this-name is nobody's home directory here\n  name another: --out DIR\n",
    )


def test_what_only_looks_like_a_file_of_ours_is_not_read(fleet: CommandLine, out: Path) -> None:
    out.mkdir()
    os.mkfifo(out / "pipe.conf")
    (out / "endless.conf").symlink_to("/dev/zero")
    (out / "unreadable.conf").symlink_to("/proc/self/mem")
    assert fleet("ssh-config", "--out", str(out)).code == 0
    assert {"pipe.conf", "endless.conf", "unreadable.conf"} < set(names(out))


@pytest.mark.parametrize("name", ['a"b', "a*", "a?", "a[b]", "a\\b", "${HOME}", "a\nb", "a\x1b[2Jb"])
def test_a_directory_that_ssh_could_not_read_is_refused_before_anything_is_written(
    fleet: CommandLine, tmp_path: Path, name: str
) -> None:
    said = fleet("ssh-config", "--out", str(tmp_path / name))
    assert said.code == 64
    assert "its configuration cannot name" in said.err
    assert "\x1b" not in said.err
    assert not (tmp_path / name).exists()
