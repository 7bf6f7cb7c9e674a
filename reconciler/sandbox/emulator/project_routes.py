"""The operations on ssh keys, firewalls, placement groups and images: read a request, ask the world, answer."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulator import bodies, errors, images, wire
from reconciler.sandbox.emulator.firewall_rules import rules
from reconciler.sandbox.emulator.handling import acted, action_routes, reading_routes, shown_actions, world_of
from reconciler.sandbox.emulator.kinds import FIREWALLS, IMAGES, OWN_IMAGES, PLACEMENT_GROUPS, SSH_KEYS
from reconciler.sandbox.emulator.listing import answer_list
from reconciler.sandbox.emulator.resources import PlacementGroup


def project_routes() -> list[Route]:
    return [
        Route("/ssh_keys", create_ssh_key, methods=["POST"]),
        Route("/ssh_keys/{id}", update_ssh_key, methods=["PUT"]),
        Route("/ssh_keys/{id}", delete_ssh_key, methods=["DELETE"]),
        *reading_routes(SSH_KEYS),
        Route("/firewalls", create_firewall, methods=["POST"]),
        Route("/firewalls/{id}", update_firewall, methods=["PUT"]),
        Route("/firewalls/{id}", delete_firewall, methods=["DELETE"]),
        Route("/firewalls/{id}/actions/set_rules", set_rules, methods=["POST"]),
        Route("/firewalls/{id}/actions/apply_to_resources", apply_firewall, methods=["POST"]),
        Route("/firewalls/{id}/actions/remove_from_resources", remove_firewall, methods=["POST"]),
        *action_routes(FIREWALLS),
        *reading_routes(FIREWALLS),
        Route("/placement_groups", create_placement_group, methods=["POST"]),
        Route("/placement_groups/{id}", update_placement_group, methods=["PUT"]),
        Route("/placement_groups/{id}", delete_placement_group, methods=["DELETE"]),
        *reading_routes(PLACEMENT_GROUPS),
        Route("/images", list_images, methods=["GET"]),
        Route("/images/{id}", update_image, methods=["PUT"]),
        Route("/images/{id}", delete_image, methods=["DELETE"]),
        Route("/images/{id}/actions/change_protection", protect_image, methods=["POST"]),
        *action_routes(IMAGES),
        *reading_routes(IMAGES)[1:],
    ]


async def create_ssh_key(request: Request) -> Response:
    body = await bodies.body_of(request)
    public_key = bodies.text(body, "public_key", 16_384)
    fingerprint = bodies.fingerprint(public_key)
    row = world_of(request).ssh_keys.add(bodies.text(body, "name"), public_key, fingerprint, bodies.labels(body))
    return SSH_KEYS.answer(request, row, 201)


async def update_ssh_key(request: Request) -> Response:
    changes = bodies.changes(await bodies.body_of(request))
    return SSH_KEYS.answer(request, world_of(request).ssh_keys.update(SSH_KEYS.found(request), *changes))


async def delete_ssh_key(request: Request) -> Response:
    world_of(request).ssh_keys.remove(SSH_KEYS.found(request))
    return Response(status_code=204)


# --- firewalls -----------------------------------------------------------------------------------------------


async def create_firewall(request: Request) -> Response:
    world = world_of(request)
    body = await bodies.body_of(request)
    selectors, servers = bodies.targets(body, "apply_to")
    world.firewalls.check_room(selectors, servers)
    row = world.firewalls.add(bodies.text(body, "name", 128), rules(body), bodies.labels(body))
    actions = world.firewalls.attach(row, selectors, servers)
    return FIREWALLS.answer(request, world.firewalls.by_id[row.id], 201, actions=shown_actions(actions))


async def update_firewall(request: Request) -> Response:
    changes = bodies.changes(await bodies.body_of(request))
    return FIREWALLS.answer(request, world_of(request).firewalls.update(FIREWALLS.found(request), *changes))


async def delete_firewall(request: Request) -> Response:
    world_of(request).firewalls.remove(FIREWALLS.found(request))
    return Response(status_code=204)


async def set_rules(request: Request) -> Response:
    body = await bodies.body_of(request)
    if "rules" not in body:
        raise errors.invalid_input("rules", bodies.MISSING)
    actions = world_of(request).firewalls.set_rules(FIREWALLS.found(request), rules(body))
    return JSONResponse({"actions": shown_actions(actions)}, 201)


async def apply_firewall(request: Request) -> Response:
    selectors, servers = bodies.targets(await bodies.body_of(request), "apply_to", required=True)
    actions = world_of(request).firewalls.attach(FIREWALLS.found(request), selectors, servers)
    return JSONResponse({"actions": shown_actions(actions)}, 201)


async def remove_firewall(request: Request) -> Response:
    selectors, servers = bodies.targets(await bodies.body_of(request), "remove_from", required=True)
    actions = world_of(request).firewalls.detach(FIREWALLS.found(request), selectors, servers)
    return JSONResponse({"actions": shown_actions(actions)}, 201)


# --- placement groups ----------------------------------------------------------------------------------------


async def create_placement_group(request: Request) -> Response:
    world = world_of(request)
    body = await bodies.body_of(request)
    name, kind, labels = bodies.text(body, "name"), bodies.choice(body, "type", ("spread",)), bodies.labels(body)
    world.check_limit("placement_groups", len(world.placement_groups))
    _check_group_name(request, name)
    row = world.placement_groups.put(PlacementGroup(world.new_id(), name, world.stamp(), kind, labels))
    return PLACEMENT_GROUPS.answer(request, row, 201, action=None)


async def update_placement_group(request: Request) -> Response:
    row, body = PLACEMENT_GROUPS.found(request), await bodies.body_of(request)
    changes = bodies.changed(body, row.name, lambda name: _check_group_name(request, name))
    return PLACEMENT_GROUPS.answer(request, world_of(request).placement_groups.put(replace(row, **changes)))


async def delete_placement_group(request: Request) -> Response:
    """Servers in it are taken out."""
    world, row = world_of(request), PLACEMENT_GROUPS.found(request)
    for server in [server for server in world.servers.values() if server.placement_group == row.id]:
        world.servers.put(replace(server, placement_group=None))
    world.placement_groups.remove(row.id)
    return Response(status_code=204)


def _check_group_name(request: Request, name: str) -> None:
    if world_of(request).placement_groups.named(name):
        raise errors.uniqueness("name", "placement group name is already used")


# --- images --------------------------------------------------------------------------------------------------


async def list_images(request: Request) -> Response:
    """Deprecated ones only on request, as the real API does."""
    world, everything = world_of(request), request.query_params.get("include_deprecated") == "true"
    rows = [row for row in IMAGES.rows(world).values() if everything or not wire.image(world, row)["deprecation"]]
    return answer_list(request, IMAGES.listing, rows, lambda row: wire.image(world, row))


async def update_image(request: Request) -> Response:
    """Of the project's own; a backup may become a snapshot."""
    row, body = OWN_IMAGES.found(request), await bodies.body_of(request)
    changes: dict[str, object] = {}
    if (description := bodies.some_text(body, "description")) is not None:
        changes["description"] = description
    if body.get("labels") is not None:
        changes["labels"] = bodies.labels(body)
    if body.get("type") is not None:
        changes |= {"type": bodies.choice(body, "type", ("snapshot",)), "bound_to": None}
    return OWN_IMAGES.answer(request, images.change(world_of(request), row, **changes))


async def delete_image(request: Request) -> Response:
    await images.remove(world_of(request), OWN_IMAGES.found(request))
    return Response(status_code=204)


async def protect_image(request: Request) -> Response:
    row, body = OWN_IMAGES.found(request), await bodies.body_of(request)
    return acted(images.protect(world_of(request), row, bodies.flag(body, "delete", row.protected)))
