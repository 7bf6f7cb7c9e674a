"""The operations on servers and on actions: read a request, ask the world, answer in wire form."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import bodies, errors, wire
from reconciler.sandbox.emulator.handling import Handler, find, shown_actions, world_of
from reconciler.sandbox.emulator.listing import Listing, answer_list, number
from reconciler.sandbox.emulator.orders import read_order
from reconciler.sandbox.emulator.resources import Action, Server

_POWER = {
    "poweron": "start_server",
    "poweroff": "stop_server",
    "shutdown": "shutdown_server",
    "reboot": "reboot_server",
    "reset": "reset_server",
}
_ACTIONS = Listing("actions", ("id", "status"), ("id", "command", "status", "started", "finished"))
_SERVERS = Listing("servers", ("name", "status"))


def server_routes() -> list[Route]:
    power = [
        Route(f"/servers/{{id}}/actions/{verb}", _power(command), methods=["POST"]) for verb, command in _POWER.items()
    ]
    return [
        Route("/servers", list_servers, methods=["GET"]),
        Route("/servers", create_server, methods=["POST"]),
        Route("/servers/actions", list_server_actions, methods=["GET"]),
        Route("/servers/{id}", get_server, methods=["GET"]),
        Route("/servers/{id}", update_server, methods=["PUT"]),
        Route("/servers/{id}", delete_server, methods=["DELETE"]),
        Route("/servers/{id}/actions", list_actions_of_server, methods=["GET"]),
        *power,
        Route("/actions", list_actions, methods=["GET"]),
        Route("/actions/{id}", get_action, methods=["GET"]),
    ]


async def list_servers(request: Request) -> Response:
    world = world_of(request)
    await world.refresh()
    return answer_list(request, _SERVERS, [wire.server(world, row) for row in world.servers.values()])


async def get_server(request: Request) -> Response:
    world = world_of(request)
    await world.refresh()
    return JSONResponse({"server": wire.server(world, _server(request))})


async def create_server(request: Request) -> Response:
    world = world_of(request)
    order, firewalls = read_order(world, await bodies.body_of(request))
    row, action, following = world.create_server(order)
    for firewall in firewalls:
        world.firewalls.attach(world.firewalls.by_id[firewall], [], [row.id])
    answer: dict[str, Json] = {
        "server": wire.server(world, row),
        "action": wire.action(action),
        "next_actions": shown_actions(following),
        "root_password": None,
    }
    return JSONResponse(answer, 201)


async def update_server(request: Request) -> Response:
    world = world_of(request)
    name, labels = bodies.changes(await bodies.body_of(request))
    if name is not None and not bodies.HOSTNAME.fullmatch(name):
        raise errors.invalid_input("name", "must be a valid hostname")
    return JSONResponse({"server": wire.server(world, world.update_server(_server(request), name, labels))})


async def delete_server(request: Request) -> Response:
    return JSONResponse({"action": wire.action(world_of(request).delete_server(_server(request)))})


def _power(command: str) -> Handler:
    async def handle(request: Request) -> Response:
        return JSONResponse({"action": wire.action(world_of(request).power(_server(request), command))}, 201)

    return handle


# --- actions -------------------------------------------------------------------------------------------------


async def list_actions(request: Request) -> Response:
    """Without ids it was removed on 2025-01-30; what exactly the live API answers then is not known."""
    if not request.query_params.getlist("id"):
        raise errors.ApiError(410, "deprecated_api_endpoint", "listing all actions is no longer supported, pass ids")
    return _list_of_actions(request, world_of(request).actions.by_id.values())


async def get_action(request: Request) -> Response:
    return JSONResponse({"action": wire.action(find(world_of(request).actions.by_id, request, "action"))})


async def list_server_actions(request: Request) -> Response:
    rows = world_of(request).actions.by_id.values()
    return _list_of_actions(request, (row for row in rows if row.server_id is not None))


async def list_actions_of_server(request: Request) -> Response:
    server = _server(request)
    rows = world_of(request).actions.by_id.values()
    return _list_of_actions(request, (row for row in rows if row.server_id == server.id))


def _list_of_actions(request: Request, rows: Iterable[Action]) -> Response:
    for identifier in request.query_params.getlist("id"):
        number(identifier, "id")
    return answer_list(request, _ACTIONS, map(wire.action, rows))


def _server(request: Request) -> Server:
    return find(world_of(request).servers, request, "server")
