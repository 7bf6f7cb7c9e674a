"""`fleet tunnel`: a gateway's control UI through SSH, and its token by a link that works once."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from reconciler.handing import handed_over
from reconciler.model import Secret
from tests.fakes.clock import FakeClock
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

HUSH = "planted-token-of-a-gateway"


def opened(link: str) -> httpx.Response:
    return httpx.get(link, follow_redirects=False, timeout=10, trust_env=False)


def test_a_link_hands_the_secret_over_once() -> None:
    with handed_over("http://127.0.0.1:1/", Secret(HUSH), "nonce") as link:
        assert (HUSH in link, opened(f"{link}x").status_code) == (False, 404)
        first = opened(link)
        assert (first.status_code, first.headers["location"]) == (302, f"http://127.0.0.1:1/#token={HUSH}")
        assert first.headers["cache-control"] == "no-store"
        assert opened(link).status_code == 404
    with pytest.raises(httpx.ConnectError):
        opened(link)


def test_of_many_who_open_it_at_once_one_is_led_on() -> None:
    with handed_over("http://127.0.0.1:1/", Secret(HUSH), "nonce") as link:
        found: list[int] = []
        threads = [threading.Thread(target=lambda: found.append(opened(link).status_code)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(found) == [302, *[404] * 7]


class CuriousClock(FakeClock):
    """Somebody follows what was said while the tunnel is open."""

    def __init__(self) -> None:
        super().__init__()
        self.curious: Callable[[], object] = list

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.curious()


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, clock=CuriousClock()).applied(), capsys)


def test_a_tunnel_leads_to_the_gateway_and_ends_with_its_connection(fleet: CommandLine) -> None:
    host, seen = fleet.world.host("alice"), []
    host.lasts = 2
    fleet.world.clock.curious = lambda: seen.append(list(host.forwarded))  # type: ignore[attr-defined]
    said = fleet("tunnel", "alice")
    assert (said.code, "alice: the connection broke off" in said.err) == (1, True)
    [here] = re.findall(r"alice: http://127\.0\.0\.1:(\d+)/\n", said.out)
    assert seen == [[(int(here), 18789)]] * 2
    assert re.search(r"Open this, once: http://127\.0\.0\.1:\d+/[0-9a-f]{32}\n", said.out)
    assert host.forwarded == []
    assert host.content("/etc/openclaw/gateway.token").decode().strip() not in said.out + said.err
    assert [it.event for it in fleet.world.ports().store.events()][-1] == "tunnel-opened"


def test_a_port_that_is_taken_is_refused(fleet: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = fleet("tunnel", "alice", "--port", str(taken.getsockname()[1]))
    assert (said.code, "Address already in use" in said.err) == (64, True)


def test_who_has_no_server_has_no_gateway(fleet: CommandLine) -> None:
    said = fleet("tunnel", "alicia")
    assert (said.code, "did you mean alice?" in said.err) == (64, True)
