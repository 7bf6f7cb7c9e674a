"""Resources as the API of November 2026 shows them: no `datacenter`, no `deprecated`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from reconciler.model import Json
from reconciler.sandbox.emulator import catalogue, networks, servers
from reconciler.sandbox.emulator.resources import (
    Action,
    Firewall,
    Image,
    Network,
    PlacementGroup,
    PrimaryIp,
    Server,
    SshKey,
)
from reconciler.sandbox.emulator.world import World


def server(world: World, row: Server) -> dict[str, Json]:
    kind = catalogue.server_type(row.server_type)
    prices = cast(list[dict[str, Json]], kind["prices"])
    group = world.placement_groups.get(row.placement_group or 0)
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "created": row.created,
        "public_net": _public_net(world, row),
        "private_net": [dict(entry) for entry in row.networks],
        "server_type": server_type(world, kind),
        "location": catalogue.location(row.location),
        "image": _image_of(world, row),
        "iso": None,
        "rescue_enabled": False,
        "locked": servers.is_locked(world, row),
        "backup_window": row.backup_window,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": next(price["included_traffic"] for price in prices if price["location"] == row.location),
        "protection": {"delete": row.delete_protected, "rebuild": row.rebuild_protected},
        "labels": dict(row.labels),
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": row.disk,
        "placement_group": placement_group(world, group) if group else None,
    }


def server_type(world: World, kind: Mapping[str, Json]) -> dict[str, Json]:
    """With today's stock. hel1 was the only recommended location of the list we know."""
    offers = [dict(offer) for offer in cast(list[dict[str, Json]], kind["locations"])]
    for offer in offers:
        available = world.sells(str(kind["name"]), str(offer["name"]))
        offer |= {"available": available, "recommended": available and offer["name"] == "hel1"}
    return {**kind, "locations": cast(Json, offers)}


def action(row: Action) -> dict[str, Json]:
    return {
        "id": row.id,
        "command": row.command,
        "status": row.status,
        "progress": 0 if row.status == "running" else 100,
        "started": row.started,
        "finished": row.finished,
        "resources": [{"id": identifier, "type": kind} for kind, identifier in row.resources],
        "error": {"code": row.error[0], "message": row.error[1]} if row.error else None,
    }


def ssh_key(world: World, row: SshKey) -> dict[str, Json]:
    return {**_named(row), "fingerprint": row.fingerprint, "public_key": row.public_key}


def firewall(world: World, row: Firewall) -> dict[str, Json]:
    covered: list[Any] = [{"type": "server", "server": {"id": server.id}} for server in world.firewalls.covered(row)]
    selected: list[Json] = [
        {"type": "label_selector", "label_selector": {"selector": selector}, "applied_to_resources": covered}
        for selector in row.selectors
    ]
    named: list[Json] = [{"type": "server", "server": {"id": identifier}} for identifier in row.servers]
    return {**_named(row), "rules": [dict(rule) for rule in row.rules], "applied_to": selected + named}


def placement_group(world: World, row: PlacementGroup) -> dict[str, Json]:
    members: list[Json] = [server.id for server in world.servers.values() if server.placement_group == row.id]
    return {**_named(row), "type": row.type, "servers": members}


def network(world: World, row: Network) -> dict[str, Json]:
    return {
        **_named(row),
        "ip_range": row.ip_range,
        "subnets": [dict(subnet) for subnet in row.subnets],
        "routes": [dict(route) for route in row.routes],
        "servers": [server.id for server in networks.members(world, row)],
        "load_balancers": [],
        "protection": {"delete": row.protected},
        "expose_routes_to_vswitch": row.expose_routes,
    }


def primary_ip(world: World, row: PrimaryIp) -> dict[str, Json]:
    return {
        **_named(row),
        "blocked": False,
        "location": catalogue.location(row.location),
        "ip": row.ip,
        "dns_ptr": _reverse_names(row),
        "protection": {"delete": row.protected},
        "type": row.type,
        "auto_delete": row.auto_delete,
        "assignee_type": "unassigned" if row.server is None else "server",
        "assignee_id": row.server,
    }


def image(world: World, row: Image | Mapping[str, Json]) -> dict[str, Json]:
    """The catalogue's are in wire form already."""
    if isinstance(row, Mapping):
        return dict(row)
    flavor, _, version = row.system.partition("-")
    return {
        **_named(row),
        "type": row.type,
        "status": row.status,
        "description": row.description,
        "image_size": 1.5 if row.status == "available" else None,  # nobody measures it here
        "disk_size": row.disk,
        "created_from": {"id": row.created_from[0], "name": row.created_from[1]},
        "bound_to": row.bound_to,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": False,
        "protection": {"delete": row.protected},
        "deprecation": None,
        "deleted": None,
        "architecture": row.architecture,
    }


def _named(row: SshKey | Firewall | PlacementGroup | Network | PrimaryIp | Image) -> dict[str, Json]:
    return {"id": row.id, "name": row.name, "labels": dict(row.labels), "created": row.created}


def _image_of(world: World, row: Server) -> Json:
    """None when it has been deleted."""
    own = world.images.get(row.image)
    return image(world, own) if own else catalogue.image(row.image)


def _public_net(world: World, row: Server) -> dict[str, Json]:
    covering: list[Json] = [
        {"id": covering.id, "status": "pending" if world.firewalls.is_pending(covering, row) else "applied"}
        for covering in world.firewalls.of(row)
    ]
    return {
        "ipv4": _address(world, row.ipv4),
        "ipv6": _address(world, row.ipv6),
        "floating_ips": [],
        "firewalls": covering,
    }


def _address(world: World, identifier: int | None) -> Json:
    if identifier is None:
        return None
    row = world.primary_ips[identifier]
    names = _reverse_names(row)
    single = cast(dict[str, Json], names[0])["dns_ptr"] if row.type == "ipv4" else names
    return {"id": row.id, "ip": row.ip, "blocked": False, "dns_ptr": single}


def _reverse_names(row: PrimaryIp) -> list[Json]:
    """IPv4 has one from the start, IPv6 those that were set."""
    if row.type == "ipv4":
        usual = f"static.{'.'.join(reversed(row.ip.split('.')))}.clients.your-server.de"
        return [{"ip": row.ip, "dns_ptr": row.names.get(row.ip, usual)}]
    return [{"ip": ip, "dns_ptr": name} for ip, name in row.names.items()]
