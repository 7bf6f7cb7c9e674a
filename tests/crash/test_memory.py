"""An apply that takes a server away dies at any moment: what its gateway remembers is somewhere, and in one gateway.

Right afterwards already, and again after the next apply, of which nobody asks what the first one was asked for: then
it is in the one gateway that runs, or its child sleeps and has a backup that opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import FleetError
from reconciler.model import Server, ServerStatus
from tests.crash.comparing import kept
from tests.crash.dying import Fate, How, apply_until, ways_to_die
from tests.crash.scenarios import SCENARIOS, Scenario, finished_fleet
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

TOLD: Final = "my name is alice"
KEPT: Final = {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}
LONG_ENOUGH: Final = 100.0
TAKING: Final = (
    *("a replacement", "a removal", "an expiry", "a hibernation", "a hibernation that had begun", "a wake"),
    *(f"{what} after other versions" for what in ("a replacement", "a removal", "a hibernation")),
)
QUICK: Final = 12


@pytest.mark.parametrize("name", TAKING)
def test_what_a_gateway_remembers_is_never_nowhere(name: str, state: Path) -> None:
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == name]
    finished = finished_fleet(state.parent / "finished/state")
    wrong = [text for fate in _fates(scenario, finished, state) for text in _trial(scenario, finished, state, fate)]
    assert not wrong, "\n".join(wrong)


def _fates(scenario: Scenario, finished: FakeFleet, state: Path) -> Iterator[Fate]:
    world, whole = scenario.world(state, finished), Fate()
    apply_until(world, whole, scenario.asks(world))
    world.remove()
    ways = list(How)
    for number, moment in enumerate(range(0, len(whole.effects), 1 if FULL else max(1, len(whole.effects) // QUICK))):
        for how in ways_to_die(moment) if FULL else [ways[number % len(ways)]]:
            yield Fate(moment, how)


def _trial(scenario: Scenario, finished: FakeFleet, state: Path, fate: Fate) -> Iterator[str]:
    world = scenario.world(state, finished)
    with suppress(FleetError):  # what the whole fleet shares could not be made
        apply_until(world, fate, scenario.asks(world))
    where = f"{scenario}, {fate.how} effect {fate.moment} ({fate.effects[-1]})"
    yield from (f"{where}: {text}" for text in _wrong(world))
    if fate.how is How.UNANSWERED:
        yield from (f"{where}: {text}" for text in _stopped(world))
    world.clock.sleep(LONG_ENOUGH)
    outcomes = world.apply(1)
    yield from (f"{where}, then {outcome.error}" for outcome in outcomes if outcome.error)
    yield from (f"{where}, then {text}" for text in (*_wrong(world), *_unsettled(world)))
    world.remove()


def _wrong(world: FakeFleet) -> Iterator[str]:
    """At any moment, whatever has happened."""
    homes = [host.gateway.memory for host in _hosts(world)]
    if [TOLD] not in homes and kept(world).get("alice") != KEPT:
        yield f"its memory is nowhere: {homes}"
    running = [host for host in _hosts(world) if host.gateway.active == "active"]
    if len(running) > 1:
        yield "two gateways poll one bot"
    if any(host.gateway.memory != [TOLD] for host in running):
        yield "a gateway runs without its memory"


def _stopped(world: FakeFleet) -> Iterator[str]:
    """An apply that lives and fails leaves no server behind whose gateway it has stopped."""
    finished = [server for server in _servers(world) if not server.is_unfinished]
    for server in finished:
        if server.id in world.dialer.hosts and world.dialer.hosts[server.id].gateway.active != "active":
            yield "its gateway stays stopped"


def _unsettled(world: FakeFleet) -> Iterator[str]:
    """After an apply that nothing has happened to."""
    planned = world.client().plan()
    if planned.plan.actions:
        yield f"there is still to do: {planned.plan.actions}"
    if "alice" not in world.specs or planned.children["alice"].spec is None:
        return
    is_running = [host.gateway.active for host in _hosts(world)] == ["active"]
    if str(planned.plan.sync["alice"]) == "SUSPENDED":
        if _servers(world) or kept(world).get("alice") != KEPT:
            yield "it sleeps, and not well"
    elif not is_running and _servers(world):
        yield "its gateway does not run"


def _servers(world: FakeFleet) -> list[Server]:
    return [server for server in world.cloud.by_id.values() if server.name == "demo-alice"]


def _hosts(world: FakeFleet) -> list[FakeHost]:
    is_up = (server.id for server in _servers(world) if server.status is ServerStatus.RUNNING)
    return [world.dialer.hosts[number] for number in is_up if number in world.dialer.hosts]
