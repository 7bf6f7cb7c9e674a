"""Ten seeds of trouble over the wire: the real client of the API and real SSH against emulator and simulated machines.

One world goes through all of them, for making its machines takes longest. What must hold afterwards is asked of the
emulator's own log and of the machines themselves.
"""

from __future__ import annotations

import random
import secrets
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final, cast

from reconciler.clouds.hetzner import HetznerCloud
from reconciler.errors import FleetError
from reconciler.managed import files
from reconciler.model import HostAddress, PlanOptions, Secret
from reconciler.ports import Host as HostPort
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.faults import checked
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Fate, Interruption, Moment, Trouble
from reconciler.ssh import FabricDialer
from tests.contract.conftest import TOKEN, HastyClock
from tests.contract.serving import Host
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

SEEDS: Final = range(10)
CHILDREN: Final = 50 if FULL else 15
NAMES: Final = tuple(f"c{number:02d}" for number in range(CHILDREN))
SUBNET: Final = IPv4Network("127.84.0.0/24")  # loopback, so that no address has to be made
PORT: Final = 2284
TYPES: Final = ("cpx22", "cpx32")
CHANGED: Final = 6  # children that somebody changes something about, in each storm
FAULTS: Final = 12  # of each kind, most of which somebody meets
CALM: Final = 5  # rounds without trouble, in which all must come to an end
WRITES: Final = ("POST /servers", "PUT /servers", "POST /servers", "POST /firewalls", "GET /servers/", "POST /ssh_keys")
ERRORS: Final = ("503", "locked", "rate_limit_exceeded", "conflict", "502")
COMMANDS: Final = ("create_server", "start_server", "shutdown_server", "change_server_type", "enable_backup")

Untouched = tuple[str, int, int]


class Dice:
    """Real time without its pauses, and tokens that never come twice."""

    def __init__(self) -> None:
        self._clock = HastyClock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def token(self) -> str:
        return secrets.token_hex(8)


class OtherPort:
    """Machines without a network of their own cannot listen on port 22."""

    def __init__(self) -> None:
        self._inner = FabricDialer()

    def connect(self, address: HostAddress, timeout: float) -> HostPort:
        return self._inner.connect(replace(address, port=PORT), min(timeout, 5.0))


@dataclass
class Wired:
    fleet: FakeFleet
    world: World
    machines: SimulatedMachines
    names: tuple[str, ...]

    def number(self, name: str) -> int:
        return next(server.id for server in self.world.servers.values() if server.name == f"demo-{name}")

    def untouched(self, name: str) -> Untouched:
        def ask(host: SimulatedHost) -> Untouched:
            return host.boot_id, host.gateway.starts, host.systemd.state(files.UNIT).main_pid

        return self.machines.ask(self.number(name), ask)

    def creates(self) -> Counter[str]:
        """Accepted ones by child, from the emulator's own log."""
        return Counter({name: self.world.log.count("POST", "/servers", f"demo-{name}") for name in self.names})


def listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port))


@contextmanager
def wired(host: Host, names: tuple[str, ...] = NAMES) -> Iterator[Wired]:
    with SimulatedMachines(listen, port=PORT, boot_seconds=0) as machines, tempfile.TemporaryDirectory() as place:
        world = World(machines, SUBNET, 10, requests_per_hour=1_000_000)
        app = build_app(world, TOKEN)
        with host.mount(app, app) as url:
            fleet = FakeFleet(Path(place) / "state", names, cast(Any, Dice()))
            fleet.specs = {name: make_spec(name, server_type=TYPES, region=["nbg1", "fsn1"]) for name in names}
            cloud = HetznerCloud(Secret(TOKEN), cast(Any, Dice()), url + "/v1")
            fleet.cloud, fleet.dialer = cast(Any, cloud), cast(Any, OtherPort())
            yield Wired(fleet, world, machines, names)
            cloud.close()


def test_ten_storms_end_in_the_wanted_fleet(host: Host) -> None:
    with wired(host) as wire:
        _storm(wire, 0, dict.fromkeys(wire.names, "made"))
        for seed in SEEDS[1:]:
            chosen = random.Random(seed)
            changed = {name: chosen.choice(list(CHANGES)) for name in chosen.sample(wire.names, CHANGED)}
            for name, change in changed.items():
                CHANGES[change](wire, name)
            _storm(wire, seed, changed)
        assert wire.machines.objections() == {}


