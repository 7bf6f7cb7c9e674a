"""What a watch asks seldom: when, of whom, and what is kept of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reconciler import keys
from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.history import History
from reconciler.managed import files
from reconciler.model import Book, Cause, Pass, SlowLook
from reconciler.monitor import look
from reconciler.node_releases import security_releases
from reconciler.slowly import FLEET
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY

SLOW = ("ask for models", "ask for the bot", "count updates")


@pytest.fixture
def world(state: Path) -> FakeFleet:
    world = FakeFleet(state, ("alice", "bob")).applied()
    world.clock.sleep(3600)
    return world


def passed(world: FakeFleet, kept: dict[str, SlowLook] | None = None, *, remembers: bool = False) -> Pass:
    return look(world.fleet(), world.ports(), None, kept or {}, remembers=remembers)


def asked(world: FakeFleet, name: str = "alice") -> int:
    return sum(world.host(name).ran.count(question) for question in SLOW)


def causes(found: Pass, child: int = 0) -> list[Cause]:
    return [trouble.cause for trouble in found.rows[child].troubles]


def test_each_is_asked_once_an_hour_at_a_moment_of_its_own(world: FakeFleet) -> None:
    kept: dict[str, SlowLook] = {}
    at: dict[str, list[int]] = {"alice": [], "bob": []}
    for minute in range(180):
        before = {name: asked(world, name) for name in at}
        kept = dict(passed(world, kept, remembers=True).kept)
        for name, moments in at.items():
            if asked(world, name) > before[name]:
                assert asked(world, name) == before[name] + len(SLOW)
                moments.append(minute)
        world.clock.sleep(60)
    assert [len(moments) for moments in at.values()] == [3, 3]
    assert all(later - earlier == 60 for moments in at.values() for earlier, later in pairwise(moments))
    assert at["alice"][0] != at["bob"][0]


def test_who_remembers_nothing_asks_all_at_once(world: FakeFleet) -> None:
    found = passed(world)
    assert (asked(world), found.is_well) == (len(SLOW), True)
    assert found.kept["alice"].bot == "200"


def test_a_webhook_is_a_trouble_that_says_where_messages_go(world: FakeFleet) -> None:
    world.host("alice").bot = {"code": "200", "webhook": "collector.example"}
    found = passed(world)
    assert causes(found) == [Cause.WEBHOOK_SET]
    assert "collector.example" in found.rows[0].troubles[0].text


def test_a_door_that_is_open_to_us_is_told_apart_from_one_behind_a_firewall(world: FakeFleet) -> None:
    for name in ("alice", "bob"):
        world.host(name).closer = {"open_ports": [22, 8080]}
    knocked: list[tuple[str | None, int]] = []

    def reaches(address: str, port: int, timeout: float) -> bool:
        knocked.append((address, port))
        return (address, port) == (world.server("alice").address, 8080)

    ports = replace(world.ports(), reaches=reaches)
    found = look(world.fleet(), ports, None, {}, remembers=False)
    doors = [(world.server(name).address, port) for name in ("alice", "bob") for port in (files.PORT, 8080)]
    assert sorted(knocked) == sorted(doors)
    texts = [row.troubles[0].text for row in found.rows]
    assert texts == [
        "somebody listens beyond loopback on 8080, and one gets through to 8080 from here",
        "somebody listens beyond loopback on 8080",
    ]


def test_an_answer_that_says_nothing_of_a_key_takes_no_refusal_back(world: FakeFleet) -> None:
    kept, found = dict[str, SlowLook](), list[list[Cause]]()
    for answer in ("401", "429", "404", "", "200"):
        world.host("alice").models = answer
        seen = passed(world, kept)
        kept = {name: replace(it, asked_at=None) for name, it in seen.kept.items()}
        found.append(causes(seen))
    assert found == [[Cause.MODEL_KEY_REFUSED]] * 4 + [[]]


def test_what_another_provider_has_refused_says_nothing_of_this_one(world: FakeFleet) -> None:
    world.host("alice").models = "401"
    kept = {name: replace(it, asked_at=None, provider="another") for name, it in passed(world, {}).kept.items()}
    world.host("alice").models = "404"
    assert causes(passed(world, kept)) == []


def test_updates_are_told_when_they_have_waited_for_three_days(world: FakeFleet) -> None:
    world.host("bob").updates = 2
    kept, told = dict[str, SlowLook](), list[int]()
    for hour in range(80):
        found = passed(world, kept, remembers=True)
        kept = dict(found.kept)
        if Cause.UPDATES_DUE in causes(found, 1):
            told.append(hour)
        world.clock.sleep(3600)
    assert 72 <= told[0] <= 75
    world.host("bob").updates = 0
    world.clock.sleep(3600)
    assert causes(passed(world, kept, remembers=True), 1) == []


def test_what_was_asked_outlives_the_process(world: FakeFleet, state: Path) -> None:
    world.node_fixes = ("24.16.0",)
    found = passed(world)
    History(state).remember(found.at, (), found.everyone, Book(), found.kept)
    assert History(state).remembered()[1] == found.kept


def test_node_is_asked_for_once_a_day_for_the_whole_fleet(world: FakeFleet) -> None:
    count = 0

    def releases() -> tuple[str, ...]:
        nonlocal count
        count += 1
        return ("24.16.0", "99.0.0")

    kept: dict[str, SlowLook] = {}
    ports = replace(world.ports(), node_releases=releases)
    for _ in range(49):
        kept = dict(look(world.fleet(), ports, None, kept, remembers=True).kept)
        world.clock.sleep(3600)
    assert count == 3
    assert kept[FLEET].node == ("24.16.0", "99.0.0")


def test_where_nobody_tells_of_node_it_is_unknown_and_asked_again(world: FakeFleet) -> None:
    world.node_fixes = None
    found = passed(world)
    assert found.is_well
    assert [it.verdict for it in found.rows[0].findings if it.check == "node security"] == ["UNKNOWN"]
    world.node_fixes = ("24.99.0",)
    assert causes(passed(world, dict(found.kept))) == []
    world.clock.sleep(3600)
    assert causes(passed(world, dict(found.kept))) == [Cause.NODE_INSECURE]


def test_where_nobody_tells_of_node_it_is_asked_for_once_an_hour(world: FakeFleet) -> None:
    count, kept = 0, dict[str, SlowLook]()

    def releases() -> None:
        nonlocal count
        count += 1

    ports = replace(world.ports(), node_releases=releases)
    for _ in range(60):
        kept = dict(look(world.fleet(), ports, None, kept, remembers=True).kept)
        world.clock.sleep(60)
    assert count == 1


def test_a_question_that_does_not_end_is_not_asked_again_by_each_pass(world: FakeFleet) -> None:
    host, kept = world.host("alice"), dict[str, SlowLook]()
    for minute in range(120):
        host.fails = [("count updates", HostTimedOut("it did not end"))]
        world.clock.sleep(60)
        kept = dict(passed(world, kept, remembers=True).kept)
        assert causes(passed(world, kept, remembers=True)) == [], minute
    assert asked(world) == 2 * len(SLOW)
    assert (kept["alice"].bot, kept["alice"].model, kept["alice"].updates) == ("200", "200", None)


def test_one_question_that_fails_does_not_begin_the_days_anew(world: FakeFleet) -> None:
    host, kept, told = world.host("alice"), dict[str, SlowLook](), list[int]()
    host.updates = 2
    for hour in range(90):
        if hour % 24 == 20:
            host.fails = [("count updates", CommandFailed("apt was killed"))]
        found = passed(world, kept, remembers=True)
        kept = dict(found.kept)
        told += [hour] if Cause.UPDATES_DUE in causes(found) else []
        world.clock.sleep(3600)
    assert 72 <= told[0] <= 76


def test_what_is_kept_is_of_one_server(world: FakeFleet) -> None:
    kept = {"alice": replace(passed(world).kept["alice"], updates=5, updates_since=1.0, webhook="x", server=4711)}
    found = passed(world, kept, remembers=True)
    assert (causes(found), found.kept["alice"].updates) == ([], None)


def test_a_clock_that_was_ahead_once_stops_no_question(world: FakeFleet) -> None:
    now = world.clock.now().timestamp()
    kept = {"alice": replace(passed(world).kept["alice"], asked_at=now + 365 * 86400)}
    before = asked(world)
    passed(world, kept, remembers=True)
    assert asked(world) == before + len(SLOW)


def test_what_was_mended_is_seen_within_minutes(world: FakeFleet) -> None:
    world.host("alice").bot = {"code": "200", "webhook": "collector.example"}
    kept = dict(passed(world).kept)
    world.host("alice").bot = {"code": "200", "webhook": ""}
    for _ in range(6):
        world.clock.sleep(60)
        found = passed(world, kept, remembers=True)
        kept = dict(found.kept)
    assert causes(found) == []


def test_with_a_probe_key_the_same_is_known(world: FakeFleet) -> None:
    world.probe = 1
    world.apply()
    world.clock.sleep(3600)
    world.host("alice").bot = {"code": "200", "webhook": "collector.example"}
    ports = replace(world.ports(), fleet_key=keys.probe_key(FLEET_KEY, 1))
    assert look(world.fleet(), ports, None, {}, remembers=False).kept == passed(world).kept


# --- the list of Node.js's releases ----------------------------------------------------------------------------------

LIST: list[dict[str, Any]] = [  # as nodejs.org writes it
    {"version": "v26.2.0", "date": "2026-10-01", "files": [], "lts": False, "security": False},
    {"version": "v24.22.0", "date": "2026-09-01", "files": [], "lts": "Krypton", "security": True},
    {"version": "v24.21.0", "date": "2026-08-01", "files": [], "lts": "Krypton", "security": False},
]


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.said)  # type: ignore[attr-defined]

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (json.dumps(LIST), ("24.22.0",)),
        ("[]", ()),
        ("{}", ()),
        ("<html>", None),
        ('[{"security": true}]', None),
        ("[1]", None),
    ],
)
def test_the_list_is_read(server: ThreadingHTTPServer, said: str, found: tuple[str, ...] | None) -> None:
    server.said = said.encode()  # type: ignore[attr-defined]
    assert security_releases(f"http://127.0.0.1:{server.server_address[1]}/index.json") == found


def test_what_is_no_http_or_comes_drop_by_drop_is_nothing(server: ThreadingHTTPServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer() -> None:
            with odd.accept()[0] as peer:
                peer.recv(1 << 16)
                peer.sendall(b"no http at all\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert security_releases(f"http://127.0.0.1:{odd.getsockname()[1]}/index.json") is None


def test_where_nobody_answers_nothing_is_known() -> None:
    assert security_releases("http://127.0.0.1:1/index.json") is None
