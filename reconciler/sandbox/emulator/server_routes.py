"""The operations on servers and on actions: read a request, ask the world, answer in wire form."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulator import bodies, errors, orders, servers, wire
from reconciler.sandbox.emulator.handling import (
    action_routes,
    answer_actions,
    find,
    shown_actions,
    world_of,
)
from reconciler.sandbox.emulator.kinds import SERVERS
from reconciler.sandbox.emulator.listing import answer_list, number
from reconciler.sandbox.emulator.server_actions import server_action_routes


def server_routes() -> list[Route]:
    return [
        Route("/servers", list_servers, methods=["GET"]),
        Route("/servers", create_server, methods=["POST"]),
        *action_routes(SERVERS),
        Route("/servers/{id}", get_server, methods=["GET"]),
        Route("/servers/{id}", update_server, methods=["PUT"]),
        Route("/servers/{id}", delete_server, methods=["DELETE"]),
        *server_action_routes(),
        Route("/actions", list_actions, methods=["GET"]),
        Route("/actions/{id}", get_action, methods=["GET"]),
    ]


async def list_servers(request: Request) -> Response:
    world = world_of(request)
    await servers.refresh(world)
    return answer_list(request, SERVERS.listing, world.servers.values(), lambda row: wire.server(world, row))


async def get_server(request: Request) -> Response:
    await servers.refresh(world_of(request))
    return SERVERS.answer(request, SERVERS.found(request))


async def create_server(request: Request) -> Response:
    world = world_of(request)
    row, action, following = servers.create(world, orders.read_order(world, await bodies.body_of(request)))
    more = {"action": wire.action(action), "next_actions": shown_actions(following), "root_password": None}
    return SERVERS.answer(request, row, 201, **more)


async def update_server(request: Request) -> Response:
    body = await bodies.body_of(request)
    name, labels = bodies.changes(body)
    if name is not None:
        orders.hostname(body)
    return SERVERS.answer(request, servers.update(world_of(request), SERVERS.found(request), name, labels))


async def delete_server(request: Request) -> Response:
    return JSONResponse({"action": wire.action(servers.delete(world_of(request), SERVERS.found(request)))})


async def list_actions(request: Request) -> Response:
    """Without ids it was removed on 2025-01-30; what exactly the live API answers then is not known."""
    wanted = [number(identifier, "id") for identifier in request.query_params.getlist("id")]
    if not wanted:
        raise errors.ApiError(410, "deprecated_api_endpoint", "listing all actions is no longer supported, pass ids")
    known = world_of(request).actions.by_id
    return answer_actions(request, [known[identifier] for identifier in dict.fromkeys(wanted) if identifier in known])


async def get_action(request: Request) -> Response:
    return JSONResponse({"action": wire.action(find(world_of(request).actions.by_id, request, "action"))})
