"""The sandbox from `up` to `down`: brings it up in order, says how it is, and takes every trace of it away.

`down` needs no memory of what was started: links, namespaces, routes and control groups carry our names, and everything
that runs lies in our control groups. Half a sandbox, or one whose processes were all killed, goes the same way.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import SandboxError
from reconciler.model import NodeDistribution
from reconciler.sandbox import cgroups, network, preflight, process
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.disk import Description
from reconciler.sandbox.image import IMAGES, ensure_image
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.machine import NspawnMachines
from reconciler.sandbox.mirror import local_upstreams
from reconciler.sandbox.node import NODE_VERSION, NodeTarball, build_node
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.subnet import CANDIDATES, LARGE_CANDIDATES, choose_subnet, networks_in_use
from reconciler.sandbox.supervisor import forget_in_nspawn

# Inside the switch's own namespace every port is free.
TELEGRAM_PORT, MODEL_PORT, MIRROR_PORT = 8081, 8082, 8083

# Nobody fetches it: simulated machines take any archive for Node.
SIMULATED_NODE = NodeTarball(NODE_VERSION, Path("node-simulated.tar.xz"), "0" * 64)

_DAEMON_PATIENCE = 30.0  # seconds

Progress = Callable[[str, float], None]  # what was done, seconds


@dataclass(frozen=True, slots=True)
class MachineStatus:
    id: int
    hostname: str
    address: str
    running: bool
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Status:
    """`info` is None when no sandbox is up; machines may run although the daemon does not."""

    info: SandboxInfo | None
    daemon: bool
    machines: tuple[MachineStatus, ...]


def up(
    paths: Paths, progress: Progress, subnet: IPv4Network | None = None, simulated: bool = False
) -> tuple[SandboxInfo, bool]:
    """Bring the sandbox up; False when it was up already. Raises SandboxError, and leaves nothing half made then.

    `simulated` machines need no image and none of what boots real ones; they end with their daemon.

    A sandbox whose daemon died gets a new one, with the same addresses, token, servers and running machines.
    """
    preflight.require_root(os.geteuid())
    preflight.require_programs(simulated)
    if not simulated:
        preflight.require_null_device(Path(os.devnull).lstat())
    with _alone(paths):
        if network.switch_is_up() and paths.info.exists():
            return _up_again(paths, progress, simulated)
        _take_down(paths)  # what is left of one that was not taken down
        try:
            return _build(paths, progress, subnet, simulated), True
        except BaseException:
            _take_down(paths)
            raise


def down(paths: Paths) -> bool:
    """Take all of it away but the cache; False when there was nothing."""
    preflight.require_root(os.geteuid())
    with _alone(paths):
        was_there = paths.run.exists() or paths.data.exists() or network.switch_is_up()
        _take_down(paths)
        return was_there


def status(paths: Paths) -> Status:
    """How it is now. Machines are root's to see."""
    if not paths.info.exists():
        return Status(None, False, ())
    preflight.require_root(os.geteuid())
    info = SandboxInfo.from_file(paths.info)
    machines = NspawnMachines(paths, info.network)
    found = _simulated_statuses(paths) if info.simulated else _machine_statuses(paths, machines)
    return Status(info, process.is_held(paths.daemon_lock), tuple(found))


def _build(paths: Paths, progress: Progress, subnet: IPv4Network | None, simulated: bool) -> SandboxInfo:
    node = SIMULATED_NODE if simulated else _build_disks(paths, progress)
    with _timed(progress, "network"):
        candidates = LARGE_CANDIDATES if simulated else CANDIDATES
        chosen = choose_subnet(networks_in_use(_registry_names()), subnet, candidates)
        _make_folders(paths)
        network.switch_up(chosen)
    info = replace(_choose_addresses(paths, chosen, node), simulated=simulated)
    info.to_file(paths.info)
    with _timed(progress, "cloud API, stand-ins and package mirror"):
        _start_daemon(paths)
    return info


def _build_disks(paths: Paths, progress: Progress) -> NodeTarball:
    for name in IMAGES:
        with _timed(progress, f"base image {name}"):
            ensure_image(paths.images, name)
    with _timed(progress, "Node.js for the machines"):
        return build_node(paths.cache)


def _up_again(paths: Paths, progress: Progress, simulated: bool) -> tuple[SandboxInfo, bool]:
    info = SandboxInfo.from_file(paths.info)
    if info.simulated != simulated:
        kind = "simulated" if info.simulated else "real"
        raise SandboxError(f"a sandbox with {kind} machines is up", "Take it down first: `fleet sandbox down`.")
    if process.is_held(paths.daemon_lock):
        return info, False
    with _timed(progress, "cloud API, stand-ins and package mirror again: their daemon had died"):
        _start_daemon(paths)
    return info, True


