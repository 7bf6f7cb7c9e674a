"""The report: what is on the page, that nothing of a host's words is markup, and that it asks no other place."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reconciler.errors import CloudUnavailable
from reconciler.managed import files
from reconciler.model import Uptime
from reconciler.render.report import share_text, strip_of
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CI", raising=False)
    world = FakeFleet(state, ("alice", "bob")).applied()
    world.clock.sleep(3600)
    return CommandLine(world, capsys)


class Read(HTMLParser):
    """The tags of a page and its text; raises for what is opened and not closed."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} is closed while another is open: {self.open}"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> Read:
    found = Read()
    found.feed(page)
    assert found.open == []
    return found


def page_of(said: Said) -> str:
    assert said.out.startswith("<!doctype html>"), said
    return said.out


def test_a_page_says_how_all_are(fleet: CommandLine) -> None:
    fleet("monitor")
    said = fleet("report", "--html", "-")
    found = read(page_of(said))
    text = " ".join(" ".join(found.words).split())
    assert said.code == 0, text
    for words in (
        "demo: all is well",
        "alice",
        "bob",
        "HEALTHY",
        "IN_SYNC",
        "2026.9.6",
        "Nothing was changed outside.",
    ):
        assert words in text
    assert re.search(r"EUR a month", text)


def test_what_is_wrong_comes_first_with_what_mends_it(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    fleet("monitor")
    fleet.world.clock.sleep(600)
    said = fleet("report", "--html", "-")
    assert said.code == 2
    page = page_of(said)
    assert "demo: 1 without an answer" in page
    assert page.index("telegram-silent") < page.index("The fleet</h2>")
    assert "fleet exec alice -- curl" in page


def test_it_asks_no_other_place_and_runs_nothing(fleet: CommandLine) -> None:
    found = read(page_of(fleet("report", "--html", "-")))
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert not any(
        name in ("src", "href") or name.startswith("on") for _, attributes in found.tags for name in attributes
    )


def test_what_a_host_says_is_no_markup(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False, "channel_error": EVIL, "version": EVIL}
    page = page_of(fleet("report", "--html", "-"))
    assert "<script>" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page


def test_drift_is_named(fleet: CommandLine) -> None:
    fleet.world.host("alice").files[files.SSHD_PATH].content = b"Port 23\n"
    page = page_of(fleet("report", "--html", "-"))
    assert "Changed outside" in page
    assert files.SSHD_PATH.rpartition("/")[2] in page or "sshd" in page


def test_without_a_cloud_it_says_so(fleet: CommandLine) -> None:
    fleet.world.cloud.fail_next("servers", CloudUnavailable("503"))
    fleet.world.cloud.fail_next("servers", CloudUnavailable("503"))
    said = fleet("report", "--html", "-")
    assert (said.code, "the fleet itself is in trouble" in said.out) == (2, True)
    assert "What it costs is not known" in said.out


def test_the_file_is_for_its_owner_alone(fleet: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "fleet.html"
    assert fleet("report", "--html", str(path)).code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    said = fleet("report", "--html", str(tmp_path / "no" / "such.html"))
    assert (said.code, "cannot write" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("hours", "levels"),
    [
        ({}, ["none"]),
        (dict.fromkeys(range(168), (3600, 0, 0)), ["ok"]),
        ({0: (3600, 0, 0), 1: (0, 3600, 0), 2: (1800, 1800, 0)}, ["none", "part", "out", "ok"]),
        ({0: (0, 0, 3600)}, ["none"]),
    ],
)
def test_a_strip_is_in_pieces_of_hours_alike(hours: dict[int, tuple[float, float, float]], levels: list[str]) -> None:
    """`hours`: how long ago, and how that was."""
    this = NOW.replace(minute=0)
    pieces = strip_of({this - number * HOUR: Uptime(*amounts) for number, amounts in hours.items()}, NOW)
    assert [it.level for it in pieces] == levels
    assert sum(it.width for it in pieces) == pytest.approx(1000, abs=1)
    assert pieces[0].start == 0


@pytest.mark.parametrize(
    ("well", "ill", "text"),
    [(10, 0, "100 %"), (999_999, 1, "99.99 %"), (1, 1, "50.00 %"), (0, 5, "0.00 %"), (0, 0, "")],
)
def test_a_share_is_never_rounded_up_to_all(well: float, ill: float, text: str) -> None:
    assert share_text(Uptime(well, ill, 0)) == text


def test_a_thousand_children_make_a_page_that_a_browser_can_open(fleet: CommandLine) -> None:
    from reconciler.render.report import Past, report_html

    found = fleet.world.client().watch(None, {}, remembers=True)
    rows = tuple(replace(found.rows[0], child=f"child-{number}") for number in range(1000))
    hours = {row.child: {NOW - number * HOUR: Uptime(3600, 0, 0) for number in range(168)} for row in rows}
    page = report_html("demo", replace(found, rows=rows), Past({}, hours, {}), None)
    assert len(page) < 2_000_000
