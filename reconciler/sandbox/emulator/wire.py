"""Resources as the API of November 2026 shows them: no `datacenter`, no `deprecated`."""

from __future__ import annotations

from typing import Any, cast

from reconciler.model import Json
from reconciler.sandbox.emulator import catalogue
from reconciler.sandbox.emulator.resources import Action, Firewall, Server, SshKey
from reconciler.sandbox.emulator.world import World


def server(world: World, row: Server) -> dict[str, Json]:
    kind = next(kind for kind in catalogue.server_types() if kind["name"] == row.server_type)
    prices = cast(list[dict[str, Json]], kind["prices"])
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "created": row.created,
        "public_net": _public_net(world, row),
        "private_net": [],
        "server_type": server_type(world, kind),
        "location": next(place for place in catalogue.locations() if place["name"] == row.location),
        "image": next(image for image in catalogue.images() if image["id"] == row.image),
        "iso": None,
        "rescue_enabled": False,
        "locked": world.actions.is_locked(row.id),
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": next(price["included_traffic"] for price in prices if price["location"] == row.location),
        "protection": {"delete": False, "rebuild": False},
        "labels": dict(row.labels),
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": kind["disk"],
        "placement_group": None,
    }


def server_type(world: World, kind: dict[str, Json]) -> dict[str, Json]:
    """With today's stock. hel1 was the only recommended location of the list we know."""
    offers = [dict(offer) for offer in cast(list[dict[str, Json]], kind["locations"])]
    for offer in offers:
        available = world.stock[str(kind["name"]), str(offer["name"])]
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


def ssh_key(row: SshKey) -> dict[str, Json]:
    return {
        "id": row.id,
        "name": row.name,
        "fingerprint": row.fingerprint,
        "public_key": row.public_key,
        "labels": dict(row.labels),
        "created": row.created,
    }


def firewall(world: World, row: Firewall) -> dict[str, Json]:
    covered: list[Any] = [{"type": "server", "server": {"id": server.id}} for server in world.firewalls.covered(row)]
    selected: list[Json] = [
        {"type": "label_selector", "label_selector": {"selector": selector}, "applied_to_resources": covered}
        for selector in row.selectors
    ]
    named: list[Json] = [{"type": "server", "server": {"id": identifier}} for identifier in row.servers]
    return {
        "id": row.id,
        "name": row.name,
        "labels": dict(row.labels),
        "created": row.created,
        "rules": [dict(rule) for rule in row.rules],
        "applied_to": selected + named,
    }


def primary_ip(world: World, row: Server) -> dict[str, Json]:
    """Every server's own IPv4: assigned to it, and gone with it."""
    return {
        "id": row.address_id,
        "name": f"primary_ip-{row.address_id}",
        "labels": {},
        "created": row.created,
        "blocked": False,
        "location": next(place for place in catalogue.locations() if place["name"] == row.location),
        "ip": row.address,
        "dns_ptr": [{"ip": row.address, "dns_ptr": _reverse_name(row)}],
        "protection": {"delete": False},
        "type": "ipv4",
        "auto_delete": True,
        "assignee_type": "server",
        "assignee_id": row.id,
    }


def _public_net(world: World, row: Server) -> dict[str, Json]:
    """The sandbox's machines have no IPv6, so none is promised."""
    covering = [
        {"id": covering.id, "status": "pending" if world.firewalls.is_pending(covering, row) else "applied"}
        for covering in world.firewalls.of(row)
    ]
    ipv4: Json = {"id": row.address_id, "ip": row.address, "blocked": False, "dns_ptr": _reverse_name(row)}
    return {"ipv4": ipv4, "ipv6": None, "floating_ips": [], "firewalls": cast(Json, covering)}


def _reverse_name(row: Server) -> str:
    return f"static.{'.'.join(reversed(row.address.split('.')))}.clients.your-server.de"
