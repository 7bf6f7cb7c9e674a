"""What simulated machines cost over SSH: a cold look, a look and a command on an open connection. Needs root.

    python bench/simulated.py [MACHINES]

Machines and operator are one process with a thread for all machines, whose CPU time is shown apart. Everything runs in
a network namespace of its own, on loopback.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address

from reconciler import commands, keys
from reconciler.managed import files, looks
from reconciler.model import Command, HostAddress
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.ssh import FabricDialer, FabricHost

FIRST = IPv4Address("127.83.0.1")
NEW_NAMESPACE = 0x40000000
THREADS = 32
KEY = keys.make_key(bytes(32))
WARM = 20  # commands on each open connection

REQUEST = {
    "root": "/",
    "digest_key": "00" * 32,
    "looks": looks(None),
    "gateway": {
        "port": files.PORT, "token_path": files.GATEWAY_TOKEN_PATH, "unit": files.UNIT,
        "started_path": files.STARTED_PATH,
    },
    "applied_path": files.APPLIED_PATH, "bot_token_path": files.TELEGRAM_TOKEN_PATH,
}  # fmt: skip


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    enter_namespace()
    with SimulatedMachines(listen, boot_seconds=0) as machines:
        with measured(machines, "create", count):
            for number in range(count):
                machines.create(spec_of(number))
        numbers = range(count)
        with ThreadPoolExecutor(THREADS) as pool:
            with measured(machines, "connect and look, cold", count):
                hosts = list(pool.map(connect_and_look, numbers))
            with measured(machines, "look, warm", count * WARM):
                list(pool.map(lambda host: repeat(host, commands.run_probe(REQUEST)), hosts))
            with measured(machines, "make a directory, warm", count * WARM):
                list(pool.map(lambda host: repeat(host, commands.make_directory("/srv/x", "root:root", "0755")), hosts))
            one = hosts[0]
            with measured(machines, "make a directory, alone", 200):
                for _ in range(10):
                    repeat(one, commands.make_directory("/srv/x", "root:root", "0755"))
            list(pool.map(FabricHost.close, hosts))
        assert machines.objections() == {}
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB, operator included")


def connect_and_look(number: int) -> FabricHost:
    address = HostAddress(
        str(FIRST + number), 22, files.LOGIN_USER, (keys.login_key(KEY, "u", 1),),
        (keys.public_key(keys.host_key(KEY, "u", 0)),),
    )  # fmt: skip
    host = FabricDialer().connect(address, 30)
    host.run(commands.run_probe(REQUEST))
    return host


def repeat(host: FabricHost, command: Command) -> None:
    for _ in range(WARM):
        host.run(command)


def spec_of(number: int) -> MachineSpec:
    host_key = keys.host_key(KEY, "u", 0)
    login = keys.public_key(keys.login_key(KEY, "u", 1))
    user_data = files.user_data(login, host_key, keys.public_key(host_key)).reveal()
    return MachineSpec(number, f"bench-{number}", str(FIRST + number), "debian-12", user_data, 4096)


def listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port), backlog=128)


@contextmanager
def measured(machines: SimulatedMachines, what: str, times: int) -> Iterator[None]:
    clock = time.pthread_getcpuclockid(machines.thread_id)
    wall, cpu, machine = time.perf_counter(), time.process_time(), time.clock_gettime(clock)
    yield
    spent = (time.perf_counter() - wall, time.process_time() - cpu, time.clock_gettime(clock) - machine)
    each = [f"{seconds / times * 1000:6.2f} ms" for seconds in (spent[0], spent[2], spent[1] - spent[2])]
    print(f"{what:26} x{times:<6} {spent[0]:6.2f} s; each: wall {each[0]}, machines {each[1]}, operator {each[2]}")


def enter_namespace() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NAMESPACE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


if __name__ == "__main__":
    main()
