"""The sandbox's one daemon: the cloud's API, the stand-ins, the mirror, the metadata service and the control socket.

`python -m reconciler.sandbox.daemon --run-dir DIR` reads what `up` wrote there and serves until SIGTERM. It runs
outside the switch's namespace (so that the mirror reaches the registries) and only listens inside it. Real machines do
not depend on it: it may die and be started again. Simulated ones live in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from reconciler.model import Json
from reconciler.sandbox import network
from reconciler.sandbox.anthropic import ModelStandIn
from reconciler.sandbox.control import build_control
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.machine import NspawnMachines
from reconciler.sandbox.metadata import build_metadata
from reconciler.sandbox.mirror import build_mirror, debian_sources
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.ports import Machines, MachineSpec
from reconciler.sandbox.simulated.control import routes
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.network import own_addresses
from reconciler.sandbox.telegram import TelegramStandIn

FIRST_HOST = 11  # 1 is the operator, 2 the services; the rest below stays free for people
METADATA_PORT = 80


class Server(uvicorn.Server):
    """A server among several in one process: the signals are the daemon's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", type=Path, required=True)
    paths = replace(Paths.default(), run=parser.parse_args().run_dir)
    tokens = paths.token.read_text().strip(), paths.read_only_token.read_text().strip()
    asyncio.run(serve(paths, SandboxInfo.from_file(paths.info), tokens))


async def serve(paths: Paths, info: SandboxInfo, tokens: tuple[str, str]) -> None:
    """Serve everything until SIGTERM or SIGINT; of the cloud's tokens the second may only read."""
    servers = [(_server(app), listener) for app, listener in _applications(paths, info, tokens)]

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def _applications(paths: Paths, info: SandboxInfo, tokens: tuple[str, str]) -> list[tuple[Starlette, socket.socket]]:
    """Each application with the socket it listens on."""
    machines = make_machines(paths, info)
    world = World(machines, info.network, FIRST_HOST, paths.emulator_state, log_file=paths.cloud_log)
    telegram, model = TelegramStandIn(), ModelStandIn()
    control = build_control(
        telegram,
        model,
        world.faults,
        lambda: [asdict(entry) for entry in world.log.entries],
        lambda: _status(info, machines),
        routes(machines) if isinstance(machines, SimulatedMachines) else (),
    )
    return [
        (build_app(world, tokens[0], read_only_token=tokens[1]), network.listen(*_address(info.endpoint))),
        (telegram.app, network.listen_in_switch(*_address(info.telegram_api_root))),
        (model.app, network.listen_in_switch(*_address(info.model_base_url))),
        (build_mirror(paths.cache), network.listen_in_switch(*_address(info.npm_registry))),
        (build_metadata(machines.at), network.listen_in_switch(network.METADATA_ADDRESS, METADATA_PORT)),
        (control, _control_socket(paths.control)),
    ]


def make_machines(paths: Paths, info: SandboxInfo) -> Machines:
    """The machines behind the cloud's API: the one place that chooses their kind."""
    if not info.simulated:
        return NspawnMachines(paths, info.network, _apt_sources(info))
    own_addresses(info.network, FIRST_HOST)
    return SimulatedMachines(network.listen_in_switch).started()


def _status(info: SandboxInfo, machines: Machines) -> dict[str, Json]:
    """Of simulated machines nobody else knows; real ones are seen from outside."""
    if not isinstance(machines, SimulatedMachines):
        return {"endpoint": info.endpoint}
    return {"endpoint": info.endpoint, "machines": [_told(machines, spec) for spec in machines.specs()]}


def _told(machines: SimulatedMachines, spec: MachineSpec) -> Json:
    running = machines.is_running(spec.id)
    return {"id": spec.id, "hostname": spec.hostname, "address": spec.address, "running": running, "memory_mb": 0}


def _apt_sources(info: SandboxInfo) -> tuple[str, ...]:
    parts = urlsplit(info.npm_registry)  # the mirror serves both
    return tuple(entry.format(base=f"{parts.scheme}://{parts.netloc}") for entry in debian_sources())


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def _control_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # 0600 from its first moment
    try:
        control.bind(str(path))
    finally:
        os.umask(mask)
    control.listen(16)
    return control


def _server(app: Starlette) -> Server:
    # No long poll may hold up the end for more than a second.
    return Server(
        uvicorn.Config(app, log_level="warning", access_log=False, proxy_headers=False, timeout_graceful_shutdown=1)
    )


if __name__ == "__main__":
    main()
