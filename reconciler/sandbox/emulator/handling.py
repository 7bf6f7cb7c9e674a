"""What every handler needs: the world behind the application, and the resource that a path names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from reconciler.model import Json
from reconciler.sandbox.emulator import errors, wire
from reconciler.sandbox.emulator.resources import Action
from reconciler.sandbox.emulator.world import World

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Found = TypeVar("Found")


def world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


def find(rows: Mapping[int, Found], request: Request, kind: str) -> Found:
    identifier = request.path_params["id"]
    found = rows.get(int(identifier)) if identifier.isascii() and identifier.isdigit() else None
    if found is None:
        raise errors.not_found(kind, identifier)
    return found


def shown_actions(rows: Iterable[Action]) -> list[Json]:
    return [wire.action(row) for row in rows]
