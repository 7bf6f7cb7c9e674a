"""The operations on ssh keys and firewalls: read a request, ask the world, answer in wire form."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulator import bodies, wire
from reconciler.sandbox.emulator.handling import find, shown_actions, world_of
from reconciler.sandbox.emulator.listing import Listing, answer_list
from reconciler.sandbox.emulator.resources import Firewall

_KEYS = Listing("ssh_keys", ("name", "fingerprint"))


def project_routes() -> list[Route]:
    return [
        Route("/ssh_keys", list_ssh_keys, methods=["GET"]),
        Route("/ssh_keys", create_ssh_key, methods=["POST"]),
        Route("/ssh_keys/{id}", get_ssh_key, methods=["GET"]),
        Route("/ssh_keys/{id}", update_ssh_key, methods=["PUT"]),
        Route("/ssh_keys/{id}", delete_ssh_key, methods=["DELETE"]),
        Route("/firewalls", list_firewalls, methods=["GET"]),
        Route("/firewalls", create_firewall, methods=["POST"]),
        Route("/firewalls/{id}", get_firewall, methods=["GET"]),
        Route("/firewalls/{id}", update_firewall, methods=["PUT"]),
        Route("/firewalls/{id}", delete_firewall, methods=["DELETE"]),
        Route("/firewalls/{id}/actions/set_rules", set_rules, methods=["POST"]),
        Route("/firewalls/{id}/actions/apply_to_resources", apply_firewall, methods=["POST"]),
        Route("/firewalls/{id}/actions/remove_from_resources", remove_firewall, methods=["POST"]),
    ]


async def list_ssh_keys(request: Request) -> Response:
    return answer_list(request, _KEYS, map(wire.ssh_key, world_of(request).ssh_keys.by_id.values()))


async def get_ssh_key(request: Request) -> Response:
    return JSONResponse({"ssh_key": wire.ssh_key(find(world_of(request).ssh_keys.by_id, request, "ssh_key"))})


async def create_ssh_key(request: Request) -> Response:
    body = await bodies.body_of(request)
    public_key = bodies.text(body, "public_key", 16_384)
    fingerprint = bodies.fingerprint(public_key)
    row = world_of(request).ssh_keys.add(bodies.text(body, "name"), public_key, fingerprint, bodies.labels(body))
    return JSONResponse({"ssh_key": wire.ssh_key(row)}, 201)


async def update_ssh_key(request: Request) -> Response:
    world = world_of(request)
    row = find(world.ssh_keys.by_id, request, "ssh_key")
    changed = world.ssh_keys.update(row, *bodies.changes(await bodies.body_of(request)))
    return JSONResponse({"ssh_key": wire.ssh_key(changed)})


async def delete_ssh_key(request: Request) -> Response:
    world = world_of(request)
    world.ssh_keys.remove(find(world.ssh_keys.by_id, request, "ssh_key"))
    return Response(status_code=204)


# --- firewalls -----------------------------------------------------------------------------------------------


async def list_firewalls(request: Request) -> Response:
    world = world_of(request)
    return answer_list(
        request, Listing("firewalls"), [wire.firewall(world, row) for row in world.firewalls.by_id.values()]
    )


async def get_firewall(request: Request) -> Response:
    return JSONResponse({"firewall": wire.firewall(world_of(request), _firewall(request))})


async def create_firewall(request: Request) -> Response:
    world = world_of(request)
    body = await bodies.body_of(request)
    selectors, servers = bodies.targets(body, "apply_to")
    row = world.firewalls.add(bodies.text(body, "name", 128), bodies.rules(body), bodies.labels(body))
    actions = world.firewalls.attach(row, selectors, servers)
    shown = wire.firewall(world, world.firewalls.by_id[row.id])
    return JSONResponse({"firewall": shown, "actions": shown_actions(actions)}, 201)


async def update_firewall(request: Request) -> Response:
    world = world_of(request)
    changed = world.firewalls.update(_firewall(request), *bodies.changes(await bodies.body_of(request)))
    return JSONResponse({"firewall": wire.firewall(world, changed)})


async def delete_firewall(request: Request) -> Response:
    world_of(request).firewalls.remove(_firewall(request))
    return Response(status_code=204)


async def set_rules(request: Request) -> Response:
    rules = bodies.rules(await bodies.body_of(request))
    actions = world_of(request).firewalls.set_rules(_firewall(request), rules)
    return JSONResponse({"actions": shown_actions(actions)}, 201)


async def apply_firewall(request: Request) -> Response:
    selectors, servers = bodies.targets(await bodies.body_of(request), "apply_to")
    actions = world_of(request).firewalls.attach(_firewall(request), selectors, servers)
    return JSONResponse({"actions": shown_actions(actions)}, 201)


async def remove_firewall(request: Request) -> Response:
    selectors, servers = bodies.targets(await bodies.body_of(request), "remove_from")
    actions = world_of(request).firewalls.detach(_firewall(request), selectors, servers)
    return JSONResponse({"actions": shown_actions(actions)}, 201)


def _firewall(request: Request) -> Firewall:
    return find(world_of(request).firewalls.by_id, request, "firewall")
