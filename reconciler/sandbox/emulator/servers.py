"""What happens to servers: created, switched, deleted, and looked at.

Machines are booted through the Machines port, whose blocking calls run in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from reconciler.sandbox.emulator import catalogue, errors, images, networks, primary_ips
from reconciler.sandbox.emulator.actions import ActionError
from reconciler.sandbox.emulator.faults import FaultKind, Stock
from reconciler.sandbox.emulator.resources import Action, Server, ServerOrder
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.ports import MachineSpec

_POWER_CHECK = 0.5  # seconds for which a machine's state is taken as known
_BOOT_PATIENCE = 60.0  # seconds until a machine that was told to boot must be running
_MOST_IN_GROUP = 10  # servers of a spread group


def create(world: World, order: ServerOrder) -> tuple[Server, Action, tuple[Action, ...]]:
    """The new server, its create action, and what follows it (a start, unless the order says no; networks)."""
    _check_order(world, order)
    number = world.new_id()
    ipv4 = primary_ips.for_order(world, "ipv4", order.ipv4, order.location, number)
    address = _machine_address(world, ipv4)
    ipv6 = primary_ips.for_order(world, "ipv6", order.ipv6, order.location, number)
    server = world.servers.put(
        Server(
            id=number,
            name=order.name,
            status="initializing",
            created=world.stamp(),
            server_type=order.server_type,
            location=order.location,
            image=order.image,
            disk=catalogue.size(order.server_type, "disk"),
            address=address,
            ipv4=ipv4,
            ipv6=ipv6,
            labels=order.labels,
            placement_group=order.placement_group,
        )
    )
    making = start(world, "create_server", server, lambda: _create(world, server, order))
    following = [networks.attach(world, server, world.networks[network]) for network in order.networks]
    if order.start:
        following.insert(0, start(world, "start_server", server, lambda: _boot(world, server, making)))
    world.firewalls.spread(server)
    for firewall in order.firewalls:
        world.firewalls.attach(world.firewalls.by_id[firewall], [], [server.id])
    return server, making, tuple(following)


def update(world: World, server: Server, name: str | None, labels: Mapping[str, str] | None) -> Server:
    """A new name, a whole new set of labels; None leaves what is there."""
    if name is not None and name != server.name:
        check_name(world, name)
    before = world.firewalls.of(server)
    changed = put(world, server, name=name or server.name, labels=server.labels if labels is None else labels)
    world.firewalls.spread(changed, before)
    return changed


def delete(world: World, server: Server) -> Action:
    check_unlocked(world, server)
    if server.delete_protected:
        raise errors.protected("server")
    doomed = put(world, server, status="deleting")
    return start(world, "delete_server", doomed, lambda: destroy(world, doomed))


def power(world: World, server: Server, command: str) -> Action:
    """`command` is an action's name: start_server, stop_server, shutdown_server, reboot_server, reset_server."""
    transitional = {"start_server": "starting", "stop_server": "stopping"}
    busy = put(world, server, status=transitional.get(command, server.status))
    return start(world, command, busy, lambda: _switch(world, busy, command))


def start(
    world: World, command: str, server: Server, work: Callable[[], Awaitable[None]], *others: tuple[str, int]
) -> Action:
    """An action on the server, and on other resources beside it."""
    return world.start(command, work, ("server", server.id), *others)


def put(world: World, server: Server, **changes: object) -> Server:
    """The server as it is now, with these changes; one that has gone meanwhile stays gone."""
    before = world.servers.get(server.id, server)
    changed = replace(before, **changes)  # type: ignore[arg-type]
    if server.id in world.servers and changed != before:
        world.servers.put(changed)
    return changed


def check_unlocked(world: World, server: Server) -> None:
    if is_locked(world, server):
        raise errors.locked()


def is_locked(world: World, server: Server) -> bool:
    return world.actions.is_locked(server.id) or world.faults.value(FaultKind.LOCK, server.name) is not None


def check_name(world: World, name: str) -> None:
    if world.servers.named(name):
        raise errors.uniqueness("name", "server name is already used")


def check_stock(world: World, server_type: str, location: str) -> None:
    """Raises ApiError 422 for what is not sold there, 412 for what is sold out."""
    fault = world.faults.stock(server_type, location)
    if fault is Stock.UNSUPPORTED or not catalogue.initial_stock().get((server_type, location)):
        raise errors.not_offered()
    if fault or not world.stock[server_type, location]:
        raise errors.out_of_stock()


def check_room(world: World, group: int) -> None:
    """Raises ApiError 422 when the placement group is full."""
    if sum(server.placement_group == group for server in world.servers.values()) >= _MOST_IN_GROUP:
        text = f"placement group with ID {group} contains already {_MOST_IN_GROUP} servers"
        raise errors.refused("placement_group_member_limit_reached", text)


