"""The dashboard, as a browser asks for it: what is shown, and who does not get in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from reconciler.dashboard import COOKIE, Watch, build_app
from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.history import History
from reconciler.model import Secret
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.unit.test_report import EVIL, read

TOKEN = "t0ken-of-this-run"
HOST = "127.0.0.1:8123"
NAMES = ("alice", "bob", "carol")


@pytest.fixture
def world(state: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    monkeypatch.delenv("CI", raising=False)
    made = FakeFleet(state, NAMES).applied()
    made.clock.sleep(3600)
    return made


@pytest.fixture
def watch(world: FakeFleet, state: Path) -> Watch:
    return Watch(world.client(), History(state), 60)


class Client:
    """Asks the application without any socket, and keeps cookies."""

    def __init__(self, app: Starlette) -> None:
        transport = httpx.ASGITransport(app=app)
        self._client = httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", follow_redirects=False)
        self.cookies = self._client.cookies

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._client.request(method, path, **more))


@pytest.fixture
def stranger(watch: Watch) -> Client:
    return Client(build_app(watch, Secret(TOKEN), frozenset({HOST})))


@pytest.fixture
def browser(stranger: Client) -> Client:
    """Has followed the link."""
    answer = stranger.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    return stranger


def test_before_the_first_pass_it_says_so(browser: Client) -> None:
    assert "The first pass is on its way" in browser.get("/").text


def test_the_fleet_is_shown_the_worst_first(world: FakeFleet, watch: Watch, browser: Client) -> None:
    world.host("carol").gateway.wrong = {"channel_connected": False}
    watch.look()
    page = browser.get("/").text
    read(page)
    assert page.index('href="/children/carol"') < page.index('href="/children/alice"')
    assert "telegram-silent" in page
    assert "1 without an answer" in page


def test_filters_narrow_it_and_are_words_alone(world: FakeFleet, watch: Watch, browser: Client) -> None:
    world.change("bob", group="paid")
    world.host("carol").gateway.wrong = {"channel_connected": False}
    watch.client = world.client()
    watch.look()

    def names(**asked: str) -> list[str]:
        text = browser.get("/table", params=asked).text
        return [name for name in NAMES if f'href="/children/{name}"' in text]

    assert names() == [*NAMES]
    assert names(text="ALI") == ["alice"]
    assert names(text="telegram") == ["carol"]
    assert names(health="DEGRADED") == ["carol"]
    assert names(group="paid") == ["bob"]
    assert names(text="nobody") == []
    assert "<script>" not in browser.get("/", params={"text": EVIL}).text


def test_a_child_has_a_page_with_checks_log_and_what_was_done(
    world: FakeFleet, watch: Watch, browser: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    CommandLine(world, capsys)("monitor")
    world.host("alice").gateway.wrong = {"channel_connected": False}
    watch.look()
    page = browser.get("/children/alice").text
    read(page)
    for words in ("telegram-silent", "channel", "FAILED", "create done", 'hx-get="/children/alice/log"'):
        assert words in page
    log = browser.get("/children/alice/log")
    assert log.status_code == 200
    assert "<html" not in log.text


def test_what_hosts_say_is_no_markup(world: FakeFleet, watch: Watch, browser: Client) -> None:
    world.host("alice").gateway.wrong = {"channel_connected": False, "channel_error": EVIL}
    world.dialer.silent[world.server("bob").id] = HostTimedOut(EVIL)
    watch.look()
    for path in ("/", "/table", "/children/alice", "/children/bob", "/children/bob/log"):
        text = browser.get(path).text
        assert "<img" not in text
        assert "alert(1)</script>" not in text
        assert "\x1b" not in text


def test_a_pass_that_fails_leaves_the_last_good_one_and_says_so(
    world: FakeFleet, watch: Watch, browser: Client
) -> None:
    watch.look()
    world.cloud.fail_next("servers", CloudUnavailable("503"))
    watch.look()
    assert "cloud-silent" in browser.get("/").text


def test_what_nobody_expected_is_said_and_the_next_pass_comes(world: FakeFleet, watch: Watch, browser: Client) -> None:
    watch.look()
    world.clock.sleep(60)
    world.cloud.fail_next("servers", TypeError("odd"))  # type: ignore[arg-type]  # it is no error of ours
    watch.look()
    assert "No pass since then: TypeError, which nobody expected" in browser.get("/").text
    watch.look()
    assert "No pass since then" not in browser.get("/").text


@pytest.mark.parametrize("path", ["/", "/table", "/children/alice", "/children/alice/log", "/static/style.css"])
def test_nobody_gets_in_without_the_link(stranger: Client, watch: Watch, path: str) -> None:
    watch.look()
    for cookie in ("", "wrong", TOKEN[:-1]):
        stranger.cookies.clear()
        stranger.cookies.set(COOKIE.format(port=8123), cookie)
        answer = stranger.get(path)
        assert (answer.status_code, "alice" in answer.text) == (403, False)
    assert stranger.get(path, params={"token": "wrong"}).status_code == 403


def test_a_dashboard_on_another_port_keeps_its_own_visitors(browser: Client, watch: Watch) -> None:
    watch.look()
    browser.cookies.set(COOKIE.format(port=8124), "of another fleet")
    assert browser.get("/").status_code == 200


def test_another_name_does_not_lead_here(browser: Client) -> None:
    """A page of another site, whose name leads to this machine (DNS rebinding)."""
    for host in ("evil.example:8123", "127.0.0.1", "127.0.0.1:80", ""):
        answer = browser.get("/", headers={"host": host}, params={"token": TOKEN})
        assert (answer.status_code, "set-cookie" in answer.headers) == (421, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(browser: Client, method: str) -> None:
    assert browser.request(method, "/").status_code == 405


def test_no_other_site_is_asked_and_none_may_frame_it(watch: Watch, browser: Client) -> None:
    watch.look()
    answer = browser.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in answer.text.replace("htmx", "").replace('name="robots"', "").replace("https", "http").replace(
        "http-equiv", ""
    )
    assert answer.headers["cache-control"] == "no-store"
    assert TOKEN not in answer.text


def test_what_is_not_there_is_not_found(browser: Client, watch: Watch) -> None:
    watch.look()
    for path in ("/children/nobody", "/children/nobody/log", "/static/../__init__.py", "/static/htmx.LICENSE", "/no"):
        assert browser.get(path).status_code == 404
    assert browser.get("/static/htmx.min.js").headers["content-type"].startswith("text/javascript")


def test_it_writes_nothing(world: FakeFleet, watch: Watch, browser: Client, state: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in state.rglob("*"))
    for _ in range(3):
        watch.look()
        browser.get("/")
        browser.get("/children/alice")
    assert sorted((path, path.stat().st_mtime_ns) for path in state.rglob("*")) == before
    assert world.teller.told == []


def test_a_port_that_is_taken_is_said(world: FakeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = CommandLine(world, capsys)("dashboard", "--port", str(taken.getsockname()[1]))
    assert (said.code, "name another, or none at all" in said.err) == (64, True)
