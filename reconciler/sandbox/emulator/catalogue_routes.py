"""The operations that only read: what can be ordered, what the servers' addresses are, and what this sandbox lacks."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import catalogue, errors, wire
from reconciler.sandbox.emulator.handling import Handler, find, world_of
from reconciler.sandbox.emulator.listing import Listing, answer_list

_EMPTY = ("networks", "volumes", "placement_groups", "load_balancers", "floating_ips", "certificates", "isos")
_IMAGES = Listing("images", ("name", "type", "status", "bound_to", "architecture"))


def catalogue_routes() -> list[Route]:
    empty = [Route(f"/{key}", _list(Listing(key), tuple), methods=["GET"]) for key in _EMPTY]
    return [
        Route("/images", list_images, methods=["GET"]),
        Route("/images/{id}", _get(catalogue.images, "image"), methods=["GET"]),
        Route("/server_types", list_server_types, methods=["GET"]),
        Route("/server_types/{id}", get_server_type, methods=["GET"]),
        Route("/locations", _list(Listing("locations"), catalogue.locations), methods=["GET"]),
        Route("/locations/{id}", _get(catalogue.locations, "location"), methods=["GET"]),
        Route("/pricing", get_pricing, methods=["GET"]),
        Route("/primary_ips", list_primary_ips, methods=["GET"]),
        Route("/primary_ips/{id}", get_primary_ip, methods=["GET"]),
        *empty,
        Route("/datacenters", gone, methods=["GET"]),
        Route("/datacenters/{id}", gone, methods=["GET"]),
    ]


async def list_images(request: Request) -> Response:
    """Deprecated ones only on request, as the real API does."""
    everything = request.query_params.get("include_deprecated") == "true"
    return answer_list(request, _IMAGES, (row for row in catalogue.images() if everything or not row["deprecation"]))


async def list_server_types(request: Request) -> Response:
    world = world_of(request)
    return answer_list(
        request, Listing("server_types"), [wire.server_type(world, row) for row in catalogue.server_types()]
    )


async def get_server_type(request: Request) -> Response:
    row = find({int(str(row["id"])): row for row in catalogue.server_types()}, request, "server_type")
    return JSONResponse({"server_type": wire.server_type(world_of(request), row)})


async def get_pricing(request: Request) -> Response:
    return JSONResponse({"pricing": catalogue.pricing()})


async def list_primary_ips(request: Request) -> Response:
    world = world_of(request)
    listing = Listing("primary_ips", ("name", "ip"))
    return answer_list(request, listing, [wire.primary_ip(world, row) for row in world.servers.values()])


async def get_primary_ip(request: Request) -> Response:
    world = world_of(request)
    row = find({row.address_id: row for row in world.servers.values()}, request, "primary_ip")
    return JSONResponse({"primary_ip": wire.primary_ip(world, row)})


async def gone(request: Request) -> Response:
    announcement = "https://docs.hetzner.cloud/changelog#2026-06-02-datacenters-deprecated"
    details: dict[str, Json] = {"announcement": announcement}
    raise errors.ApiError(410, "deprecated_api_endpoint", "this API endpoint has been removed", details)


def _list(listing: Listing, rows: Callable[[], tuple[dict[str, Json], ...]]) -> Handler:
    async def handle(request: Request) -> Response:
        return answer_list(request, listing, rows())

    return handle


def _get(rows: Callable[[], tuple[dict[str, Json], ...]], key: str) -> Handler:
    async def handle(request: Request) -> Response:
        return JSONResponse({key: find({int(str(row["id"])): row for row in rows()}, request, key)})

    return handle
