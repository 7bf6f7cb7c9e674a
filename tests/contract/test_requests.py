"""How many API requests each kind of action really takes, counted in the emulator's log, against what plans say.

Polls of actions are counted apart: they are shared, and taken from another budget.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler import engine
from reconciler.clouds.hetzner import HetznerCloud
from reconciler.model import (
    Action,
    Change,
    Child,
    Kind,
    OutcomeCode,
    Plan,
    Reason,
    ReasonCode,
    Secret,
    Server,
    ServerRequest,
    ServerStatus,
)
from reconciler.steps.requests import FIREWALL, MARK, RUN, SHARED, requests_of
from tests.contract.conftest import TOKEN, Emulator, HastyClock, StartEmulator
from tests.fakes.dialer import FakeDialer
from tests.fakes.fleets import FakeFleet


class WiredCloud:
    """A HetznerCloud on the emulator, with what a FakeDialer must know about the servers there."""

    def __init__(self, inner: HetznerCloud, emulator: Emulator) -> None:
        self.requests: list[ServerRequest] = []
        self.power_ons: Counter[int] = Counter()
        self._inner = inner
        self._emulator = emulator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def by_id(self) -> dict[int, Server]:
        return {server.id: self._seen(server) for server in self._emulator.world.servers.values()}

    def create_server(self, request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        self.requests.append(request)
        return self._inner.create_server(request)

    def lets_in(self, server: Server, source: str, port: int = 22) -> bool:
        return True

    def _seen(self, row: Any) -> Server:
        shared = {"region": row.location, "server_type": row.server_type, "image": None, "address": row.address}
        return Server(
            id=row.id,
            name=row.name,
            status=ServerStatus(row.status),
            created=HastyClock().now(),
            labels=row.labels,
            **shared,
        )


@dataclass(frozen=True)
class Taken:
    """Requests for the servers of the children, for what all share, and for how actions go on."""

    own: int
    shared: int
    polls: int

    def beside(self, common: int) -> int:
        """What it took but for what it shares with any other."""
        return self.own + self.shared - common


@dataclass
class Wired:
    world: FakeFleet
    emulator: Emulator

    def took(self, kind: Kind, *names: str, shared: tuple[Change, ...] = ()) -> Taken:
        """What one action of this kind for each of these children takes: for its servers, and for what they share."""
        client = self.world.client()
        planned = client.plan()
        reason = Reason(ReasonCode.ASKED, "the test asks for it")
        actions = tuple(Action(kind, name, reason, 1) for name in names)
        plan = Plan("demo", actions, (), {}, self.world.clock.now(), shared)
        children = {name: planned.children.get(name, Child(name, self.world.specs.get(name))) for name in names}
        before = len(self.emulator.world.log.entries)
        outcomes = engine.apply(
            self.world.fleet(), plan, children, self.world.ports(), 8, planned.trees, planned.memories
        )
        assert {outcome.code for outcome in outcomes} <= {OutcomeCode.DONE}, outcomes
        asked = [f"{entry.method} {entry.path}" for entry in self.emulator.world.log.entries[before:]]
        polls = asked.count("GET /actions")
        of_all = sum(line == "GET /servers" or "/firewalls" in line or "/ssh_keys" in line for line in asked)
        return Taken(len(asked) - of_all - polls, of_all, polls)


@pytest.fixture
def wired(state: Path, start_emulator: StartEmulator) -> Iterator[Callable[..., Wired]]:
    with start_emulator(pace=0) as emulator:
        inner = HetznerCloud(Secret(TOKEN), HastyClock(), emulator.url)

        def build(*names: str) -> Wired:
            world = FakeFleet(state, names)
            cloud: Any = WiredCloud(inner, emulator)
            world.cloud, world.dialer = cloud, FakeDialer(cloud, world.clock)
            return Wired(world, emulator)

        yield build
        inner.close()


def test_each_kind_takes_as_many_requests_as_plans_say(wired: Callable[..., Wired]) -> None:
    bench = wired("alice")
    counted = {}
    for kind in (Kind.CREATE, Kind.UPDATE, Kind.RESTART, Kind.STOP, Kind.START):
        counted[kind] = bench.took(kind, "alice").own
    bench.world.change("alice", server_types=("cpx32",))
    for kind in (Kind.RESIZE, Kind.REPLACE, Kind.HIBERNATE):
        counted[kind] = bench.took(kind, "alice").beside(SHARED + RUN if kind is Kind.REPLACE else 0)
    client = bench.world.client()
    client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))
    assert bench.took(Kind.CREATE, "alice").beside(SHARED + RUN) == requests_of(Kind.CREATE) + MARK
    assert bench.world.host("alice").gateway.starts == 1
    counted[Kind.DESTROY] = bench.took(Kind.DESTROY, "alice").beside(0)
    never_planned = {Kind.RESUSCITATE, Kind.CONFIGURE}
    assert counted == {kind: requests_of(kind) for kind in Kind if kind not in never_planned}


def test_what_all_share_takes_the_same_for_any_number_of_children(wired: Callable[..., Wired]) -> None:
    bench = wired("alice", "bob", "carol")
    bench.took(Kind.CREATE, "alice")
    assert bench.took(Kind.CREATE, "bob", "carol").shared == SHARED + RUN


def test_a_firewall_changed_outside_takes_as_many_requests_as_plans_say(wired: Callable[..., Wired]) -> None:
    bench = wired("alice")
    bench.took(Kind.CREATE, "alice")
    [number] = bench.emulator.world.firewalls.by_id
    bench.emulator.client.post(f"/firewalls/{number}/actions/set_rules", json={"rules": []}).raise_for_status()
    taken = bench.took(Kind.RESTART, shared=(Change("firewall demo: rules", [], ["some"], drift=True),))
    assert taken.own + taken.shared == SHARED + FIREWALL


def test_creates_at_once_share_their_polls(wired: Callable[..., Wired]) -> None:
    names = tuple(f"child{number}" for number in range(40))
    taken = wired(*names).took(Kind.CREATE, *names)
    assert taken.own == 40 * requests_of(Kind.CREATE)
    assert taken.polls < 40
