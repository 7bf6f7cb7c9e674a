"""Serves ASGI applications on loopback in a thread, and keeps every answer that they give."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Exchange:
    """One answer. `path` begins behind /v1; `complete` is false where the connection was broken off."""

    method: str
    path: str
    status: int = 0
    body: bytes = b""
    complete: bool = False


@dataclass
class Recorder:
    """ASGI middleware."""

    app: ASGIApp
    exchanges: list[Exchange] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope["method"], scope["path"].removeprefix("/v1"))
        self.exchanges.append(exchange)

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            else:
                exchange.body += message.get("body", b"")
                exchange.complete = not message.get("more_body", False)
            await send(message)

        await self.app(scope, receive, keep)


class Host:
    """One server for many applications, each below a prefix of its own; `mount` runs the application's lifespan."""

    def __init__(self) -> None:
        self._apps: dict[str, ASGIApp] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.address = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        prefix, _, path = scope["path"].removeprefix("/").partition("/")
        await self._apps[prefix]({**scope, "path": f"/{path}"}, receive, send)

    @contextmanager
    def mount(self, app: Starlette, around: ASGIApp) -> Iterator[str]:
        """The URL of the application inside `around`, its middleware, while the block runs."""
        prefix = str(len(self._apps))
        lifespan = app.router.lifespan_context(app)
        self._run(lifespan.__aenter__())
        self._apps[prefix] = around
        try:
            yield f"{self.address}/{prefix}"
        finally:
            self._run(lifespan.__aexit__(None, None, None))

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@contextmanager
def serve() -> Iterator[Host]:
    """A host on loopback, in a thread, while the block runs."""
    host = Host()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio only does it for sockets it made
        host.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(host, log_level="critical", ws="none", lifespan="on", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            _await_start(server)
            yield host
        finally:
            server.should_exit = True
            thread.join(10)


def _await_start(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the host does not start"
        time.sleep(0.005)
