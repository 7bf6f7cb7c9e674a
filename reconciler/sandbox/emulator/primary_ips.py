"""The emulated primary IPs: each server's own addresses, and those that outlive their servers.

A sandbox machine gets its IPv4 address when it is created and never another: assigning a primary IP later changes what
the API shows and not the machine. IPv6 networks are shown and not emulated: nothing answers there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv6Network

from reconciler.sandbox.emulator import errors
from reconciler.sandbox.emulator.resources import Action, PrimaryIp, Server, ServerOrder
from reconciler.sandbox.emulator.world import World


def make(
    world: World,
    kind: str,
    location: str,
    name: str | None = None,
    labels: Mapping[str, str] | None = None,
    *,
    server: int | None = None,
    auto_delete: bool,
) -> PrimaryIp:
    """A new one of kind "ipv4" or "ipv6". Raises ApiError for a taken name and at the limit."""
    world.check_limit("primary_ips", len(world.primary_ips))
    number = world.new_id()
    name = name or f"primary_ip-{number}"
    check_name(world, name)
    if kind == "ipv4":
        ip = world.addresses.hold_next()
    else:
        ip = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"  # RFC 3849: routed nowhere
        world.addresses.hold(ip)
    made = PrimaryIp(number, name, world.stamp(), kind, ip, location, server, auto_delete, labels=labels or {})
    return world.primary_ips.put(made)


def holds(address: PrimaryIp, ip: str) -> bool:
    """Whether the single IP is, or is in, this one."""
    if address.type == "ipv4" or ":" not in ip:
        return address.ip == ip
    return IPv6Network(ip).subnet_of(IPv6Network(address.ip))


def check_name(world: World, name: str) -> None:
    if world.primary_ips.named(name):
        raise errors.uniqueness("name", "primary IP name is already used")


def remove(world: World, address: PrimaryIp) -> None:
    if address.protected:
        raise errors.protected("primary IP")
    if address.server is not None:
        raise errors.refused("must_be_unassigned", "primary IP must be unassigned before it can be deleted")
    _drop(world, address)


def check_order(world: World, order: ServerOrder) -> None:
    """Whether the order may have the primary IPs that it wants. Raises ApiError."""
    new = [order.ipv4, order.ipv6].count(True)
    world.check_limit("primary_ips", len(world.primary_ips) + max(0, new - 1))
    for kind, wanted in (("ipv4", order.ipv4), ("ipv6", order.ipv6)):
        if isinstance(wanted, bool):
            continue
        address = world.primary_ips[wanted]
        if address.type != kind:
            raise errors.ApiError(412, "primary_ip_version_mismatch", f"primary IP {wanted} is no {kind}")
        if address.server is not None:
            raise errors.refused("primary_ip_assigned", "primary IP is already assigned")
        if address.location != order.location:
            raise errors.refused("primary_ip_datacenter_mismatch", "primary IP is in another location")
        if world.addresses.holders(address.ip) > 1:
            raise errors.unsupported("a machine of this sandbox still uses that address; delete its server first")


def for_order(world: World, kind: str, wanted: int | bool, location: str, server: int) -> int | None:
    """The id of the address that a new server gets."""
    if wanted is False:
        return None
    if wanted is True:
        return make(world, kind, location, server=server, auto_delete=True).id
    return world.primary_ips.put(replace(world.primary_ips[wanted], server=server)).id


def leave(world: World, server: Server) -> None:
    """The server has gone: its addresses go with it or stay behind."""
    for identifier in (server.ipv4, server.ipv6):
        if identifier is None:
            continue
        address = world.primary_ips[identifier]
        if address.auto_delete and not address.protected:
            _drop(world, address)
        else:
            world.primary_ips.put(replace(address, server=None))


def assign(world: World, address: PrimaryIp, server: Server) -> Action:
    """Raises ApiError unless the server is off and lacks an address of this kind."""
    if address.server is not None:
        raise errors.refused("primary_ip_already_assigned", "primary IP is already assigned")
    _check_off(server)
    if getattr(server, address.type) is not None:
        raise errors.refused(f"server_has_{address.type}", f"server has already an {address.type} address")
    return _act(world, "assign_primary_ip", address, server, lambda: _set(world, address, server, server.id))


def unassign(world: World, address: PrimaryIp) -> Action:
    if address.server is None:
        raise errors.refused("primary_ip_not_assigned", "primary IP is not assigned")
    server = world.servers[address.server]
    _check_off(server)
    return _act(world, "unassign_primary_ip", address, server, lambda: _set(world, address, server, None))


def change(world: World, command: str, address: PrimaryIp, **changes: object) -> Action:
    """An action at whose end the address has these changes."""

    def put() -> None:
        world.primary_ips.put(replace(world.primary_ips[address.id], **changes))  # type: ignore[arg-type]

    server = world.servers.get(address.server or 0)
    return _act(world, command, address, server, put)


def _act(world: World, command: str, address: PrimaryIp, server: Server | None, put: Callable[[], object]) -> Action:
    async def work() -> None:
        await asyncio.sleep(0)
        put()

    about = (("server", server.id),) if server else ()
    return world.start(command, work, *about, ("primary_ip", address.id))


def _set(world: World, address: PrimaryIp, server: Server, assignee: int | None) -> None:
    world.primary_ips.put(replace(world.primary_ips[address.id], server=assignee))
    identifier = None if assignee is None else address.id
    own = world.servers[server.id]
    ipv4 = identifier if address.type == "ipv4" else own.ipv4
    ipv6 = identifier if address.type == "ipv6" else own.ipv6
    world.servers.put(replace(own, ipv4=ipv4, ipv6=ipv6))


def _check_off(server: Server) -> None:
    if server.status != "off":
        raise errors.refused("server_not_stopped", "server must be stopped")


def _drop(world: World, address: PrimaryIp) -> None:
    world.primary_ips.remove(address.id)
    world.addresses.release(address.ip)
