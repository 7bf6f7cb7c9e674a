"""The emulated private networks. They are shown and not emulated: machines have no interface in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from itertools import islice

from reconciler.model import Json
from reconciler.sandbox.emulator import errors
from reconciler.sandbox.emulator.resources import Action, Network, Server, ServerOrder
from reconciler.sandbox.emulator.world import World

_MOST_NETWORKS = 3  # of a server


def subnet_of(network_range: str, subnets: Sequence[Mapping[str, Json]], wanted: Mapping[str, Json]) -> dict[str, Json]:
    """A subnet in wire form; without a range it gets the next free /24. Raises ApiError when it does not fit."""
    whole = IPv4Network(network_range)
    taken = [IPv4Network(str(subnet["ip_range"])) for subnet in subnets]
    given = wanted.get("ip_range")
    candidates: Iterator[IPv4Network] = (
        iter([IPv4Network(str(given))]) if given else whole.subnets(new_prefix=max(24, whole.prefixlen))
    )
    for candidate in candidates:
        if candidate.subnet_of(whole) and not any(candidate.overlaps(other) for other in taken):
            chosen = {"type": wanted["type"], "ip_range": str(candidate), "network_zone": wanted["network_zone"]}
            return {**chosen, "gateway": str(whole[1]), "vswitch_id": wanted.get("vswitch_id")}
    raise errors.refused("networks_overlap" if given else "no_subnet_available", "there is no room for the subnet")


def attach(
    world: World, server: Server, network: Network, ip: str | None = None, aliases: Sequence[str] = ()
) -> Action:
    """Raises ApiError when it is attached already, or there is no free address.

    Which address it is shows when the action ends.
    """
    if _is_in(server, network):
        raise errors.refused("server_already_attached", "server is already attached to the network")
    if len(server.networks) >= _MOST_NETWORKS:
        raise errors.limit_exceeded("networks")
    free_address(world, network, ip)
    return _act(world, "attach_to_network", network, lambda: _join(world, server.id, network.id, ip, aliases), server)


def check_order(world: World, order: ServerOrder) -> None:
    """Whether a new server can be in the networks that the order names. Raises ApiError."""
    if len(order.networks) > _MOST_NETWORKS:
        raise errors.limit_exceeded("networks")
    for network in order.networks:
        free_address(world, world.networks[network])


def detach(world: World, server: Server, network: Network) -> Action:
    check_attached(server, network)
    return _act(world, "detach_from_network", network, lambda: _part(world, server.id, network.id), server)


def change_aliases(world: World, server: Server, network: Network, aliases: Sequence[str]) -> Action:
    check_attached(server, network)

    def put() -> None:
        now = world.servers[server.id].networks
        others = tuple(entry for entry in now if entry["network"] != network.id)
        own: Mapping[str, Json] = {
            **next(entry for entry in now if entry["network"] == network.id),
            "alias_ips": list(aliases),
        }
        world.servers.put(replace(world.servers[server.id], networks=(*others, own)))

    return _act(world, "change_alias_ips", network, put, server)


def change(world: World, command: str, network: Network, **changes: object) -> Action:
    """An action at whose end the network has these changes."""

    def put() -> None:
        world.networks.put(replace(world.networks[network.id], **changes))  # type: ignore[arg-type]

    return _act(world, command, network, put)


def remove(world: World, network: Network) -> None:
    """Servers in it are detached."""
    if network.protected:
        raise errors.protected("network")
    for server in members(world, network):
        _part(world, server.id, network.id)
    world.networks.remove(network.id)


def members(world: World, network: Network) -> list[Server]:
    return [server for server in world.servers.values() if _is_in(server, network)]


def check_attached(server: Server, network: Network) -> None:
    if not _is_in(server, network):
        raise errors.refused("invalid_input", "server is not attached to the network")


def _is_in(server: Server, network: Network) -> bool:
    return any(entry["network"] == network.id for entry in server.networks)


def free_address(world: World, network: Network, wanted: str | None = None) -> str:
    """The wanted address or the next free one, of the network's subnets; the first of each is a gateway's."""
    ranges = [IPv4Network(str(subnet["ip_range"])) for subnet in network.subnets]
    entries = [entry for server in world.servers.values() for entry in server.networks]
    used = {entry["ip"] for entry in entries if entry["network"] == network.id}
    if not ranges:
        raise errors.refused("no_subnet_available", "the network has no subnet")
    if wanted is not None:
        if wanted in used or not any(ip_address(wanted) in known for known in ranges):
            raise errors.refused("ip_not_available", "the IP is not available in the network")
        return wanted
    for known in ranges:
        for address in islice(known.hosts(), 1, None):
            if str(address) not in used:
                return str(address)
    raise errors.refused("ip_not_available", "the network has no free IP")


def _join(world: World, server_id: int, network_id: int, ip: str | None, aliases: Sequence[str]) -> None:
    server, network = world.servers.get(server_id), world.networks.get(network_id)
    if server is None or network is None:
        return
    number = f"{server_id & 0xFFFFFF:06x}"
    entry: dict[str, Json] = {
        "network": network_id,
        "ip": free_address(world, network, ip),
        "alias_ips": list(aliases),
        "mac_address": f"86:00:00:{number[:2]}:{number[2:4]}:{number[4:]}",
    }
    world.servers.put(replace(server, networks=(*server.networks, entry)))


def _part(world: World, server_id: int, network_id: int) -> None:
    server = world.servers[server_id]
    left = tuple(entry for entry in server.networks if entry["network"] != network_id)
    world.servers.put(replace(server, networks=left))


def _act(world: World, command: str, network: Network, put: Callable[[], None], server: Server | None = None) -> Action:
    async def work() -> None:
        await asyncio.sleep(0)
        put()

    about = (("server", server.id),) if server else ()
    return world.start(command, work, *about, ("network", network.id))
