"""POST /servers/{id}/actions/…: each reads its body and starts an action.

What changes only in the project changes when the action ends; what a machine must do is done through its port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import bodies, catalogue, errors, images, networks, orders, primary_ips, servers, wire
from reconciler.sandbox.emulator.handling import Body, Handler, acted, world_of
from reconciler.sandbox.emulator.kinds import SERVERS
from reconciler.sandbox.emulator.resources import Action, PrimaryIp, Server
from reconciler.sandbox.emulator.world import World

BACKUP_WINDOW = "22-02"

Started = tuple[Action, Mapping[str, Json]]  # the action, and what else is in the answer
Act = Callable[[World, Server, Body], Action | Started]


def server_action_routes() -> list[Route]:
    missing = [
        Route(f"/servers/{{id}}/actions/{verb}", _refuse(what), methods=["POST"]) for verb, what in MISSING.items()
    ]
    return missing + [
        Route(f"/servers/{{id}}/actions/{verb}", _handler(act), methods=["POST"]) for verb, act in ACTS.items()
    ]


def power(command: str) -> Act:
    return lambda world, server, body: servers.power(world, server, command)


def rebuild(world: World, server: Server, body: Body) -> Started:
    """With the user data it had unless there is new; it is switched on afterwards."""
    image = orders.image(world, body, catalogue.architecture(server.server_type))
    user_data = orders.user_data(body) if body.get("user_data") is not None else None
    if server.rebuild_protected:
        raise errors.protected("server")

    async def work() -> None:
        try:
            disk = images.machine_image(world, image)
            await asyncio.to_thread(world.machines.rebuild, server.id, disk, user_data)
            servers.put(world, server, image=image)
            await servers.until_running(world, server)
        finally:
            await servers.rest(world, server)

    busy = servers.put(world, server, status="rebuilding")
    return servers.start(world, "rebuild_server", busy, work), {"root_password": None}


def change_type(world: World, server: Server, body: Body) -> Action:
    kind = orders.catalogued(catalogue.server_types(), body, "server_type")
    upgrade = bodies.flag(body, "upgrade_disk")
    name, disk = str(kind["name"]), int(str(kind["disk"]))
    _check_off(server)
    if name == server.server_type or kind["architecture"] != catalogue.architecture(server.server_type):
        raise errors.refused("invalid_server_type", "server cannot be changed to this server type")
    if disk < server.disk:
        raise errors.refused("invalid_server_type", "the server type's disk is smaller than the server's")
    servers.check_stock(world, name, server.location)

    async def work() -> None:
        await asyncio.to_thread(world.machines.resize, server.id, catalogue.memory_mb(name))
        servers.put(world, server, server_type=name, disk=disk if upgrade else server.disk)
        await servers.rest(world, server)

    busy = servers.put(world, server, status="migrating")
    return servers.start(world, "change_server_type", busy, work)


def create_image(world: World, server: Server, body: Body) -> Started:
    kind = bodies.choice(body, "type", ("snapshot", "backup"), "snapshot")
    description = bodies.some_text(body, "description") or f"{server.name} {world.stamp()}"
    image, action = images.create(world, server, kind, description, bodies.labels(body))
    return action, {"image": wire.image(world, image)}


def change_protection(world: World, server: Server, body: Body) -> Action:
    """Both must come out equal, as the real API demands."""
    delete = bodies.flag(body, "delete", server.delete_protected)
    if bodies.flag(body, "rebuild", server.rebuild_protected) != delete:
        raise errors.invalid_input("rebuild", "delete and rebuild protection must be equal")
    return _change(world, "change_protection", server, delete_protected=delete, rebuild_protected=delete)


def enable_backup(world: World, server: Server, body: Body) -> Action:
    return _change(world, "enable_backup", server, backup_window=BACKUP_WINDOW)


def disable_backup(world: World, server: Server, body: Body) -> Action:
    """Its backups go with it."""

    async def work() -> None:
        await images.remove_backups(world, server)
        servers.put(world, server, backup_window=None)

    return servers.start(world, "disable_backup", server, work)


def change_dns_ptr(world: World, server: Server, body: Body) -> Action:
    ip = bodies.address(body, "ip")
    own = [world.primary_ips[number] for number in (server.ipv4, server.ipv6) if number is not None]
    address = next((address for address in own if primary_ips.holds(address, ip)), None)
    if address is None:
        raise errors.invalid_input("ip", "is not an address of the server")
    return primary_ips.change(world, "change_dns_ptr", address, names=new_names(address, ip, body))


def new_names(address: PrimaryIp, ip: str, body: Body) -> dict[str, str]:
    """The reverse names with the body's `dns_ptr` for this IP; null takes it away."""
    name = bodies.some_text(body, "dns_ptr")
    others = {known: kept for known, kept in address.names.items() if known != ip}
    return others | ({ip: name} if name else {})


