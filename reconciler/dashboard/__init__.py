"""The fleet in a browser of this machine: server-rendered, read-only, with a token. Alone serves pages.

It looks by itself, tells nobody, brings nobody back and writes nothing; how it was, the passes of `fleet monitor` on
this machine have noted. Nobody gets in without the link that it prints, and no other site's page can ask it for
anything.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.api import FleetClient
from reconciler.errors import FleetError
from reconciler.heeding import begin, pause
from reconciler.history import History
from reconciler.model import ChildLog, LogRequest, Pass, Secret, Server, SlowLook
from reconciler.render.dashboard import Filters, child_page, fleet_page, log_part, table, words_page
from reconciler.render.journal import is_about
from reconciler.render.report import SPANS, WEEK, Past, known, style

COOKIE: Final = "fleet_dashboard_{port}"  # browsers keep the same cookies for all ports of one machine
LOG_LINES: Final = 200
EVENTS: Final = 50
TURNS: Final = 30
LISTED: Final = 300.0  # seconds in which a log is read by the addresses of before
_LONGEST: Final = 200  # characters of a filter
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STATIC: Final = {"htmx.min.js": "text/javascript", "app.js": "text/javascript"}


@dataclass
class Watch:
    """Looks again and again, in a thread of its own, until it is stopped; the last pass is there for who asks."""

    client: FleetClient
    history: History
    every: float
    found: Pass | None = None
    problem: str = ""
    _slow: dict[str, SlowLook] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _servers: tuple[float, Mapping[str, Server | None]] | None = None

    def servers(self) -> Mapping[str, Server | None]:
        """As the cloud has listed them within some minutes: a page that is open asks for a log every few seconds."""
        now = self.client.clock.monotonic()
        if self._servers is None or now - self._servers[0] > LISTED:
            self._servers = now, self.client.servers()
        return self._servers[1]

    def start(self) -> None:
        self.client.stay_connected()
        with suppress(FleetError):
            self._slow = dict(begin(self.history).slow)
        threading.Thread(target=self._run, name="passes of the dashboard", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> None:
        """One pass. What goes wrong with it is said beside the last that was good."""
        try:
            found = self.client.watch(None, self._slow, remembers=True)
        except FleetError as error:
            self.problem = f"No pass since then: {error.summary}"
            return
        except Exception as error:  # else the page would grow old and say nothing of it
            self.problem = f"No pass since then: {type(error).__name__}, which nobody expected. See: fleet monitor"
            return
        self.found, self.problem, self._slow = found, "", dict(found.kept)

    def past(self) -> Past:
        """What is remembered on this machine, now."""
        now = self.client.clock.now()
        try:
            since = begin(self.history).since
            shares = {span: self.history.uptimes(now - span) for span in SPANS.values()}
            return Past(since, known(self.history.hours(now - WEEK)), shares)
        except FleetError:
            return Past({}, {}, {})

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self.every if self.found is None else pause(self.found, self.every))


def build_app(watch: Watch, token: Secret, hosts: frozenset[str]) -> Starlette:
    """The application. `hosts` are the names (with ports) by which a browser may ask: no other name leads here."""
    pages = _Pages(watch)
    routes = [
        Route("/", pages.fleet),
        Route("/table", pages.table),
        Route("/children/{name}", pages.child),
        Route("/children/{name}/log", pages.log),
        Route("/static/style.css", pages.style),
        Route("/static/{name}", pages.static),
    ]
    guard = Middleware(_Guard, token=token, hosts=hosts)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={404: _not_found, 405: _not_found})


class _Pages:
    """What each address answers."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def fleet(self, request: Request) -> Response:
        return await self._of_fleet(request, fleet_page)

    async def table(self, request: Request) -> Response:
        return await self._of_fleet(request, table)

    async def _of_fleet(self, request: Request, page: Callable[..., str]) -> Response:
        watch, asked = self._watch, request.query_params
        filters = Filters(*(asked.get(name, "")[:_LONGEST] for name in ("text", "health", "group")))
        past = await run_in_threadpool(watch.past)
        return HTMLResponse(page(watch.client.fleet.name, watch.found, past, filters, watch.problem))

    async def child(self, request: Request) -> Response:
        watch, name = self._watch, request.path_params["name"]
        row = next((row for row in watch.found.rows if row.child == name), None) if watch.found else None
        if watch.found is None or row is None:
            return await _not_found(request, Exception())

        def made() -> str:
            assert watch.found is not None
            assert row is not None
            events = [it for it in watch.client.events() if is_about(it, name)][-EVENTS:]
            turns = watch.history.turns(name, TURNS)[::-1]
            return child_page(watch.client.fleet.name, watch.found, row, watch.past(), turns, events[::-1])

        return HTMLResponse(await run_in_threadpool(made))

    async def log(self, request: Request) -> Response:
        client, name = self._watch.client, request.path_params["name"]
        if name not in client.fleet.children:
            return await _not_found(request, Exception())

        def read() -> ChildLog:
            try:
                with client.lines(kept=False, servers=self._watch.servers) as lines:
                    if lines.without_server([name]):
                        return ChildLog(name, problem="it has no server")
                    return client.logs(lines).read([name], LogRequest(LOG_LINES, None, False, None))[0]
            except FleetError as error:
                return ChildLog(name, problem=error.summary, advice=error.advice)

        return HTMLResponse(log_part(await run_in_threadpool(read)))

    async def style(self, request: Request) -> Response:
        return Response(style(), media_type="text/css")

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return await _not_found(request, Exception())
        return Response(
            resources.files("reconciler.dashboard").joinpath("static", name).read_bytes(), media_type=_STATIC[name]
        )


class _Guard:
    """Lets in who has the token: once by the link, afterwards by a cookie that no other site's page can send."""

    def __init__(self, app: ASGIApp, token: Secret, hosts: frozenset[str]) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        response = self._objection(request)
        if response is not None:
            response.headers.update(_HEADERS)
            await response(scope, receive, send)
            return

        async def with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                assert isinstance(headers, list)
                headers += [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            await send(message)

        await self._app(scope, receive, with_headers)  # type: ignore[arg-type]

    def _objection(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return PlainTextResponse("This is not the name of this machine.\n", 421)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Nothing can be changed here.\n", 405)
        cookie = COOKIE.format(port=request.url.port)
        if self._is_right(request.query_params.get("token", "")):
            response = RedirectResponse("/", 303)
            response.set_cookie(cookie, self._token.reveal(), httponly=True, samesite="strict")
            return response
        if not self._is_right(request.cookies.get(cookie, "")):
            text = "Open the link that fleet dashboard has printed: it lets this browser in."
            return HTMLResponse(words_page("No access", text), 403)
        return None

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.reveal().encode())


async def _not_found(request: Request, error: Exception) -> Response:
    return HTMLResponse(words_page("There is no such page", "The fleet is at /."), 404)


def interval_of(client: FleetClient) -> timedelta:
    """As often as the file says, and not less than once a minute: somebody is looking."""
    return min(client.fleet.alerts.interval, timedelta(minutes=1))
