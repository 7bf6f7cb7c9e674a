"""A replacement dies at every moment, with a user who talks to whichever gateway listens at each of them.

At no moment do two gateways poll. After the next apply exactly one does, it knows what the user had said before, no
server is left over, and whatever was said in between is there or in a backup that opens. Whether that apply may replace
or not, and whether every machine has rebooted meanwhile or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import FleetError
from reconciler.model import Plan, PlanOptions, ServerStatus
from tests.crash.dying import Effect, Fate, How, apply_until, ways_to_die
from tests.crash.scenarios import finished_fleet
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

BEFORE: Final = "my name is alice"
ALLOWED: Final = PlanOptions(allow_replace=frozenset({"alice"}))
NOTHING_ALLOWED: Final = PlanOptions()
LONG_ENOUGH: Final = 700.0
QUICK: Final = 20


def _good(world: FakeFleet) -> None:
    world.change("alice", regions=("hel1",))


def _never_ready(world: FakeFleet) -> None:
    _good(world)
    world.dialer.flawed = {"2026.9.6": "never ready"}
    world.clock.late = 8.0  # it is waited for through minutes, a look every two seconds


def _ends_at_its_second_start(world: FakeFleet) -> None:
    """By then somebody has talked to it."""
    _good(world)
    world.dialer.flawed = {"2026.9.6": "second start"}


@dataclass
class Witnessed(Fate):
    """After every effect the user says something to whoever listens."""

    world: FakeFleet | None = None
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def carry_out(self, effect: Effect) -> object:
        try:
            return super().carry_out(effect)
        finally:
            self.talk()

    def talk(self) -> None:
        assert self.world is not None
        listening = _listening(self.world)
        if len(listening) > 1:
            self.wrong.append(f"two gateways poll after effect {len(self.effects)} ({self.effects[-1]})")
        for host in listening:
            self.said.append(f"message {len(self.said):04}.")
            host.gateway.remember(self.said[-1])


@pytest.mark.parametrize("change", [_good, _never_ready, _ends_at_its_second_start])
@pytest.mark.parametrize("afterwards", [ALLOWED, NOTHING_ALLOWED], ids=["allowed", "not allowed"])
def test_exactly_one_gateway_polls_and_nothing_that_was_said_is_lost(
    change: Callable[[FakeFleet], None], afterwards: PlanOptions, state: Path
) -> None:
    finished = finished_fleet(state.parent / "finished/state")
    world, whole = _world(change, finished, state)
    apply_until(world, whole, ALLOWED)
    wrong = [*whole.wrong, *_lost(world, whole)]
    is_replaced = world.server("alice").region == "hel1"
    assert is_replaced == (change is _good)
    world.remove()
    for moment, how, boots in _trials(len(whole.effects)):
        world, fate = _world(change, finished, state, moment, how)
        with suppress(FleetError):
            apply_until(world, fate, ALLOWED)
        found = [*fate.wrong, *_lost(world, fate), *_end(world, fate, afterwards, boots)]
        wrong += [f"{fate.how} effect {moment} ({whole.effects[moment]}), boots {boots}: {text}" for text in found]
        world.remove()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("afterwards", [ALLOWED, NOTHING_ALLOWED], ids=["allowed", "not allowed"])
def test_no_second_gateway_polls_where_the_label_of_the_commit_is_taken_away_by_hand(
    afterwards: PlanOptions, state: Path
) -> None:
    finished = finished_fleet(state.parent / "finished/state")
    world, whole = _world(_good, finished, state)
    apply_until(world, whole, ALLOWED)
    world.remove()
    committed = [moment for moment, effect in enumerate(whole.effects) if effect.startswith("set_labels")][-3:]
    wrong, tried = [], 0
    for moment, how, boots in _trials(len(whole.effects), first=committed[0]):
        world, fate = _world(_good, finished, state, moment, how)
        with suppress(FleetError):
            apply_until(world, fate, ALLOWED)
        for server in [server for server in world.cloud.by_id.values() if server.is_retired]:
            labels = {name: value for name, value in server.labels.items() if not name.endswith("/retired")}
            world.cloud.set_labels(server.id, labels)
            tried += 1
        found = [*fate.wrong, *_end(world, fate, afterwards, boots)]
        wrong += [f"{fate.how} effect {moment} ({whole.effects[moment]}), boots {boots}: {text}" for text in found]
        world.remove()
    assert not wrong, "\n".join(wrong)
    assert tried


def _trials(effects: int, first: int = 0) -> Iterator[tuple[int, How, bool]]:
    ways = list(product(How, (False, True)))
    for number, moment in enumerate(range(first, effects, 1 if FULL else max(1, (effects - first) // QUICK))):
        every = product(ways_to_die(moment, first), (False, True))
        for how, boots in every if FULL else [ways[number % len(ways)]]:
            yield moment, how, boots


def _world(
    change: Callable[[FakeFleet], None],
    finished: FakeFleet,
    state: Path,
    moment: int | None = None,
    how: How = How.BEFORE,
) -> tuple[FakeFleet, Witnessed]:
    world = finished.copy(state)
    change(world)
    return world, Witnessed(moment, how, world=world)


def _end(world: FakeFleet, fate: Witnessed, options: PlanOptions, boots: bool) -> Iterator[str]:
    """What is wrong after one more apply, and after another one where a replacement could not succeed."""
    world.clock.sleep(LONG_ENOUGH)
    if boots:
        for host in _up(world):
            host.boot()
    fate.moment = fate.dead = None  # type: ignore[assignment]
    fate.effects.append("(later)")
    fate.talk()
    before = len(fate.wrong)
    apply_until(world, fate, options)
    if _planned(world).actions:  # it went back, and its successor is left for a person to look at
        yield from _unsettled(world, fate)
        apply_until(world, fate, NOTHING_ALLOWED)
    yield from fate.wrong[before:]
    yield from _unsettled(world, fate)
    left = [server.name for server in world.cloud.by_id.values() if server.child == "alice"]
    if left != ["demo-alice"]:
        yield f"servers: {left}"
    if actions := _planned(world).actions:
        yield f"still to do: {[(action.kind, action.reason) for action in actions]}"


def _unsettled(world: FakeFleet, fate: Witnessed) -> Iterator[str]:
    listening = _listening(world)
    if len(listening) != 1:
        yield f"{len(listening)} gateways poll"
    yield from _lost(world, fate)
    if any(BEFORE not in host.gateway.memory for host in listening):
        yield "it does not know what it knew before"
    for host in _up(world):
        is_enabled = "openclaw-gateway.service" in host.systemd.enabled
        if is_enabled != (host in listening):
            yield "the next boot changes who polls"


def _lost(world: FakeFleet, fate: Witnessed) -> list[str]:
    """What was said, and is neither on a server nor in a backup that opens. In the end it must be in one gateway."""
    lost = {BEFORE, *fate.said}.difference(*(host.gateway.memory for host in _up(world)))
    kept = _backups(world) if lost else ""
    return [f"lost: {text}" for text in sorted(lost) if text not in kept]


def _backups(world: FakeFleet) -> str:
    keeper, texts = world.client().keeper(), []
    for number, backup in enumerate(keeper.kept("alice").backups):
        target = world.state.parent / f"opened {number}"
        keeper.fetch("alice", backup, target)
        texts.append(target.read_text())
        target.unlink()
    return "".join(texts)


def _planned(world: FakeFleet) -> Plan:
    return world.client().plan().plan


def _listening(world: FakeFleet) -> list[FakeHost]:
    return [host for host in _up(world) if host.gateway.active == "active"]


def _up(world: FakeFleet) -> list[FakeHost]:
    servers = [server for server in world.cloud.by_id.values() if server.child == "alice"]
    running = [server.id for server in servers if server.status is ServerStatus.RUNNING]
    return [world.dialer.hosts[number] for number in running if number in world.dialer.hosts]
