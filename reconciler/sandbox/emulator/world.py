"""The emulated project: its rows, its counters, and its memory. Knows nothing of HTTP.

What happens to the rows is in `servers`, `server_actions`, `firewalls`, `ssh_keys`, `primary_ips`, `networks` and
`images`. All state is touched only in the event loop's thread. A refusal is an ApiError, as the real API words it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from reconciler.sandbox.emulator import catalogue, errors
from reconciler.sandbox.emulator.actions import Actions
from reconciler.sandbox.emulator.addresses import Addresses
from reconciler.sandbox.emulator.bucket import Bucket
from reconciler.sandbox.emulator.faults import FaultKind, Faults
from reconciler.sandbox.emulator.figures import ACTION_REQUESTS_SHARE, LIMITS, REQUESTS_PER_HOUR
from reconciler.sandbox.emulator.firewalls import Firewalls
from reconciler.sandbox.emulator.log import RequestLog
from reconciler.sandbox.emulator.resources import Action, Image, Network, PlacementGroup, PrimaryIp, Server
from reconciler.sandbox.emulator.ssh_keys import SshKeys
from reconciler.sandbox.emulator.state import StateFile
from reconciler.sandbox.emulator.tables import Table
from reconciler.sandbox.ports import Machines


class World:
    """Addresses are given out from `subnet`, beginning with host number `first_host`.

    `bootable` are the image names, `architectures` the processors that the sandbox has machines for; `pace` is how many
    seconds each action takes at least; with a `state_file` the project outlives this process, with a `log_file` every
    request is appended there.
    """

    def __init__(
        self,
        machines: Machines,
        subnet: IPv4Network,
        first_host: int,
        state_file: Path | None = None,
        *,
        log_file: Path | None = None,
        bootable: tuple[str, ...] = ("debian-12",),
        architectures: tuple[str, ...] = ("x86",),
        pace: float = 0.05,
        requests_per_hour: int = REQUESTS_PER_HOUR,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.machines = machines
        self.bootable = bootable
        self.architectures = architectures
        self.now = now
        self.log = RequestLog(log_file)
        self.faults = Faults()
        self.stock = dict(catalogue.initial_stock())
        self.servers: Table[Server] = Table()
        self.placement_groups: Table[PlacementGroup] = Table()
        self.networks: Table[Network] = Table()
        self.primary_ips: Table[PrimaryIp] = Table()
        self.images: Table[Image] = Table()
        self.actions = Actions(self.faults, self.stamp, pace, self.save)
        self.firewalls = Firewalls(self)
        self.ssh_keys = SshKeys(self)
        self.addresses = Addresses(subnet, first_host)
        self.requests = self._bucket("requests", requests_per_hour)
        self.action_requests = self._bucket("actions", ACTION_REQUESTS_SHARE * requests_per_hour)
        self.power_checked = float("-inf")
        self._last_id = 1000
        self._state = StateFile(state_file) if state_file is not None else None
        if self._state is not None:
            self._restore(self._state.load(self._tables()))

    async def stop(self) -> None:
        """The end of this process; what still runs is settled by the next."""
        await self.actions.stop()
        self.save()
        if self._state is not None:
            self._state.close()

    def save(self) -> None:
        if self._state is not None:
            self._state.save(self._tables(), {"last_id": str(self._last_id), "last_address": self.addresses.last})

    def stamp(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def start(self, command: str, work: Callable[[], Awaitable[None]], *resources: tuple[str, int]) -> Action:
        """An action about these resources, a server first if there is one."""
        return self.actions.start(self.new_id(), command, resources, work)

    def check_limit(self, name: str, used: int) -> None:
        """Raises ApiError 403 when one more is too many."""
        if used >= self.faults.number(FaultKind.LIMIT, name, LIMITS[name]):
            raise errors.limit_exceeded(name)

    def sells(self, server_type: str, location: str) -> bool:
        """Whether the catalogue says so; not whether an order is granted."""
        fault = self.faults.stock(server_type, location)
        return self.stock[server_type, location] and fault in {None, "hidden"}

    def _bucket(self, name: str, limit: int) -> Bucket:
        def set_limit() -> int:
            return int(self.faults.number(FaultKind.BUDGET, name, limit))

        return Bucket(set_limit, time.time, lambda: self.faults.number(FaultKind.SPEED, "budget", 1.0))

    def _tables(self) -> dict[str, Table[Any]]:
        return {
            "servers": self.servers,
            "ssh_keys": self.ssh_keys.by_id,
            "firewalls": self.firewalls.by_id,
            "placement_groups": self.placement_groups,
            "networks": self.networks,
            "primary_ips": self.primary_ips,
            "images": self.images,
            "actions": self.actions.by_id,
        }

    def _restore(self, counters: dict[str, str]) -> None:
        self._last_id = int(counters.get("last_id", self._last_id))
        self.addresses.last = counters.get("last_address", self.addresses.last)
        for server in self.servers.values():
            self.addresses.hold(server.address)
        for address in self.primary_ips.values():
            self.addresses.hold(address.ip)
        for action in self.actions.by_id.values():
            self.actions.index(action)
