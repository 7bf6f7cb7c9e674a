"""The operations on private networks and primary IPs: read a request, ask the world, answer in wire form."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import bodies, catalogue, errors, networks, orders, primary_ips, servers, wire
from reconciler.sandbox.emulator.handling import Body, acted, action_routes, reading_routes, world_of
from reconciler.sandbox.emulator.kinds import NETWORKS, PRIMARY_IPS
from reconciler.sandbox.emulator.resources import Network
from reconciler.sandbox.emulator.server_actions import new_names

_SUBNET_TYPES = ("cloud", "server", "vswitch")
_ZONES = ("eu-central", "us-east", "us-west", "ap-southeast")


def network_routes() -> list[Route]:
    return [
        Route("/networks", create_network, methods=["POST"]),
        Route("/networks/{id}", update_network, methods=["PUT"]),
        Route("/networks/{id}", delete_network, methods=["DELETE"]),
        Route("/networks/{id}/actions/add_subnet", add_subnet, methods=["POST"]),
        Route("/networks/{id}/actions/delete_subnet", delete_subnet, methods=["POST"]),
        Route("/networks/{id}/actions/add_route", add_route, methods=["POST"]),
        Route("/networks/{id}/actions/delete_route", delete_route, methods=["POST"]),
        Route("/networks/{id}/actions/change_ip_range", change_ip_range, methods=["POST"]),
        Route("/networks/{id}/actions/change_protection", protect_network, methods=["POST"]),
        *action_routes(NETWORKS),
        *reading_routes(NETWORKS),
        Route("/primary_ips", create_primary_ip, methods=["POST"]),
        Route("/primary_ips/{id}", update_primary_ip, methods=["PUT"]),
        Route("/primary_ips/{id}", delete_primary_ip, methods=["DELETE"]),
        Route("/primary_ips/{id}/actions/assign", assign, methods=["POST"]),
        Route("/primary_ips/{id}/actions/unassign", unassign, methods=["POST"]),
        Route("/primary_ips/{id}/actions/change_dns_ptr", change_dns_ptr, methods=["POST"]),
        Route("/primary_ips/{id}/actions/change_protection", protect_primary_ip, methods=["POST"]),
        *action_routes(PRIMARY_IPS),
        *reading_routes(PRIMARY_IPS),
    ]


async def create_network(request: Request) -> Response:
    world = world_of(request)
    body = await bodies.body_of(request)
    name, whole = bodies.text(body, "name", 128), bodies.ip_range(body, "ip_range")
    subnets: tuple[dict[str, Json], ...] = ()
    for entry in bodies.items(body, "subnets"):
        subnets = (*subnets, networks.subnet_of(whole, subnets, _subnet(entry, "subnets")))
    routes = tuple(_route(entry, "routes") for entry in bodies.items(body, "routes"))
    expose, labels = bodies.flag(body, "expose_routes_to_vswitch", False), bodies.labels(body)
    world.check_limit("networks", len(world.networks))
    _check_network_name(request, name)
    row = Network(world.new_id(), name, world.stamp(), whole, subnets, routes, expose, labels=labels)
    return NETWORKS.answer(request, world.networks.put(row), 201)


async def update_network(request: Request) -> Response:
    row, body = NETWORKS.found(request), await bodies.body_of(request)
    changes = bodies.changed(body, row.name, lambda name: _check_network_name(request, name))
    expose = bodies.flag(body, "expose_routes_to_vswitch", row.expose_routes)
    return NETWORKS.answer(request, world_of(request).networks.put(replace(row, expose_routes=expose, **changes)))


async def delete_network(request: Request) -> Response:
    networks.remove(world_of(request), NETWORKS.found(request))
    return Response(status_code=204)


async def add_subnet(request: Request) -> Response:
    row, body = NETWORKS.found(request), await bodies.body_of(request)
    subnet = networks.subnet_of(row.ip_range, row.subnets, _subnet(dict(body), None))
    return acted(networks.change(world_of(request), "add_subnet", row, subnets=(*row.subnets, subnet)))


async def delete_subnet(request: Request) -> Response:
    row, gone = NETWORKS.found(request), bodies.ip_range(await bodies.body_of(request), "ip_range")
    left = tuple(subnet for subnet in row.subnets if subnet["ip_range"] != gone)
    if left == row.subnets:
        raise errors.invalid_input("ip_range", "the network has no such subnet")
    return acted(networks.change(world_of(request), "delete_subnet", row, subnets=left))


async def add_route(request: Request) -> Response:
    row, route = NETWORKS.found(request), _route(dict(await bodies.body_of(request)), None)
    return acted(networks.change(world_of(request), "add_route", row, routes=(*row.routes, route)))


async def delete_route(request: Request) -> Response:
    row, gone = NETWORKS.found(request), _route(dict(await bodies.body_of(request)), None)
    left = tuple(route for route in row.routes if route != gone)
    if left == row.routes:
        raise errors.invalid_input("destination", "the network has no such route")
    return acted(networks.change(world_of(request), "delete_route", row, routes=left))


async def change_ip_range(request: Request) -> Response:
    row, whole = NETWORKS.found(request), bodies.ip_range(await bodies.body_of(request), "ip_range")
    return acted(networks.change(world_of(request), "change_ip_range", row, ip_range=whole))


async def protect_network(request: Request) -> Response:
    row, body = NETWORKS.found(request), await bodies.body_of(request)
    delete = bodies.flag(body, "delete", row.protected)
    return acted(networks.change(world_of(request), "change_protection", row, protected=delete))


def _check_network_name(request: Request, name: str) -> None:
    if world_of(request).networks.named(name):
        raise errors.uniqueness("name", "network name is already used")


def _subnet(entry: Json, inside: str | None) -> dict[str, Json]:
    """A wanted subnet, checked. `inside` is the field to blame when it is part of a list."""
    given = _object(entry, inside)
    bodies.choice(given, "type", _SUBNET_TYPES)
    bodies.choice(given, "network_zone", _ZONES)
    vswitch = given.get("vswitch_id")
    if vswitch is not None and (isinstance(vswitch, bool) or not isinstance(vswitch, int)):
        raise errors.invalid_input("vswitch_id", "must be an integer")
    return {**given, "ip_range": bodies.ip_range(given, "ip_range") if given.get("ip_range") is not None else None}


def _route(entry: Json, inside: str | None) -> dict[str, Json]:
    given = _object(entry, inside)
    return {"destination": bodies.ip_range(given, "destination"), "gateway": bodies.address(given, "gateway")}


def _object(entry: Json, field: str | None) -> Body:
    if not isinstance(entry, dict):
        raise errors.invalid_input(field or "body", "must be an object")
    return entry


# --- primary IPs ---------------------------------------------------------------------------------------------


async def create_primary_ip(request: Request) -> Response:
    """In a location, or assigned at once to a server that is off."""
    world, body = world_of(request), await bodies.body_of(request)
    bodies.choice(body, "assignee_type", ("server",), "server")
    assignee = bodies.row(body, "assignee_id", world.servers) if body.get("assignee_id") is not None else None
    if assignee is None and body.get("location") is None:
        raise errors.invalid_input("location", bodies.MISSING)
    location = assignee.location if assignee else orders.catalogued(catalogue.locations(), body, "location")["name"]
    row = primary_ips.make(
        world,
        bodies.choice(body, "type", ("ipv4", "ipv6")),
        str(location),
        bodies.text(body, "name"),
        bodies.labels(body),
        auto_delete=bodies.flag(body, "auto_delete", False),
    )
    try:
        action = primary_ips.assign(world, row, assignee) if assignee else None
    except errors.ApiError:
        primary_ips.remove(world, row)
        raise
    return PRIMARY_IPS.answer(request, row, 201, action=wire.action(action) if action else None)


async def update_primary_ip(request: Request) -> Response:
    world, row, body = world_of(request), PRIMARY_IPS.found(request), await bodies.body_of(request)
    changes = bodies.changed(body, row.name, lambda name: primary_ips.check_name(world, name))
    auto_delete = bodies.flag(body, "auto_delete", row.auto_delete)
    return PRIMARY_IPS.answer(request, world.primary_ips.put(replace(row, auto_delete=auto_delete, **changes)))


async def delete_primary_ip(request: Request) -> Response:
    primary_ips.remove(world_of(request), PRIMARY_IPS.found(request))
    return Response(status_code=204)


async def assign(request: Request) -> Response:
    world, body = world_of(request), await bodies.body_of(request)
    bodies.choice(body, "assignee_type", ("server",))
    server = bodies.row(body, "assignee_id", world.servers)
    servers.check_unlocked(world, server)
    return acted(primary_ips.assign(world, PRIMARY_IPS.found(request), server))


async def unassign(request: Request) -> Response:
    world, row = world_of(request), PRIMARY_IPS.found(request)
    if assignee := world.servers.get(row.server or 0):
        servers.check_unlocked(world, assignee)
    return acted(primary_ips.unassign(world, row))


async def change_dns_ptr(request: Request) -> Response:
    row, body = PRIMARY_IPS.found(request), await bodies.body_of(request)
    ip = bodies.address(body, "ip")
    if not primary_ips.holds(row, ip):
        raise errors.invalid_input("ip", "is not in the primary IP")
    return acted(primary_ips.change(world_of(request), "change_dns_ptr", row, names=new_names(row, ip, body)))


async def protect_primary_ip(request: Request) -> Response:
    row, body = PRIMARY_IPS.found(request), await bodies.body_of(request)
    protected = bodies.flag(body, "delete")
    return acted(primary_ips.change(world_of(request), "change_protection", row, protected=protected))
