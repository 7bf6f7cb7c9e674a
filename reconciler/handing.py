"""A secret for a browser of this machine, by a link that works once: neither the link nor any program's words hold it.

Whoever follows the link is sent on to an address whose fragment is the secret: browsers keep that to themselves.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

from reconciler.model import Secret

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def handed_over(address: str, secret: Secret, nonce: str) -> Iterator[str]:
    """The link, while this is open: it leads to `address` with `#token=` and the secret, the first time it is opened.

    `nonce` is what nobody can guess. Raises OSError.
    """
    server = _Server(f"{address}#token={secret.reveal()}", f"/{nonce}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/{nonce}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, target: str, path: str) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self._target, self._path, self._lock = target, path, Lock()

    def take(self, path: str) -> str | None:
        """Where that leads, once."""
        with self._lock:
            if path != self._path:
                return None
            self._path = ""
            return self._target


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        target = self.server.take(self.path)
        if target is None:
            self.send_error(404, "This link has been used, or never was one")
            return
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Nothing: a path would be the link."""
