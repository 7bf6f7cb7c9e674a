"""What every handler needs: the world behind the application, and one way to list, show and find each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.emulator import errors, wire
from reconciler.sandbox.emulator.listing import Listing, answer_list, number
from reconciler.sandbox.emulator.resources import Action
from reconciler.sandbox.emulator.tables import number_in
from reconciler.sandbox.emulator.world import World

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Body: TypeAlias = Mapping[str, Json]

ACTIONS = Listing("actions", ("id", "status"), ("id", "command", "status", "started", "finished"), has_labels=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource. `singular` is its key in an answer, its name in refusals and that in actions' resources."""

    singular: str
    listing: Listing
    rows: Callable[[World], Mapping[int, Any]]
    show: Callable[[World, Any], dict[str, Json]]

    @property
    def plural(self) -> str:
        return self.listing.key

    def found(self, request: Request) -> Any:
        """The row that the path names. Raises ApiError 404."""
        return find(self.rows(world_of(request)), request, self.singular)

    def answer(self, request: Request, row: Any, status: int = 200, **more: Json) -> JSONResponse:
        return JSONResponse({self.singular: self.show(world_of(request), row), **more}, status)


def world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


def find(rows: Mapping[int, Any], request: Request, kind: str) -> Any:
    identifier = number_in(request.path_params["id"])
    found = None if identifier is None else rows.get(identifier)
    if found is None:
        raise errors.not_found(kind, request.path_params["id"])
    return found


def reading_routes(kind: Kind) -> list[Route]:
    """The list, and one of them."""

    async def listed(request: Request) -> Response:
        world = world_of(request)
        return answer_list(request, kind.listing, kind.rows(world).values(), lambda row: kind.show(world, row))

    async def one(request: Request) -> Response:
        return kind.answer(request, kind.found(request))

    return [
        Route(f"/{kind.plural}", listed, methods=["GET"]),
        Route(f"/{kind.plural}/{{id}}", one, methods=["GET"]),
    ]


def action_routes(kind: Kind) -> list[Route]:
    """The actions of the kind: all, one, and those of one resource. They come before `/{id}` itself."""

    async def listed(request: Request) -> Response:
        return answer_actions(request, world_of(request).actions.of(kind.singular))

    async def one(request: Request) -> Response:
        return JSONResponse({"action": wire.action(find(world_of(request).actions.by_id, request, "action"))})

    async def of_one(request: Request) -> Response:
        return answer_actions(request, world_of(request).actions.of(kind.singular, kind.found(request).id))

    return [
        Route(f"/{kind.plural}/actions", listed, methods=["GET"]),
        Route(f"/{kind.plural}/actions/{{id}}", one, methods=["GET"]),
        Route(f"/{kind.plural}/{{id}}/actions", of_one, methods=["GET"]),
    ]


def answer_actions(request: Request, rows: Iterable[Action]) -> Response:
    for identifier in request.query_params.getlist("id"):
        number(identifier, "id")
    return answer_list(request, ACTIONS, rows, wire.action)


def shown_actions(rows: Iterable[Action]) -> list[Json]:
    return [wire.action(row) for row in rows]


def acted(action: Action, **more: Json) -> JSONResponse:
    """The answer to a POST that started an action."""
    return JSONResponse({"action": wire.action(action), **more}, 201)