async def refresh(world: World) -> None:
    """Learn which machines have been switched on or off from inside since the last look."""
    if time.monotonic() - world.power_checked < _POWER_CHECK:
        return
    world.power_checked = time.monotonic()
    resting = [server for server in world.servers.values() if not world.actions.is_locked(server.id)]
    for server, running in zip(resting, await _power_of(world, resting), strict=True):
        if not world.actions.is_locked(server.id):  # nor has it become so meanwhile
            put(world, server, status=_at_rest(world, server, running))


async def resume(world: World) -> None:
    """Settle what an earlier process left half done: a delete is done again, all else is as the machine says."""
    for action in [action for action in world.actions.by_id.values() if action.status == "running"]:
        server = world.servers.get(action.server_id or 0)
        if action.command == "delete_server" and server:
            await destroy(world, server)
        booted = action.command in {"create_server", "start_server"} and await runs(world, action.server_id)
        done = booted or action.command in {"delete_server", "apply_firewall", "remove_firewall", "set_firewall_rules"}
        world.actions.finish(action.id, None if done else ("action_failed", "the sandbox was stopped meanwhile"))
    images.forget_unfinished(world)
    await refresh(world)
    world.save()


async def runs(world: World, server_id: int | None) -> bool:
    return server_id is not None and await asyncio.to_thread(world.machines.is_running, server_id)


async def rest(world: World, server: Server) -> None:
    """Its status is what its machine does."""
    put(world, server, status=_at_rest(world, server, await runs(world, server.id)))


async def until_running(world: World, server: Server) -> None:
    """Raises ActionError when it takes too long."""
    deadline = time.monotonic() + _BOOT_PATIENCE
    while not await runs(world, server.id):
        if time.monotonic() > deadline:
            raise ActionError("action_failed", f"the machine did not start within {_BOOT_PATIENCE:.0f} s")
        await asyncio.sleep(0.05)
    put(world, server, status="running")


async def destroy(world: World, server: Server) -> None:
    await asyncio.to_thread(world.machines.destroy, server.id)
    await images.remove_backups(world, server)
    _forget(world, server)


# --- helpers -------------------------------------------------------------------------------------------------


def _check_order(world: World, order: ServerOrder) -> None:
    check_name(world, order.name)
    world.check_limit("servers", len(world.servers))
    check_stock(world, order.server_type, order.location)
    if order.placement_group is not None:
        check_room(world, order.placement_group)
    primary_ips.check_order(world, order)
    networks.check_order(world, order)
    world.firewalls.check_order(order)


def _machine_address(world: World, ipv4: int | None) -> str:
    """A server without IPv4 has one all the same, inside the sandbox: its machine is set up over it."""
    if ipv4 is None:
        return world.addresses.hold_next()
    address = world.primary_ips[ipv4].ip
    world.addresses.hold(address)
    return address


async def _create(world: World, server: Server, order: ServerOrder) -> None:
    if world.faults.take(FaultKind.VANISH, lambda command: command == "create_server"):
        _forget(world, server)
        raise ActionError("action_failed", "server creation failed")
    image, memory = images.machine_image(world, order.image), catalogue.memory_mb(order.server_type)
    machine = MachineSpec(server.id, server.name, server.address, image, order.user_data, memory)
    await asyncio.to_thread(world.machines.create, machine)
    if order.start:
        put(world, server, status="starting")
    else:
        await asyncio.to_thread(world.machines.power_off, server.id)
        put(world, server, status="off")


async def _boot(world: World, server: Server, making: Action) -> None:
    if world.actions.by_id[making.id].status == "error":
        raise ActionError("action_failed", "the server was not created")
    await until_running(world, server)


async def _switch(world: World, server: Server, command: str) -> None:
    calls = {
        "start_server": world.machines.power_on,
        "stop_server": world.machines.power_off,
        "shutdown_server": world.machines.shutdown,
        "reboot_server": world.machines.reboot,
        "reset_server": world.machines.reset,
    }
    try:
        await asyncio.to_thread(calls[command], server.id)
        if command == "start_server":
            await until_running(world, server)
    finally:
        await rest(world, server)


def _forget(world: World, server: Server) -> None:
    """It has gone, and so have the addresses that came with it."""
    if world.servers.get(server.id) is None:
        return
    world.servers.remove(server.id)
    world.addresses.release(server.address)
    primary_ips.leave(world, server)
    world.firewalls.forget_server(server.id)


async def _power_of(world: World, servers: Sequence[Server]) -> list[bool]:
    def look() -> list[bool]:
        return [world.machines.is_running(server.id) for server in servers]

    return await asyncio.to_thread(look)


def _at_rest(world: World, server: Server, running: bool) -> str:
    """One whose creation failed never was anything else than being made."""
    if running:
        return "running"
    making = (action for action in world.actions.of("server", server.id) if action.command == "create_server")
    return "initializing" if any(action.error for action in making) else "off"
