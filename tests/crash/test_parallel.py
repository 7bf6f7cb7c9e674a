"""An apply of three children at once dies at an effect of any of them; the next one brings all three to their end.

Threads take turns, effect by effect, so that a moment is the same in every run.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import FleetError
from reconciler.model import ChildSpec, Rollout
from reconciler.parallel import in_parallel
from tests.crash.comparing import OF_A_RETURN, differences, field_of, outcome
from tests.crash.dying import Fate, How, Turns, apply_until, go_on
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

NAMES: Final = ("alice", "bob", "carol")
STRIDE: Final = 1 if FULL else 19
LONG_ENOUGH: Final = 120.0


def _three_creates(world: FakeFleet) -> None:
    """Of a version that is known: of another one, two would wait for the first to install it, and take no turns."""
    world.specs = {"zoe": make_spec("zoe", server_type="cpx22")}
    world.apply()
    world.specs |= _three()


def _three_updates(world: FakeFleet) -> None:
    world.specs = _three()
    world.apply()
    world.change("alice", labels={"team": "red"}, protect=True)
    world.change("bob", config={"agents": {"defaults": {"timeoutSeconds": 900}}}, backups=True)
    world.host("carol").gateway.stop()


def _three_versions(world: FakeFleet) -> None:
    """All in one batch, to a version that is known: zoe has it."""
    world.specs = {**_three(), "zoe": make_spec("zoe", server_type="cpx22", version="2026.9.7")}
    world.apply()
    world.rollout = Rollout(canaries=0, batch=len(NAMES))
    for name in NAMES:
        world.host(name).gateway.remember(f"my name is {name}")
        world.change(name, version="2026.9.7")
    world.change("bob", config={"agents": {"defaults": {"timeoutSeconds": 900}}}, backups=True)


def _three() -> dict[str, ChildSpec]:
    return {name: make_spec(name, server_type="cpx22") for name in NAMES}


@pytest.mark.parametrize("change", [_three_creates, _three_updates, _three_versions])
def test_the_next_apply_ends_what_three_began(state: Path, change: Any) -> None:
    world, whole = FakeFleet(state), Fate()
    change(world)
    _apply(world, whole)
    wanted = _end(world)
    assert wanted["to do"] == []
    wrong: list[str] = []
    for moment in range(0, len(whole.effects), STRIDE):
        world.remove()
        world, fate = FakeFleet(state), Fate(moment, list(How)[moment % len(How)])
        change(world)
        _apply(world, fate)
        assert fate.effects[: moment + 1] == whole.effects[: moment + 1], "a moment is not always the same"
        world.clock.sleep(LONG_ENOUGH * (moment % 2))
        go_on(world)
        forgiven = OF_A_RETURN if change is _three_versions else frozenset()
        found = [it for it in differences(_end(world), wanted) if forgiven.isdisjoint(field_of(it))]
        found += [name for name, count in Counter(r.name for r in world.cloud.requests).items() if count != 1]
        wrong += [f"{fate.how} effect {moment} ({whole.effects[moment]}): {'; '.join(found)}"] if found else []
    assert not wrong, "\n".join(wrong)


def test_turns_are_taken_in_the_order_of_names() -> None:
    """The same order in every run, whichever thread comes first."""
    fate = Fate(turns=Turns(3))
    order: list[str] = []

    def work(name: str) -> None:
        assert fate.turns is not None
        fate.turns.begin(name)
        for _ in range(3):
            with fate.turns.turn(fate):
                order.append(name)
        fate.turns.end()

    in_parallel(work, ["bob", "carol", "alice"], 3)
    assert order == ["alice", "bob", "carol"] * 3


def _apply(world: FakeFleet, fate: Fate) -> None:
    fate.turns = Turns(len(NAMES))
    with suppress(FleetError):  # what the whole fleet shares could not be made
        apply_until(world, fate, workers=len(NAMES))


def _end(world: FakeFleet) -> dict[str, Any]:
    world.clock.sleep(LONG_ENOUGH)
    return outcome(world)
