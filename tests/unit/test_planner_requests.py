"""The plan's count of API requests against what an apply really asks a cloud in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.api import FleetClient
from reconciler.model import Kind, PlanOptions
from reconciler.ports import Cloud
from tests.fakes.cloud import FakeCloud
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

FREE = {"requests_left", "wait"}  # asks nobody; and polls, which plans leave out
OF_CATALOGUE = 5  # types, regions, two pages of images, prices


@dataclass
class CountedCloud:
    """Passes everything on and counts it: a call for a request, but the catalogue."""

    inner: FakeCloud
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def counted(*arguments: Any) -> Any:
            self.calls += [name] * self._requests(name)
            return method(*arguments)

        return counted

    def _requests(self, name: str) -> int:
        if name == "catalog":  # read once and kept for a while
            return 0 if name in self.calls else OF_CATALOGUE
        return 0 if name in FREE else 1


CHANGES: dict[Kind, Callable[[FakeFleet], None]] = {
    Kind.UPDATE: lambda world: world.change("alice", backups=True),
    Kind.RESIZE: lambda world: world.change("alice", server_types=("cpx32",)),
    Kind.START: lambda world: world.host("alice").gateway.stop(),
    Kind.STOP: lambda world: world.change("alice", enabled=False),
    Kind.REPLACE: lambda world: world.change("alice", regions=("fsn1",)),
    Kind.DESTROY: lambda world: world.specs.clear(),
}


def counted_apply(world: FakeFleet) -> tuple[list[Kind], int, int]:
    """What was planned, how many requests it was said to take, and how many it took."""
    cloud = CountedCloud(world.cloud)
    client = FleetClient(world.fleet(), replace(world.ports(), cloud=cast(Cloud, cloud)))
    planned = client.plan(options=PlanOptions(allow_replace=True))
    client.apply(planned)
    return [action.kind for action in planned.plan.actions], planned.plan.requests, len(cloud.calls)


def test_a_create_takes_about_as_many_requests_as_the_plan_says(state: Path) -> None:
    """Of a version that somebody has installed before."""
    world = FakeFleet(state, ("alice",)).applied()
    world.specs["bob"] = make_spec("bob", server_type="cpx22")
    kinds, said, took = counted_apply(world)
    assert kinds == [Kind.CREATE]
    assert took <= said <= 2 * took


def test_a_plan_with_nothing_to_do_takes_none(state: Path) -> None:
    kinds, said, _ = counted_apply(FakeFleet(state, ("alice",)).applied())
    assert (kinds, said) == ([], 0)


@pytest.mark.parametrize("kind", CHANGES)
def test_an_action_takes_about_as_many_requests_as_the_plan_says(state: Path, kind: Kind) -> None:
    world = FakeFleet(state, ("alice",)).applied()
    CHANGES[kind](world)
    kinds, said, took = counted_apply(world)
    assert kinds == [kind]
    assert took <= said <= 2 * took
