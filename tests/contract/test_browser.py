"""The dashboard and the report in a real Chromium: mouse, keys, a phone, light and dark.

With FLEET_TEST_SCREENSHOTS=DIR it leaves pictures there, to be looked at.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from reconciler.dashboard import Watch, build_app
from reconciler.history import History
from reconciler.model import Secret
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

CHROMIUM: Final = "/usr/bin/chromium"  # Debian's
PHONE: Final = {"width": 375, "height": 740}
DESK: Final = {"width": 1280, "height": 800}
NAMES: Final = ("alice", "bob", "carol", "dave")
TOKEN: Final = "t0ken-of-this-run"


@dataclass
class Seen:
    """A page with all that it has complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("console", lambda it: self.complaints.append(it.text) if it.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda it: self.complaints.append(str(it)))
        self.page.on("request", lambda it: self.asked.append(it.url))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Four children: one gives no answer, one has a warning; a day of passes is remembered."""
    monkeypatch.delenv("CI", raising=False)
    world = FakeFleet(state, NAMES).applied()
    world.clock.sleep(3600)
    world.change("bob", group="paid")
    made = CommandLine(world, capsys)
    for number in range(12):
        world.clock.sleep(1800)
        world.host("carol").gateway.wrong = {"channel_connected": False} if number in (3, 4, 10, 11) else {}
        made("monitor")
    world.host("dave").disk_free_mb = 400
    return made


@pytest.fixture
def address(fleet: CommandLine, state: Path) -> Iterator[str]:
    watch = Watch(fleet.world.client(), History(state), 60)
    watch.look()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = f"127.0.0.1:{listener.getsockname()[1]}"
        app = build_app(watch, Secret(TOKEN), frozenset({here}))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://{here}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def opened(browser: Browser, address: str, size: dict[str, int], scheme: str = "light") -> Iterator[Seen]:
    """A browser that has followed the link. Raises for whatever its page complains of, or asks of another place."""
    context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    seen = Seen(page)
    seen.listen()
    page.goto(f"{address}/?token={TOKEN}")
    yield seen
    context.close()
    assert seen.complaints == []
    assert [url for url in seen.asked if not url.startswith(address)] == []


def picture(page: Page, name: str) -> None:
    if directory := os.environ.get("FLEET_TEST_SCREENSHOTS"):
        page.screenshot(path=Path(directory, f"{name}.png"), full_page=True)


def names(page: Page) -> list[str]:
    return page.locator("table.fleet tbody a").all_inner_texts()


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"))


def test_the_fleet_is_seen_filtered_and_opened(browser: Browser, address: str) -> None:
    with opened(browser, address, DESK) as seen:
        page = seen.page
        assert "token" not in page.url
        assert names(page) == ["carol", "dave", "alice", "bob"]
        picture(page, "fleet-light")
        page.fill("#text", "dis")
        expect(page.locator("table.fleet tbody a")).to_have_count(1)
        assert names(page) == ["dave"]
        page.fill("#text", "")
        expect(page.locator("table.fleet tbody a")).to_have_count(4)
        page.select_option("select[name=group]", "paid")
        expect(page.locator("table.fleet tbody a")).to_have_count(1)
        page.get_by_role("link", name="bob").click()
        assert page.locator("h1").inner_text().startswith("bob")


def test_it_is_used_by_keys_alone(browser: Browser, address: str) -> None:
    with opened(browser, address, DESK) as seen:
        page = seen.page
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "text"
        page.keyboard.type("alice")
        expect(page.locator("table.fleet tbody a")).to_have_count(1)
        page.keyboard.press("Escape")
        assert page.input_value("#text") == "alice"
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.innerText") == "alice"
        page.keyboard.press("Enter")
        page.wait_for_url("**/children/alice")


def test_a_child_shows_its_log_and_why(browser: Browser, address: str) -> None:
    with opened(browser, address, DESK) as seen:
        page = seen.page
        page.get_by_role("link", name="carol").click()
        page.wait_for_selector("h1:has-text('carol')")
        expect(page.get_by_role("link", name="The last lines")).to_have_count(0)
        assert "telegram-silent" in page.locator("main").inner_text()
        picture(page, "child-light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, address: str, scheme: str) -> None:
    with opened(browser, address, PHONE, scheme) as seen:
        assert not is_too_wide(seen.page)
        picture(seen.page, f"phone-{scheme}")
        seen.page.get_by_role("link", name="carol").click()
        seen.page.wait_for_selector("h1:has-text('carol')")
        assert not is_too_wide(seen.page)
        picture(seen.page, f"phone-child-{scheme}")


def test_dark_is_dark(browser: Browser, address: str) -> None:
    def brightness(scheme: str) -> int:
        with opened(browser, address, DESK, scheme) as seen:
            picture(seen.page, f"fleet-{scheme}")
            color = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in str(color).removeprefix("rgb(").removesuffix(")").split(", "))

    assert brightness("dark") < 150 < 600 < brightness("light")


def test_it_asks_again_by_itself(browser: Browser, address: str, fleet: CommandLine) -> None:
    with opened(browser, address, DESK) as seen:
        seen.page.wait_for_event("response", lambda it: "/table" in it.url, timeout=20_000)


def test_who_has_found_a_child_by_keys_stays_there_when_it_asks_again(browser: Browser, address: str) -> None:
    with opened(browser, address, DESK) as seen:
        seen.page.keyboard.press("j")
        seen.page.wait_for_event("response", lambda it: "/table" in it.url, timeout=20_000)
        expect(seen.page.get_by_role("link", name="carol")).to_be_focused()


def test_it_works_without_scripts(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=DESK)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.fill("#text", "alice")
    page.get_by_role("button", name="Show").click()
    assert names(page) == ["alice"]
    page.get_by_role("link", name="alice").click()
    page.get_by_role("link", name="The last lines").click()
    assert page.url.endswith("/children/alice/log")
    context.close()


def test_the_report_needs_nothing_beside_it(browser: Browser, fleet: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "fleet.html"
    assert fleet("report", "--html", str(path)).code == 2
    for name, size, scheme in (("desk", DESK, "light"), ("dark", DESK, "dark"), ("phone", PHONE, "light")):
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        seen = Seen(page)
        seen.listen()
        page.goto(path.as_uri())
        assert (seen.complaints, seen.asked) == ([], [path.as_uri()])
        assert not is_too_wide(page)
        picture(page, f"report-{name}")
        context.close()
