"""Alerts and pings over real HTTP, to a server of this test's own: what arrives, and what is said where it does not."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

import pytest

from reconciler.alerts.delivery import deliver, ping
from reconciler.alerts.telling import ResolvingTeller
from reconciler.errors import SecretError
from reconciler.model import Level, Secret, SecretRef

TOKEN: Final = "planted-token-in-a-path"


class Place(BaseHTTPRequestHandler):
    """Takes whatever comes, or answers with `status`."""

    heard: list[tuple[str, Any]] = []  # noqa: RUF012  # emptied by a fixture
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, json.loads(body)))
        self._end()

    def do_GET(self) -> None:
        self.heard.append((self.path, None))
        self._end()

    def _end(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name upstream
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Place.heard.clear()
    Place.status = 200
    with HTTPServer(("127.0.0.1", 0), Place) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("level", "kind"), [(Level.CRITICAL, "failure"), (Level.WARNING, "warning"), (None, "success")]
)
def test_an_alert_arrives_as_it_is(port: int, level: Level | None, kind: str) -> None:
    assert deliver(Secret(f"json://127.0.0.1:{port}/{TOKEN}"), "alice gives no answer", "since 12:00\nwhy", level) == ""
    [(path, told)] = Place.heard
    assert (path, told["title"], told["message"], told["type"]) == (
        f"/{TOKEN}", "alice gives no answer", "since 12:00\nwhy", kind,
    )  # fmt: skip


def test_a_place_that_does_not_take_it_is_said_without_its_url(port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Place.status = 500
    said = deliver(Secret(f"json://127.0.0.1:{port}/{TOKEN}"), "title", "body", Level.WARNING)
    assert said == "the place did not take it"
    assert deliver(Secret("nonsense"), "title", "body", Level.WARNING) == "its URL is none that apprise knows"
    assert [record.name for record in caplog.records if record.name == "apprise"] == []


def test_a_dead_mans_switch_is_asked(port: int) -> None:
    assert ping(Secret(f"http://127.0.0.1:{port}/{TOKEN}")) == ""
    assert Place.heard == [(f"/{TOKEN}", None)]
    Place.status = 503
    assert ping(Secret(f"http://127.0.0.1:{port}/{TOKEN}")) == "it answers HTTP 503"
    assert "could not be reached" in ping(Secret("http://127.0.0.1:1/"))


def test_a_reference_that_cannot_be_resolved_is_said_and_ends_nothing() -> None:
    def resolve(reference: SecretRef) -> Secret:
        raise SecretError(f"{reference} is not set", "set it")

    teller = ResolvingTeller(resolve)
    place = SecretRef("env", "FLEET_SECRET_SLACK")
    assert teller.tell(place, "title", "body", None) == "env:FLEET_SECRET_SLACK is not set"
    assert teller.ping(place) == "env:FLEET_SECRET_SLACK is not set"
