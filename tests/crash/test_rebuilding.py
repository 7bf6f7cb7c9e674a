"""A rebuild dies at every moment: of a host that answers, and of one that answers nobody any more.

At no moment do two gateways poll. A person says the same again, or applies, as the plan tells; then exactly one polls,
it knows what the backup knows, and no server is left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import FleetError, HostTimedOut
from reconciler.model import ServerStatus
from tests.crash.dying import Died, Fate, apply_until, doomed, trials
from tests.crash.scenarios import finished_fleet
from tests.crash.test_replacing import BEFORE, LONG_ENOUGH, Witnessed
from tests.fakes.fleets import FakeFleet

SILENT: Final = HostTimedOut("no answer within 10 s")
QUICK: Final = 16
TRIES: Final = 3


@pytest.mark.parametrize("is_silent", [False, True], ids=["its host answers", "its host is silent"])
@pytest.mark.parametrize("applies", [False, True], ids=["rebuilt again", "applied"])
def test_a_rebuild_that_died_is_ended_by_whoever_comes_next(is_silent: bool, applies: bool, state: Path) -> None:
    finished = finished_fleet(state.parent / "finished/state")
    world = _world(finished, state, is_silent)
    whole = Witnessed(world=world)
    _rebuild(world, whole, is_silent)
    assert [*whole.wrong, *_wrong(world)] == []
    world.remove()
    found = []
    for moment, how in trials(len(whole.effects), QUICK):
        world = _world(finished, state, is_silent)
        fate = Witnessed(moment, how, world=world)
        with suppress(FleetError):
            _rebuild(world, fate, is_silent)
        _go_on(world, fate, is_silent, applies)
        wrong = [*fate.wrong, *_wrong(world)]
        found += [f"{how} effect {moment} ({whole.effects[moment]}): {text}" for text in wrong]
        world.remove()
    assert not found, "\n".join(found)


def _world(finished: FakeFleet, state: Path, is_silent: bool) -> FakeFleet:
    world = finished.copy(state)
    if is_silent:
        client = world.client()
        with client.lock("fleet backup create"):
            client.keeper().create(["alice"])
        world.dialer.silent[world.server("alice").id] = SILENT
    return world


def _rebuild(world: FakeFleet, fate: Fate, is_silent: bool) -> None:
    client = doomed(world, fate)
    with client.lock("fleet rebuild"), suppress(Died):
        client.apply(client.plan_rebuild(["alice"], ["alice"] if is_silent else []), 1)


def _go_on(world: FakeFleet, fate: Witnessed, is_silent: bool, applies: bool) -> None:
    """Until nothing is to be done: by the first way, and where that is refused by the other."""
    fate.moment = fate.dead = None  # type: ignore[assignment]
    fate.effects.append("(later)")
    for _ in range(TRIES):
        world.clock.sleep(LONG_ENOUGH)
        fate.talk()
        if not applies:
            with suppress(FleetError):
                _rebuild(world, fate, is_silent)
        apply_until(world, fate)
        if not list(_wrong(world)):
            return
        applies = False


def _wrong(world: FakeFleet) -> Iterator[str]:
    there = [server for server in world.cloud.by_id.values() if server.child == "alice"]
    if [server.name for server in there] != ["demo-alice"]:
        yield f"servers: {[(server.name, server.status, dict(server.labels)) for server in there]}"
    up = [server.id for server in there if server.status is ServerStatus.RUNNING]
    polling = [host for number, host in world.dialer.hosts.items() if number in up and host.gateway.active == "active"]
    if len(polling) != 1 or BEFORE not in polling[0].gateway.memory:
        yield f"{len(polling)} poll, and know {[host.gateway.memory[:1] for host in polling]}"
    planned = world.client().plan().plan
    if planned.actions or any(found.severity in ("error", "refused") for found in planned.diagnostics):
        yield f"still to do: {[*planned.actions, *planned.diagnostics]}"