def _take_down(paths: Paths) -> None:
    """In the order in which nothing can come back: processes, disks, links, and last the unreachable route."""
    before = paths.namespaces_before.read_text() if paths.namespaces_before.exists() else "mounted"
    cgroups.kill(_trees(paths))
    for machine_id in paths.machine_ids():
        forget_in_nspawn(machine_id)
    if paths.data.exists():
        shutil.rmtree(paths.data)
    network.switch_down()
    network.restore_namespaces(before)
    if paths.run.exists():
        shutil.rmtree(paths.run)


def _trees(paths: Paths) -> dict[str, Path]:
    if paths.cgroups.exists():
        return cgroups.load_trees(paths.cgroups)
    return cgroups.find_trees(Path("/proc/self/cgroup").read_text())


def _make_folders(paths: Paths) -> None:
    trees = cgroups.find_trees(Path("/proc/self/cgroup").read_text())
    paths.run.mkdir(mode=0o755, parents=True)
    paths.data.mkdir(mode=0o700, parents=True)
    paths.namespaces_before.write_text(network.namespaces_found())
    cgroups.save_trees(trees, paths.cgroups)
    for token in (paths.token, paths.read_only_token):
        token.touch(mode=0o600)
        token.write_text(secrets.token_urlsafe(48)[:64] + "\n")  # 64 characters, as the real ones


def _choose_addresses(paths: Paths, subnet: IPv4Network, node: NodeTarball) -> SandboxInfo:
    service = network.service_address(subnet)
    mirror = f"http://{service}:{MIRROR_PORT}"
    with network.listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    return SandboxInfo(
        endpoint=f"http://127.0.0.1:{port}/v1",
        token_file=str(paths.token),
        subnet=str(subnet),
        gateway=network.gateway_address(subnet),
        service=service,
        telegram_api_root=f"http://{service}:{TELEGRAM_PORT}",
        model_base_url=f"http://{service}:{MODEL_PORT}",
        npm_registry=f"{mirror}/npm",
        node=NodeDistribution(node.version, f"{mirror}/node/{node.path.name}", node.sha256),
    )


def _registry_names() -> list[str]:
    upstreams = local_upstreams()
    return [name for url in (*upstreams.debian, upstreams.npm) if (name := urlsplit(url).hostname)]


def _start_daemon(paths: Paths) -> None:
    """Start it and wait until it answers. It keeps our environment: the registries' settings may be in there."""
    environment = {**os.environ, "OPENCLAW_DEPLOY_CACHE": str(paths.cache)}
    with paths.daemon_lock.open("a") as lock:
        process.take(lock.fileno())
        process.start(
            "reconciler.sandbox.daemon", "--run-dir", str(paths.run),
            lock=lock.fileno(), log=paths.daemon_log, trees=_trees(paths), env=environment,
        )  # fmt: skip
    deadline = time.monotonic() + _DAEMON_PATIENCE
    while not _answers(paths):
        if not process.is_held(paths.daemon_lock) or time.monotonic() > deadline:
            last = paths.daemon_log.read_text(errors="replace").strip().splitlines()[-1:]
            said = "".join(last) or "it says nothing"
            raise SandboxError(f"the sandbox's daemon did not start: {said}", "See `fleet sandbox logs`.")
        time.sleep(0.05)


def _answers(paths: Paths) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(paths.control))
        with SandboxClient(paths.control) as client:
            client.status()
    except (OSError, SandboxError):
        return False
    return True


def _simulated_statuses(paths: Paths) -> Iterator[MachineStatus]:
    if process.is_held(paths.daemon_lock):  # they live in the daemon
        with SandboxClient(paths.control) as client:
            found: Any = client.status()["machines"]
        yield from (MachineStatus(**machine) for machine in found)


def _machine_statuses(paths: Paths, machines: NspawnMachines) -> Iterator[MachineStatus]:
    for machine_id in paths.machine_ids():
        try:
            found = Description.from_file(paths.machine(machine_id).description)
        except FileNotFoundError:  # it is just being made or removed
            continue
        running, memory = machines.is_running(machine_id), machines.memory_mb(machine_id)
        yield MachineStatus(machine_id, found.hostname, found.address, running, memory)


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """One `up` or `down` at a time; the lock lies in the cache because that is what stays.

    Under our own umask: images and disks are read by the machines' users, whatever the operator keeps private.
    """
    mask = os.umask(0o022)
    try:
        paths.cache.mkdir(parents=True, exist_ok=True)
        with (paths.cache / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    finally:
        os.umask(mask)


@contextmanager
def _timed(progress: Progress, what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    progress(what, time.monotonic() - start)
