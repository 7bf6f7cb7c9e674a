"""Simulated machines over real SSH on loopback: power, keys, snapshots, and the trouble that a test can make."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from reconciler import commands, keys
from reconciler.errors import CommandFailed, HostRefused, HostTimedOut, LoginRefused, SandboxError, WrongHostKey
from reconciler.managed import files
from reconciler.model import Command, HostAddress, Secret
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Answer, Fate, Interruption, Moment, Trouble
from reconciler.ssh import FabricDialer, FabricHost

PORT = 2284
KEY = keys.make_key(bytes(range(32)))
WRITE = commands.install_file("/srv/x", b"x", "root:root", "0644")
READ = commands.read_file("/srv/x")


def listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port))


@pytest.fixture
def machines() -> Iterator[SimulatedMachines]:
    with SimulatedMachines(listen, port=PORT, boot_seconds=0) as machines:
        for number in (1, 2):
            machines.create(spec_of(number))
        yield machines


def host_key(number: int) -> Secret:
    return keys.host_key(KEY, f"uid{number}", 0)


def spec_of(number: int) -> MachineSpec:
    login = keys.public_key(keys.login_key(KEY, "uid", 1))
    user_data = files.user_data(login, host_key(number), keys.public_key(host_key(number))).reveal()
    return MachineSpec(number, f"m{number}", f"127.84.0.{number}", "debian-12", user_data, 1024)


def address(number: int, login: int = 1, user: str = files.LOGIN_USER) -> HostAddress:
    pins = (keys.public_key(host_key(number)),)
    return HostAddress(f"127.84.0.{number}", PORT, user, (keys.login_key(KEY, "uid", login),), pins)


def connected(number: int = 1) -> FabricHost:
    for _ in range(100):
        try:
            return FabricDialer().connect(address(number), 5)
        except HostRefused:
            time.sleep(0.02)
    raise AssertionError("it does not come up")


def is_written(machines: SimulatedMachines, number: int = 1) -> bool:
    return machines.ask(number, lambda host: host.content("/srv/x") == b"x")


def test_machines_are_told_apart_by_address_and_key(machines: SimulatedMachines) -> None:
    for number in (1, 2):
        connected(number).close()
    host = connected(1)
    host.run(WRITE)
    host.close()
    assert (is_written(machines, 1), is_written(machines, 2)) == (True, False)
    with pytest.raises(WrongHostKey):
        FabricDialer().connect(HostAddress("127.84.0.1", PORT, "fleet", address(2).login_keys, address(2).host_keys), 5)


@pytest.mark.parametrize("stranger", [address(1, login=2), address(1, user="root")], ids=["key", "user"])
def test_only_the_authorized_key_of_the_login_account_gets_in(
    machines: SimulatedMachines, stranger: HostAddress
) -> None:
    connected().close()
    with pytest.raises(LoginRefused):
        FabricDialer().connect(stranger, 5)


def test_keys_are_tried_one_after_the_other_on_one_connection(machines: SimulatedMachines) -> None:
    """As sshd has it, to which each of paramiko's tries begins with a request for the service of logins."""
    connected().close()
    offered = tuple(keys.login_key(KEY, "uid", generation) for generation in (4, 3, 2, 1))
    host = FabricDialer().connect(replace(address(1), login_keys=offered), 5)
    host.run(WRITE)
    host.close()
    assert is_written(machines)
    with pytest.raises(LoginRefused):
        FabricDialer().connect(replace(address(1), login_keys=offered[:-1]), 5)


def test_what_nobody_knows_ends_with_127_and_is_kept(machines: SimulatedMachines) -> None:
    host = connected()
    with pytest.raises(CommandFailed, match=r"127.*does not know the command: uname"):
        host.run(Command("look around", "uname -a"))
    host.close()
    assert list(machines.objections()) == [1]


def test_a_machine_without_power_does_not_answer_and_forgets_nothing(machines: SimulatedMachines) -> None:
    host = connected()
    host.run(WRITE)
    before = machines.ask(1, lambda host: host.boot_id)
    machines.power_off(1)
    assert not machines.is_running(1)
    with pytest.raises(HostTimedOut):
        FabricDialer().connect(address(1), 0.5)
    host.close()
    machines.power_on(1)
    connected().close()
    assert is_written(machines)
    assert machines.ask(1, lambda host: host.boot_id) != before


