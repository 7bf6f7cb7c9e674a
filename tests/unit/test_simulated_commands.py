"""What a simulated host does with the lines that arrive at its sshd."""

from __future__ import annotations

import inspect
import re

import pytest

from reconciler import commands, keys
from reconciler.managed import files
from reconciler.model import Command
from reconciler.sandbox.simulated import table
from reconciler.sandbox.simulated.calls import read_call, read_remote
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.table import execute, execute_half
from reconciler.ssh import _remote_line

NO_COMMANDS = {"is_exact", "PLACED"}
SAME_SCRIPT = {
    "disable_unit",
    "enable_unit",
    "reload_unit",
    "stop_unit",
    "read_lockfile",
}  # as that of restart_unit, of read_file
KEY = keys.make_key(bytes(range(32)))


@pytest.fixture
def host() -> SimulatedHost:
    first = keys.host_key(KEY, "uid", 0)
    login = keys.public_key(keys.login_key(KEY, "uid", 1))
    return SimulatedHost("host", files.user_data(login, first, keys.public_key(first)).reveal(), lambda: 1000.0)


def test_every_command_of_the_product_is_in_the_table() -> None:
    lacking = set(commands.__all__) - {*NO_COMMANDS, *re.findall(r"commands\.(\w+)\(", inspect.getsource(table))}
    assert lacking == SAME_SCRIPT


@pytest.mark.parametrize(("user", "arguments"), [("fleet", ["a'b", "", "c d\n$(e)"]), ("root", [])])
def test_a_line_is_read_back_as_it_was_written(user: str, arguments: list[str]) -> None:
    command = commands.clear_strays("/etc/x", "*", arguments)
    line, timeout = read_remote(_remote_line(command, user)) or ("", 0.0)
    call = read_call(line, b"in")
    assert (line, timeout) == (command.line, command.timeout)
    assert call is not None
    assert (call.arguments, call.user, call.stdin) == (("/etc/x", "*", *arguments), "root", b"in")


def test_a_line_knows_as_whom_it_acts() -> None:
    call = read_call(commands.read_file("/var/lib/openclaw/x").line, b"")
    assert call is not None
    assert (call.user, call.arguments) == ("openclaw", ("/var/lib/openclaw/x",))


@pytest.mark.parametrize("line", ["uname -a", commands.reload_sshd().line + " # more", "set -eu; set --"])
def test_an_unknown_command_ends_with_127_and_is_kept(host: SimulatedHost, line: str) -> None:
    completed = execute(host, line, b"")
    assert completed.exit_code == 127
    assert b"does not know the command" in completed.stderr
    assert len(host.objections) == 1


def run(host: SimulatedHost, command: Command) -> int:
    return execute(host, command.line, command.stdin).exit_code


def test_power_lost_in_dpkg_must_be_repaired(host: SimulatedHost) -> None:
    install = commands.install_packages(("ufw",))
    execute_half(host, install.line, b"")
    assert run(host, install) == 100
    assert run(host, commands.repair_packages()) == 0
    assert run(host, install) == 0


def test_power_lost_in_a_write_leaves_the_old_file(host: SimulatedHost) -> None:
    assert run(host, commands.install_file("/etc/x", b"old", "root:root", "0644")) == 0
    execute_half(host, *_parts(commands.install_file("/etc/x", b"new", "root:root", "0644")))
    assert (host.content("/etc/x"), host.content("/etc/.x.part")) == (b"old", b"n")


def test_a_write_under_a_running_gateway_is_objected_to(host: SimulatedHost) -> None:
    unit = "[Service]\nEnvironment=HOME=/srv\nExecStart=/node /x/openclaw.mjs gateway run\n"
    for command in (
        commands.make_directory("/srv", "root:root", "0755"),
        commands.install_file("/node", b"", "root:root", "0755"),
        commands.install_file("/srv/.openclaw/openclaw.json", b"{}", "root:root", "0600"),
        commands.install_file("/etc/systemd/system/g.service", unit.encode(), "root:root", "0644"),
        commands.make_symlink("/opt/openclaw/releases/2026.1.1", "/x"),
    ):
        assert run(host, command) == 0
    host.releases.add("/opt/openclaw/releases/2026.1.1")
    assert run(host, commands.restart_unit("g.service")) == 0
    assert host.gateway.active == "active"
    assert run(host, commands.install_file("/srv/.openclaw/openclaw.json", b"{}", "root:root", "0600")) == 0
    assert len(host.objections) == 1


def test_a_boot_id_is_new_at_each_boot(host: SimulatedHost) -> None:
    before = host.boot_id
    host.boot()
    assert host.boot_id != before


def _parts(command: Command) -> tuple[str, bytes]:
    return command.line, command.stdin
