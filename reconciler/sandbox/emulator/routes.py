"""Every operation that the emulator serves."""

from __future__ import annotations

from starlette.routing import Route

from reconciler.sandbox.emulator.catalogue_routes import catalogue_routes
from reconciler.sandbox.emulator.network_routes import network_routes
from reconciler.sandbox.emulator.project_routes import project_routes
from reconciler.sandbox.emulator.server_routes import server_routes


def all_routes() -> list[Route]:
    return [*server_routes(), *project_routes(), *network_routes(), *catalogue_routes()]