def _storm(wire: Wired, seed: int, changed: dict[str, str]) -> None:
    """One apply in trouble, then as many as it takes; then all is as wanted, and who was not concerned untouched."""
    dice = random.Random(f"storm {seed}")
    others = [name for name in wire.names if name not in changed]
    before = {name: wire.untouched(name) for name in others}
    made = wire.creates()
    _trouble_the_cloud(wire, dice)
    met = _trouble_hosts(wire, dice)
    with suppress(FleetError):
        _apply(wire)
    wire.world.faults.clear()
    for spec in wire.machines.specs():
        wire.machines.make_trouble(spec.id, Trouble())
    assert _rounds(wire) <= CALM, f"seed {seed}: still to do: {wire.fleet.planned()}"
    assert {server.name for server in wire.world.servers.values()} == {f"demo-{name}" for name in wire.names}
    for name in others:
        assert wire.untouched(name) == before[name] or name in met, f"seed {seed}: {name} was touched"
        assert wire.creates()[name] == made[name], f"seed {seed}: {name} was made again"


def _apply(wire: Wired) -> None:
    client = wire.fleet.client()
    with client.lock("fleet apply"):
        client.apply(client.plan(options=ALLOWED))


def _rounds(wire: Wired) -> int:
    for rounds in range(CALM + 1):
        client = wire.fleet.client()
        planned = client.plan(options=ALLOWED)
        if planned.plan.is_empty and _is_settled(wire):
            return rounds
        with client.lock("fleet apply"):
            client.apply(planned)
        time.sleep(0.3)  # what the cloud was asked for by somebody who does not wait for it any more
    return CALM + 1


def _is_settled(wire: Wired) -> bool:
    return all(server.status in ("running", "off") for server in wire.world.servers.values())


def _trouble_the_cloud(wire: Wired, dice: random.Random) -> None:
    faults = wire.world.faults
    for _ in range(FAULTS):
        faults.set(checked("refuse", dice.choice(WRITES), dice.choice(ERRORS)))
        faults.set(checked(dice.choice(["drop", "drop-before"]), dice.choice(WRITES)))
    for command in dice.sample(COMMANDS, 2):
        faults.set(checked("fail", command))


def _trouble_hosts(wire: Wired, dice: random.Random) -> set[str]:
    """A third of the machines there is interrupted at some command."""
    met = set()
    for server in list(wire.world.servers.values()):
        if dice.random() < 0.33:
            met.add(server.name.removeprefix("demo-"))
            fate = dice.choice([Fate.HANGS_UP, Fate.REBOOTS])
            interruption = Interruption(dice.randrange(12), dice.choice(list(Moment)), fate)
            wire.machines.make_trouble(server.id, Trouble(interruption=interruption))
    return met


# --- what somebody changes ------------------------------------------------------------------------------------


def _drift(wire: Wired, name: str) -> None:
    def meddle(host: SimulatedHost) -> None:
        host.files[files.SSHD_PATH].content += b"# theirs\n"
        host.packages.discard("xz-utils")

    wire.machines.ask(wire.number(name), meddle)


def _setting(wire: Wired, name: str) -> None:
    wire.fleet.change(name, config={"agents": {"defaults": {"timeoutSeconds": secrets.randbelow(900) + 100}}})


def _unplugged(wire: Wired, name: str) -> None:
    cloud = wire.fleet.cloud
    cloud.wait(cloud.power_off(wire.number(name)), 10)


CHANGES: Final[dict[str, Callable[[Wired, str], None]]] = {
    "drift": _drift,
    "settings": _setting,
    "resized": lambda wire, name: wire.fleet.change(name, server_types=("cpx32",)),
    "backups": lambda wire, name: wire.fleet.change(name, backups=True),
    "stopped": lambda wire, name: wire.fleet.change(name, enabled=False),
    "started": lambda wire, name: wire.fleet.change(name, enabled=True),
    "unplugged": _unplugged,
}
ALLOWED: Final = PlanOptions(max_destroys=CHANGED)
