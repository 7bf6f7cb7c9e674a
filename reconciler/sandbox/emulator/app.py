"""The emulator as an ASGI application: `build_app(world, token)`. Serve it on loopback only.

The gate stands before every operation: route, token, request budget, faults, log, headers - in the order in which the
real API checks them: without a token an unknown route is a 404, a wrong method a 401.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.sandbox.emulator import errors, servers
from reconciler.sandbox.emulator.bucket import Bucket
from reconciler.sandbox.emulator.errors import ApiError
from reconciler.sandbox.emulator.faults import Fault, FaultKind
from reconciler.sandbox.emulator.log import Entry, loggable
from reconciler.sandbox.emulator.routes import all_routes
from reconciler.sandbox.emulator.world import World


class ConnectionDropped(Exception):
    """Raised towards the server, which then closes the connection without finishing the answer."""


def build_app(world: World, token: str, *, read_only_token: str | None = None) -> Starlette:
    """The API below `/v1`. Its lifespan resumes the world and stops it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await servers.resume(world)
        yield
        await world.stop()

    operations = all_routes()
    gate = Middleware(Gate, world=world, routes=operations, tokens=(token, read_only_token))
    api = Mount("/v1", routes=operations)
    app = Starlette(routes=[api], middleware=[gate], lifespan=lifespan, exception_handlers={ApiError: _answer_error})
    app.state.world = world
    return app


class Gate:
    """See the module's text. Pure ASGI, because it must be able to drop a connection."""

    def __init__(self, app: ASGIApp, world: World, routes: list[Route], tokens: tuple[str, str | None]) -> None:
        self._app = app
        self._world = world
        self._routes = routes
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        path = request.url.path.removeprefix("/v1")
        body = await request.body()
        name = f"{request.method} {path}"
        bucket = self._world.action_requests if path.startswith("/actions") else self._world.requests
        inner, drops = self._choose(scope, path, name, bucket)
        await inner(scope, _replay(body), _Answer(self._world, request, body, send, bucket.headers(), drops))

    def _choose(self, scope: Scope, path: str, name: str, bucket: Bucket) -> tuple[ASGIApp, bool]:
        """Who answers, and whether the connection breaks off before the answer's body."""
        if error := self._refuse(scope, path, bucket):
            return error_response(error), False
        if fault := self._fault(FaultKind.REFUSE, name):
            return _refusal(fault), False
        if self._fault(FaultKind.DROP_BEFORE, name):
            return Response(b"never sent", 502), True
        return self._app, self._fault(FaultKind.DROP, name) is not None

    def _fault(self, kind: FaultKind, name: str) -> Fault | None:
        return self._world.faults.take(kind, name.startswith)

    def _refuse(self, scope: Scope, path: str, bucket: Bucket) -> ApiError | None:
        match = self._match(scope, path)
        if match is Match.NONE:
            return errors.no_route()
        if error := self._check_token(scope):
            return error
        if match is Match.PARTIAL:
            return ApiError(405, "method_not_allowed", "method not allowed")
        return None if bucket.take() else errors.rate_limited(bucket.limit)

    def _match(self, scope: Scope, path: str) -> Match:
        if not scope["path"].startswith("/v1/"):
            return Match.NONE
        below = {**scope, "path": path, "root_path": ""}
        return max((route.matches(below)[0] for route in self._routes), key=lambda match: match.value)

    def _check_token(self, scope: Scope) -> ApiError | None:
        kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not given:
            return errors.token_required()
        token, read_only = self._tokens
        if read_only is not None and hmac.compare_digest(given.encode(), read_only.encode()):
            return None if scope["method"] in {"GET", "HEAD"} else errors.token_readonly()
        if not hmac.compare_digest(given.encode(), token.encode()):
            return errors.token_invalid()
        return None


class _Answer:
    """Passes the answer on with the API's headers, after what it promises has been saved and logged.

    One that `drops` breaks the connection off before its body.
    """

    def __init__(
        self, world: World, request: Request, body: bytes, send: Send, headers: dict[str, str], drops: bool
    ) -> None:
        self._world = world
        self._request = request
        self._body = body
        self._send = send
        self._headers = {**headers, "X-Correlation-Id": secrets.token_hex(8)}
        self._drops = drops

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._commit(message["status"])
            MutableHeaders(scope=message).update(self._headers)
        await self._send(message)
        if self._drops:
            raise ConnectionDropped

    def _commit(self, status: int) -> None:
        world, method, url = self._world, self._request.method, self._request.url
        if method not in {"GET", "HEAD"} and status < 400:
            world.save()
        path, reference = url.path.removeprefix("/v1"), self._headers["X-Correlation-Id"]
        world.log.append(Entry(world.stamp(), method, path, url.query, status, reference, loggable(self._body)))


def error_response(error: ApiError) -> Response:
    return JSONResponse(error.body(), error.status)


def _refusal(fault: Fault) -> Response:
    """A bare status comes from what stands before the API, and not as JSON."""
    if fault.value.isdigit():
        return HTMLResponse(f"<html><body><h1>{fault.value}</h1></body></html>", fault.status)
    return error_response(ApiError(fault.status, fault.value, fault.message))


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return error_response(error)


def _replay(body: bytes) -> Receive:
    """The body once more, for whoever reads the request next."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
