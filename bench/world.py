"""The world that benchmarks run in: the emulated cloud and simulated machines in this process, `fleet` beside it.

Network and mounts of this process become its own, so nothing of the machine is seen or touched. Needs root. Whoever
uses it counts what the cloud was asked, how often the machines were called, and what the operator's process took.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import uvicorn

from reconciler import keys
from reconciler.model import NodeDistribution
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.faults import Fault, FaultKind
from reconciler.sandbox.emulator.log import Entry
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.simulated.machines import SimulatedMachines

PROJECT = Path(__file__).parents[1]
SUBNET = IPv4Network("127.83.0.0/20")  # loopback, so that no address has to be made
API = ("127.0.0.1", 8080)
TOKEN = "benchmark"  # noqa: S105  # of a cloud that ends with this process
NEW_NAMESPACES = 0x40000000 | 0x00020000  # CLONE_NEWNET, CLONE_NEWNS
SECONDS = 3600

HEAD = """\
fleet: bench
cloud: {provider: sandbox}
policy: {max_destroys: 100%}
defaults:
  region: fsn1
  server_type: cx23
  image: debian-12
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:ANTHROPIC_API_KEY}
  users: {policy: pairing}
children:
"""
CHILD = "  child{number}: {{bot: {{token: env:BOT_{number}}}}}\n"

# Starts a command and waits for it; prints what that one process took. A small process of its own has to do it: the
# memory that the kernel notes of a child begins with its parent's.
WATCH = """\
import json, os, sys, time
from pathlib import Path
began, threads = time.perf_counter(), 0
number = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
ended = 0
while not ended:
    ended, status, used = os.wait4(number, os.WNOHANG)
    if not ended:
        try:
            told = Path(f"/proc/{number}/status").read_text()
            threads = max(threads, int(told.partition("Threads:")[2].split()[0]))
        except (OSError, IndexError):
            pass
        time.sleep(0.01)
took = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), took, used.ru_utime + used.ru_stime, used.ru_maxrss, threads]),
      file=sys.stderr)
"""


@dataclass(frozen=True)
class Took:
    """One command. `seconds` and `cpu` of the operator, `world_cpu` of cloud and machines meanwhile.

    `requests` counts "METHOD /path" with ids left out; `connections` and `commands` are what the machines saw.
    """

    seconds: float
    cpu: float
    world_cpu: float
    megabytes: int
    threads: int
    requests: Counter[str]
    connections: int
    commands: int
    printed: str

    @property
    def polls(self) -> int:
        """They have a budget of their own."""
        return self.requests["GET /actions"]

    @property
    def budgeted(self) -> int:
        return self.requests.total() - self.polls


class CountingListener(socket.socket):
    """A listening socket that tells `accepted` of every connection."""

    accepted: Callable[[], None]

    def accept(self) -> tuple[socket.socket, object]:
        connection = super().accept()
        self.accepted()
        return connection


class Stage:
    """A fleet of `size` children in an empty cloud, and the directory in which `fleet` runs."""

    def __init__(self, directory: Path, size: int, cloud: World, machines: SimulatedMachines) -> None:
        self.directory = directory
        self.cloud = cloud
        self.machines = machines
        self.connections = 0
        text = HEAD + "".join(CHILD.format(number=number) for number in range(size))
        (directory / "fleet.yaml").write_text(text, encoding="utf-8")

    def listen(self, address: str, port: int) -> socket.socket:
        listener = CountingListener()
        listener.accepted = self._count
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a machine that was off listens again
        listener.bind((address, port))
        listener.listen(16)
        return listener

    def fleet(self, *words: str, before: tuple[str, ...] = (), project: Path = PROJECT) -> Took:
        """Run `fleet` with these arguments, as `project` has it; it must end well. `before` are words before python."""
        asked, connections, cpu = len(self.cloud.log.entries), self.connections, time.process_time()
        commands = self.machines.commands_run()
        argv = [sys.executable, "-c", WATCH, *before, sys.executable, "-m", "reconciler", *words]
        done = subprocess.run(
            argv, cwd=self.directory, env=environment(self.directory, project), capture_output=True, text=True,
            timeout=SECONDS,
        )  # fmt: skip
        *said, figures = done.stderr.splitlines()
        code, seconds, operator, kilobytes, threads = json.loads(figures)
        assert code == 0, "\n".join([done.stdout[-2000:], *said[-20:]])
        return Took(
            seconds, operator, time.process_time() - cpu, kilobytes // 1024, threads,
            Counter(map(_kind, self.cloud.log.entries[asked:])), self.connections - connections,
            self.machines.commands_run() - commands, done.stdout,
        )  # fmt: skip

    def _count(self) -> None:
        self.connections += 1


def enter_namespaces() -> None:
    """Before any thread is started. /run is empty there."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NAMESPACES):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for line in ("mount --make-rprivate /", "mount -t tmpfs tmpfs /run", "ip link set lo up"):
        subprocess.run(line.split(), check=True)


@contextmanager
def stage(directory: Path, size: int, speed: float | None = None) -> Iterator[Stage]:
    """After enter_namespaces(), one at a time. The cloud's actions take the real ones' seconds divided by `speed`.

    Without `speed` they take 50 ms each.
    """
    set_up: Stage | None = None

    def listen(address: str, port: int) -> socket.socket:
        assert set_up is not None, "no machine is made before the first command"
        return set_up.listen(address, port)

    with SimulatedMachines(listen, boot_seconds=0.3) as machines:
        cloud = World(machines, SUBNET, 10)
        if speed is not None:
            cloud.faults.set(Fault(FaultKind.SPEED, "actions", str(speed)))
        set_up = Stage(directory, size, cloud, machines)
        _announce()
        with _served(cloud):
            yield set_up
        assert machines.objections() == {}


def environment(directory: Path, project: Path) -> dict[str, str]:
    given = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    key = keys.make_key(bytes(32)).reveal()
    return given | {"LANG": "C.UTF-8", "HOME": str(directory), "PYTHONPATH": str(project), "FLEET_KEY": key}


def _kind(entry: Entry) -> str:
    return f"{entry.method} {'/'.join('*' if part.isdigit() else part for part in entry.path.split('/'))}"


def _announce() -> None:
    """The file by which `fleet` finds a sandbox."""
    paths = Paths()
    paths.run.mkdir(exist_ok=True)
    paths.token.write_text(TOKEN, encoding="utf-8")
    service = "127.83.0.2"
    SandboxInfo(
        endpoint=f"http://{API[0]}:{API[1]}/v1",
        token_file=str(paths.token),
        subnet=str(SUBNET),
        gateway="127.83.0.1",
        service=service,
        telegram_api_root=f"http://{service}:8081",
        model_base_url=f"http://{service}:8082",
        npm_registry=f"http://{service}:4873",
        node=NodeDistribution("24.21.0", f"http://{service}:4873/node.tar.xz", "0" * 64),
    ).to_file(paths.info)


@contextmanager
def _served(cloud: World) -> Iterator[None]:
    with socket.create_server(API) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio only does it for sockets it made
        config = uvicorn.Config(build_app(cloud, TOKEN), log_level="critical", access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="cloud")
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield
        finally:
            server.should_exit = True
            thread.join()
