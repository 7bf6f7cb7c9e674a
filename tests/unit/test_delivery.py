"""Alerts over real HTTP and SMTP, pings over HTTP, to servers of this test: what arrives, and what is said else."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer
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


@pytest.mark.parametrize(
    ("url", "path", "keys"),
    [
        ("mmost://127.0.0.1:{port}/{token}", "/hooks/{token}", ("text",)),
        ("ntfy://127.0.0.1:{port}/alerts?mode=private", "/", ("title", "message")),
        ("gotify://127.0.0.1:{port}/{token}", "/message", ("title", "message")),
        ("rocket://{token}/{token}@127.0.0.1:{port}/%23ops", "/hooks/{token}/{token}", ("text",)),
    ],
    ids=["Mattermost", "ntfy", "Gotify", "Rocket.Chat"],
)
def test_an_alert_arrives_as_a_chat_of_ones_own_takes_it(port: int, url: str, path: str, keys: tuple[str, ...]) -> None:
    names = {"port": port, "token": "a" * 26}
    assert deliver(Secret(url.format(**names)), "alice gives no answer", "since 12:00, see fleet.md", None) == ""
    [(asked, told)] = Place.heard
    said = " ".join(str(told.get(key) or told.get("attachments")) for key in keys)
    assert asked.partition("?")[0] == path.format(**names)
    assert ("alice gives no answer" in said, "since 12:00" in said) == (True, True), told


class Mailbox(StreamRequestHandler):
    """As much of SMTP as a client needs."""

    letters: list[tuple[str, str]] = []  # noqa: RUF012  # emptied by a fixture

    def handle(self) -> None:
        self._say("220 mailbox")
        whom = ""
        while line := self.rfile.readline().decode().rstrip():
            verb = line[:4].upper()
            if verb == "RCPT":
                whom = line.partition(":")[2].strip("<>")
            if verb == "DATA":
                self._say("354 go on")
                self.letters.append((whom, b"".join(iter(self.rfile.readline, b".\r\n")).decode()))
            self._say("221 bye" if verb == "QUIT" else "250 mailbox")
            if verb == "QUIT":
                return

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def mail_port() -> Iterator[int]:
    Mailbox.letters.clear()
    with TCPServer(("127.0.0.1", 0), Mailbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_alert_arrives_as_a_letter(mail_port: int) -> None:
    url = f"mailto://127.0.0.1:{mail_port}?from=fleet@example.org&to=ops@example.org&mode=insecure&format=text"
    assert deliver(Secret(url), "alice gives no answer", "since 12:00\nwhy", Level.CRITICAL) == ""
    [(whom, text)] = Mailbox.letters
    letter = message_from_string(text)
    assert (whom, letter["Subject"]) == ("ops@example.org", "alice gives no answer")
    parts = [part.get_payload(decode=True) for part in letter.walk() if part.get_content_type() == "text/plain"]
    assert b"since 12:00" in b"".join(part for part in parts if isinstance(part, bytes))


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