def test_a_booting_machine_refuses(machines: SimulatedMachines) -> None:
    with SimulatedMachines(listen, port=PORT, boot_seconds=60) as slow:
        slow.create(spec_of(3))
        with pytest.raises(HostRefused):
            FabricDialer().connect(address(3), 5)


def test_a_server_that_takes_no_rsa_keys_is_told_from_one_that_does_not_speak(machines: SimulatedMachines) -> None:
    """It says so before a key is tried: paramiko finds nothing in common and hangs up."""
    connected().close()
    of_a_person = rsa.generate_private_key(65537, 2048)
    text = of_a_person.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    with pytest.raises(LoginRefused, match=f"127.84.0.1:{PORT} takes no RSA key") as refused:
        FabricDialer().connect(replace(address(1), login_keys=(Secret(text),)), 5)
    assert "Ed25519" in refused.value.advice


def test_a_snapshot_makes_other_machines_and_a_rebuild_forgets(machines: SimulatedMachines) -> None:
    host = connected()
    host.run(WRITE)
    host.close()
    machines.snapshot(1, "mine")
    machines.rebuild(2, "mine", None)
    machines.rebuild(1, "debian-12", None)
    connected(2).close()
    connected(1).close()
    assert (is_written(machines, 1), is_written(machines, 2)) == (False, True)


def test_what_is_not_there_is_said(machines: SimulatedMachines) -> None:
    machines.destroy(1)
    machines.destroy(1)
    with pytest.raises(SandboxError, match="no machine 1"):
        machines.power_on(1)
    with pytest.raises(SandboxError, match="exists already"):
        machines.create(spec_of(2))


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer.REFUSES, HostRefused), (Answer.HANGS, HostTimedOut), (Answer.VANISHES, HostTimedOut)],
)
def test_a_port_in_trouble_is_seen_as_that_and_heals(
    machines: SimulatedMachines, answer: Answer, error: type[Exception]
) -> None:
    connected().close()
    machines.make_trouble(1, Trouble(answer))
    with pytest.raises(error):
        FabricDialer().connect(address(1), 0.5)
    machines.make_trouble(1, Trouble())
    connected().close()


def test_packets_of_an_open_connection_vanish(machines: SimulatedMachines) -> None:
    host = connected()
    machines.make_trouble(1, Trouble(Answer.VANISHES))
    with pytest.raises(HostTimedOut):
        host.run(quick(WRITE))
    host.close()
    assert not is_written(machines)


def test_a_command_is_done_although_the_network_was_cut_in_it(machines: SimulatedMachines) -> None:
    host = connected()
    machines.make_trouble(1, Trouble(interruption=Interruption(0, Moment.AFTER, Fate.VANISHES)))
    with pytest.raises(HostTimedOut):
        host.run(quick(WRITE))
    host.close()
    assert is_written(machines)
    with pytest.raises(HostTimedOut):
        FabricDialer().connect(address(1), 0.5)


def test_a_slow_command_is_ended_by_its_own_time(machines: SimulatedMachines) -> None:
    machines.make_trouble(1, Trouble(slow=30))
    host = connected()
    with pytest.raises(HostTimedOut, match="did not end within"):
        host.run(quick(WRITE))
    host.close()
    assert not is_written(machines)


@pytest.mark.parametrize(("moment", "written"), [(Moment.BEFORE, False), (Moment.WITHIN, False), (Moment.AFTER, True)])
@pytest.mark.parametrize("fate", [Fate.HANGS_UP, Fate.REBOOTS])
def test_a_command_is_interrupted_once(machines: SimulatedMachines, moment: Moment, written: bool, fate: Fate) -> None:
    host, boots = connected(), machines.ask(1, lambda host: host.boots)
    machines.make_trouble(1, Trouble(interruption=Interruption(1, moment, fate)))
    host.run(READ)
    with pytest.raises(HostTimedOut):
        host.run(WRITE)
    host.close()
    assert is_written(machines) is written
    assert machines.ask(1, lambda host: host.boots) - boots == (fate is Fate.REBOOTS)
    again = connected()
    again.run(WRITE)
    again.close()
    assert is_written(machines)


def quick(command: Command) -> Command:
    return Command(command.name, command.line, command.stdin, timeout=0.3)
