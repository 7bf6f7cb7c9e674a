"""The operations that only read: what can be ordered and what it costs, and what this sandbox lacks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import catalogue, errors
from reconciler.sandbox.emulator.handling import reading_routes
from reconciler.sandbox.emulator.kinds import LOCATIONS, NOTHING, SERVER_TYPES


def catalogue_routes() -> list[Route]:
    return [
        *reading_routes(SERVER_TYPES),
        *reading_routes(LOCATIONS),
        Route("/pricing", get_pricing, methods=["GET"]),
        *(route for kind in NOTHING for route in reading_routes(kind)),
        Route("/datacenters", gone, methods=["GET"]),
        Route("/datacenters/{id}", gone, methods=["GET"]),
    ]


async def get_pricing(request: Request) -> Response:
    return JSONResponse({"pricing": catalogue.pricing()})


async def gone(request: Request) -> Response:
    announcement = "https://docs.hetzner.cloud/changelog#2026-06-02-datacenters-deprecated"
    details: dict[str, Json] = {"announcement": announcement}
    raise errors.ApiError(410, "deprecated_api_endpoint", "this API endpoint has been removed", details)
