"""The emulator on loopback, its answers judged by Hetzner's own document; and both who implement the Cloud port."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from reconciler.clouds.hetzner import HetznerCloud
from reconciler.model import Secret
from reconciler.ports import Cloud
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.world import World
from tests.contract.openapi import problems
from tests.contract.serving import Exchange, Host, Recorder, serve
from tests.fakes.catalog import REGIONS
from tests.fakes.cloud import FakeCloud
from tests.fakes.machines import FakeMachines

TOKEN = "t" * 64
READ_ONLY_TOKEN = "r" * 64
NO_TLS = ssl.create_default_context()  # never used on loopback, and slow to make for every client


class HastyClock:
    """Real time, but hardly any sleep; `slept` is what was asked for."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(min(seconds, 0.01))

    def token(self) -> str:
        return "0123456789abcdef"


@dataclass
class Emulator:
    url: str
    world: World
    machines: FakeMachines
    client: httpx.Client
    recorder: Recorder

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not done():
            assert time.monotonic() < deadline, "the emulator does not get there"
            time.sleep(0.01)

    def settle(self) -> None:
        """Until no action runs."""
        self.wait(lambda: all(action.status != "running" for action in list(self.world.actions.by_id.values())))


class StartEmulator(Protocol):
    def __call__(
        self,
        *,
        pace: float = ...,
        requests_per_hour: int = ...,
        directory: Path | None = ...,
        machines: FakeMachines | None = ...,
    ) -> AbstractContextManager[Emulator]: ...


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    with serve() as host:
        yield host


@pytest.fixture(scope="session")
def start_emulator(host: Host) -> StartEmulator:
    """Runs an emulator. When it ends, every answer that it gave must have been as the document says."""

    @contextmanager
    def start(
        *,
        pace: float = 0.03,
        requests_per_hour: int = 3600,
        directory: Path | None = None,
        machines: FakeMachines | None = None,
    ) -> Iterator[Emulator]:
        machines = machines or FakeMachines()
        files = (directory / "state.sqlite", directory / "requests.jsonl") if directory else (None, None)
        world = World(
            machines,
            IPv4Network("10.213.0.0/24"),
            10,
            files[0],
            log_file=files[1],
            pace=pace,
            requests_per_hour=requests_per_hour,
        )
        app = build_app(world, TOKEN, read_only_token=READ_ONLY_TOKEN)
        recorder = Recorder(app)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with host.mount(app, recorder) as url, httpx.Client(headers=headers, verify=NO_TLS, trust_env=False) as client:
            client.base_url = httpx.URL(url + "/v1")
            yield Emulator(url + "/v1", world, machines, client, recorder)
        judge(recorder.exchanges)

    return start


@pytest.fixture
def emulator(start_emulator: StartEmulator) -> Iterator[Emulator]:
    with start_emulator() as emulator:
        yield emulator


def judge(exchanges: Sequence[Exchange]) -> None:
    """Every answer that reached its end, and did not come from what stands before the API."""
    whole = [exchange for exchange in exchanges if exchange.complete and not exchange.body.startswith(b"<html>")]
    wrong = [
        text for exchange in whole for text in problems(exchange.method, exchange.path, exchange.status, exchange.body)
    ]
    assert not wrong, "\n".join(wrong[:20])


@pytest.fixture
def clock() -> HastyClock:
    return HastyClock()


@pytest.fixture
def hetzner(emulator: Emulator, clock: HastyClock) -> Iterator[HetznerCloud]:
    cloud = HetznerCloud(Secret(TOKEN), clock, emulator.url)
    yield cloud
    cloud.close()


@dataclass
class Bench:
    """A Cloud, and what its port cannot tell: `ports_of` a server is what its firewalls let in."""

    cloud: Cloud
    ports_of: Callable[[int], dict[str, set[int]]]
    fail_next_action: Callable[[str], None]


@pytest.fixture(params=["fake", "hetzner"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "fake":
        fake = FakeCloud()
        return Bench(fake, lambda number: _fake_ports(fake, number), lambda command: _fail(fake))
    emulator: Emulator = request.getfixturevalue("emulator")
    cloud: HetznerCloud = request.getfixturevalue("hetzner")
    world = emulator.world
    world.stock |= {("cx23", region): False for region in REGIONS}
    return Bench(
        cloud,
        lambda number: _emulated_ports(world, number),
        lambda command: world.faults.fail_action(command, "action_failed", "no luck today"),
    )


def _fail(fake: FakeCloud) -> None:
    fake.failing_actions += 1


def _fake_ports(fake: FakeCloud, server_id: int) -> dict[str, set[int]]:
    """Of rules such as `in tcp 22 from 0.0.0.0/0, ::/0`."""
    covering = fake.walls_of(fake.by_id[server_id])
    return {wall.name: {int(rule.split()[2]) for rule in wall.rules} for wall in covering}


def _emulated_ports(world: World, server_id: int) -> dict[str, set[int]]:
    covering = world.firewalls.of(world.servers[server_id])
    return {firewall.name: {int(str(rule["port"])) for rule in firewall.rules} for firewall in covering}
