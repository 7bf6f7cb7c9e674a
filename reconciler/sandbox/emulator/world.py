"""The emulated project: its resources, and what happens to them. Knows nothing of HTTP.

Machines are booted through the Machines port, whose blocking calls run in threads. All state is touched only in the
event loop's thread. A refusal is an ApiError, as the real API words it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

from reconciler.sandbox.emulator import catalogue, errors
from reconciler.sandbox.emulator.actions import ActionError, Actions
from reconciler.sandbox.emulator.addresses import Addresses
from reconciler.sandbox.emulator.faults import Faults
from reconciler.sandbox.emulator.firewalls import Firewalls
from reconciler.sandbox.emulator.log import RequestLog
from reconciler.sandbox.emulator.resources import Action, Server, ServerOrder
from reconciler.sandbox.emulator.ssh_keys import SshKeys
from reconciler.sandbox.emulator.state import Saved, read_state, write_state
from reconciler.sandbox.ports import Machines, MachineSpec

_POWER_CHECK = 0.5  # seconds for which a machine's state is taken as known
_BOOT_PATIENCE = 60.0  # seconds until a machine that was told to boot must be running


class World:
    """Addresses are given out from `subnet`, beginning with host number `first_host`.

    `bootable` are the image names that the sandbox has a disk for; `pace` is how many seconds each action takes at
    least; with a `state_file` the project outlives this process, with a `log_file` every request is appended there.
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
        pace: float = 0.05,
        server_limit: int = 200,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.machines = machines
        self.bootable = bootable
        self.server_limit = server_limit
        self.now = now
        self.log = RequestLog(log_file)
        self.faults = Faults()
        self.stock = catalogue.initial_stock()
        self.servers: dict[int, Server] = {}
        self.actions = Actions(self.faults, self.stamp, pace, self.save)
        self.firewalls = Firewalls(self)
        self.ssh_keys = SshKeys(self)
        self._addresses = Addresses(subnet, first_host)
        self._last_id = 1000
        self._power_checked = float("-inf")
        self._state_file = state_file
        if state_file is not None and (saved := read_state(state_file)):
            self._restore(saved)

    # --- its life ---------------------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Settle what an earlier process left half done: a delete is done again, all else is as the machine says."""
        for action in [action for action in self.actions.by_id.values() if action.status == "running"]:
            if action.command == "delete_server" and action.server_id in self.servers:
                await self._destroy(self.servers[action.server_id])
            done = action.command not in {"create_server", "start_server"} or await self._runs(action.server_id)
            self.actions.finish(action.id, None if done else ("action_failed", "the sandbox was stopped meanwhile"))
        await self.refresh()
        self.save()

    async def stop(self) -> None:
        await self.actions.stop()
        self.save()

    def save(self) -> None:
        if self._state_file is None:
            return
        keys, firewalls, actions = self.ssh_keys.by_id, self.firewalls.by_id, self.actions.by_id
        state = Saved(self._last_id, self._addresses.last, self.servers, keys, firewalls, actions)
        write_state(self._state_file, state)

    def stamp(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def refresh(self) -> None:
        """Learn which machines have been switched on or off from inside since the last look."""
        if time.monotonic() - self._power_checked < _POWER_CHECK:
            return
        self._power_checked = time.monotonic()
        resting = [server for server in self.servers.values() if not self.actions.is_locked(server.id)]
        for server, running in zip(resting, await self._power_of(resting), strict=True):
            if not self.actions.is_locked(server.id):  # nor has it become so meanwhile
                self._put(server, status=_at_rest(running))

    # --- servers ----------------------------------------------------------------------------------------------

    def create_server(self, order: ServerOrder) -> tuple[Server, Action, tuple[Action, ...]]:
        """The new server, its create action, and what follows it (a start, unless the order says no)."""
        self._check_order(order)
        address = self._addresses.next_free({server.address for server in self.servers.values()})
        server = Server(
            self.new_id(),
            order.name,
            "initializing",
            self.stamp(),
            order.server_type,
            order.location,
            order.image,
            address,
            self.new_id(),
            order.labels,
        )
        self.servers[server.id] = server
        create = self._start("create_server", server, lambda: self._create(server, order))
        following = (self._start("start_server", server, lambda: self._boot(server, create)),) if order.start else ()
        self.firewalls.spread(server)
        return server, create, following

    def update_server(self, server: Server, name: str | None, labels: Mapping[str, str] | None) -> Server:
        """A new name, a whole new set of labels; None leaves what is there."""
        if name is not None and name != server.name:
            self._check_name(name)
        before = self.firewalls.of(server)
        changed = self._put(server, name=name or server.name, labels=server.labels if labels is None else labels)
        self.firewalls.spread(changed, before)
        return changed

    def delete_server(self, server: Server) -> Action:
        self._check_unlocked(server)
        doomed = self._put(server, status="deleting")
        return self._start("delete_server", doomed, lambda: self._destroy(doomed))

    def power(self, server: Server, command: str) -> Action:
        """`command` is an action's name: start_server, stop_server, shutdown_server, reboot_server, reset_server."""
        self._check_unlocked(server)
        transitional = {"start_server": "starting", "stop_server": "stopping"}
        busy = self._put(server, status=transitional.get(command, server.status))
        return self._start(command, busy, lambda: self._switch(busy, command))

    def server_named(self, name: str) -> Server | None:
        return next((server for server in self.servers.values() if server.name == name), None)

    # --- what actions do --------------------------------------------------------------------------------------

    async def _create(self, server: Server, order: ServerOrder) -> None:
        memory = next(kind["memory"] for kind in catalogue.server_types() if kind["name"] == order.server_type)
        image = next(str(image["name"]) for image in catalogue.images() if image["id"] == order.image)
        megabytes = int(float(str(memory)) * 1024)
        machine = MachineSpec(server.id, server.name, server.address, image, order.user_data, megabytes)
        await asyncio.to_thread(self.machines.create, machine)
        if order.start:
            self._put(server, status="starting")
        else:
            await asyncio.to_thread(self.machines.power_off, server.id)

    async def _boot(self, server: Server, create: Action) -> None:
        if self.actions.by_id[create.id].status == "error":
            raise ActionError("action_failed", "the server was not created")
        await self._until_running(server)

    async def _switch(self, server: Server, command: str) -> None:
        calls = {
            "start_server": self.machines.power_on,
            "stop_server": self.machines.power_off,
            "shutdown_server": self.machines.shutdown,
            "reboot_server": self.machines.reboot,
            "reset_server": self.machines.reset,
        }
        try:
            await asyncio.to_thread(calls[command], server.id)
            if command == "start_server":
                await self._until_running(server)
        finally:
            self._put(server, status=_at_rest(await self._runs(server.id)))

    async def _until_running(self, server: Server) -> None:
        deadline = time.monotonic() + _BOOT_PATIENCE
        while not await self._runs(server.id):
            if time.monotonic() > deadline:
                raise ActionError("action_failed", f"the machine did not start within {_BOOT_PATIENCE:.0f} s")
            await asyncio.sleep(0.05)
        self._put(server, status="running")

    async def _destroy(self, server: Server) -> None:
        await asyncio.to_thread(self.machines.destroy, server.id)
        self.servers.pop(server.id, None)
        self.firewalls.forget_server(server.id)

    async def _power_of(self, servers: Sequence[Server]) -> list[bool]:
        def look() -> list[bool]:
            return [self.machines.is_running(server.id) for server in servers]

        return await asyncio.to_thread(look)

    async def _runs(self, server_id: int | None) -> bool:
        return server_id is not None and await asyncio.to_thread(self.machines.is_running, server_id)

    # --- helpers ----------------------------------------------------------------------------------------------

    def _start(self, command: str, server: Server, work: Callable[[], Awaitable[None]]) -> Action:
        return self.actions.start(self.new_id(), command, (("server", server.id),), work)

    def _put(self, server: Server, **changes: object) -> Server:
        """The server as it is now, with these changes; one that has gone meanwhile stays gone."""
        changed = replace(self.servers.get(server.id, server), **changes)  # type: ignore[arg-type]
        if server.id in self.servers:
            self.servers[server.id] = changed
        return changed

    def _check_order(self, order: ServerOrder) -> None:
        self._check_name(order.name)
        if len(self.servers) >= self.server_limit:
            raise errors.limit_exceeded()
        if (order.server_type, order.location) not in catalogue.initial_stock():
            raise errors.not_offered()
        if not self.stock[order.server_type, order.location]:
            raise errors.out_of_stock()

    def _check_name(self, name: str) -> None:
        if self.server_named(name):
            raise errors.uniqueness("name", "server name is already used")

    def _check_unlocked(self, server: Server) -> None:
        if self.actions.is_locked(server.id):
            raise errors.locked()

    def _restore(self, saved: Saved) -> None:
        self._last_id, self._addresses.last = saved.last_id, saved.last_address
        self.servers, self.ssh_keys.by_id = dict(saved.servers), dict(saved.ssh_keys)
        self.firewalls.by_id, self.actions.by_id = dict(saved.firewalls), dict(saved.actions)


def _at_rest(running: bool) -> str:
    return "running" if running else "off"