def attach_to_network(world: World, server: Server, body: Body) -> Action:
    bodies.some_text(body, "ip_range")
    network = bodies.row(body, "network", world.networks)
    ip = bodies.address(body, "ip") if body.get("ip") is not None else None
    return networks.attach(world, server, network, ip, bodies.addresses(body, "alias_ips"))


def detach_from_network(world: World, server: Server, body: Body) -> Action:
    return networks.detach(world, server, bodies.row(body, "network", world.networks))


def change_alias_ips(world: World, server: Server, body: Body) -> Action:
    network = bodies.row(body, "network", world.networks)
    if "alias_ips" not in body:
        raise errors.invalid_input("alias_ips", bodies.MISSING)
    return networks.change_aliases(world, server, network, bodies.addresses(body, "alias_ips"))


def add_to_placement_group(world: World, server: Server, body: Body) -> Action:
    group = bodies.row(body, "placement_group", world.placement_groups)
    if server.placement_group is not None:
        raise errors.refused("already_in_placement_group", "server is already in a placement group")
    _check_off(server)
    servers.check_room(world, group.id)
    return _change(world, "add_to_placement_group", server, placement_group=group.id)


def remove_from_placement_group(world: World, server: Server, body: Body) -> Action:
    if server.placement_group is None:
        raise errors.refused("invalid_input", "server is in no placement group")
    return _change(world, "remove_from_placement_group", server, placement_group=None)


ACTS: dict[str, Act] = {
    "poweron": power("start_server"),
    "poweroff": power("stop_server"),
    "shutdown": power("shutdown_server"),
    "reboot": power("reboot_server"),
    "reset": power("reset_server"),
    "rebuild": rebuild,
    "change_type": change_type,
    "create_image": create_image,
    "change_protection": change_protection,
    "enable_backup": enable_backup,
    "disable_backup": disable_backup,
    "change_dns_ptr": change_dns_ptr,
    "attach_to_network": attach_to_network,
    "detach_from_network": detach_from_network,
    "change_alias_ips": change_alias_ips,
    "add_to_placement_group": add_to_placement_group,
    "remove_from_placement_group": remove_from_placement_group,
}

# What a real server has and a machine of this sandbox has not.
MISSING = {
    "enable_rescue": "rescue system",
    "disable_rescue": "rescue system",
    "reset_password": "root password",
    "request_console": "console",
    "attach_iso": "ISO images",
    "detach_iso": "ISO images",
}


def _handler(act: Act) -> Handler:
    async def handle(request: Request) -> Response:
        world, body = world_of(request), await bodies.body_of(request)
        if not servers.is_locked(world, SERVERS.found(request)):
            await servers.rest(world, SERVERS.found(request))  # it may have been switched off from inside
        server = SERVERS.found(request)
        servers.check_unlocked(world, server)
        started = act(world, server, body)
        action, more = (started, {}) if isinstance(started, Action) else started
        return acted(action, **more)

    return handle


def _refuse(what: str) -> Handler:
    async def handle(request: Request) -> Response:
        SERVERS.found(request)
        raise errors.refused("unsupported_error", f"this sandbox has no {what}")

    return handle


def _change(world: World, command: str, server: Server, **changes: object) -> Action:
    """An action at whose end the server has these changes."""

    async def work() -> None:
        await asyncio.sleep(0)
        servers.put(world, server, **changes)

    return servers.start(world, command, server, work)


def _check_off(server: Server) -> None:
    if server.status != "off":
        raise errors.refused("server_not_stopped", "server must be stopped")
