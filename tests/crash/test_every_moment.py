"""An apply dies before, in the middle of and after every single thing that it does outside; the next one goes on.

So does one that lives and loses the answer. Each trial is compared with the run that nothing happened to. The quick
suite tries some effects of each kind of action in one way each; FLEET_TEST_FULL=1 tries all effects in all ways to die.
What is lost of the state directory and how soon the next apply comes changes from trial to trial.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.commands.switching import PATIENCE
from reconciler.errors import FleetError
from reconciler.managed import MANAGED
from tests.crash.comparing import OF_A_RETURN, OF_ONE_UID, Untouched, differences, field_of, outcome, untouched
from tests.crash.dying import Fate, How, apply_until, go_on, ways_to_die
from tests.crash.scenarios import BYSTANDER, SCENARIOS, Scenario, finished_fleet
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet

LONG_ENOUGH: Final = 100.0  # seconds, for whatever takes itself back and for what the cloud was asked for
LOSSES: Final = ("", ".", "children")  # of the state directory: nothing, all of it, the records
BEYOND: Final = PATIENCE + 100.0  # by then a host in a switch has gone back by itself
PAUSES: Final = (LONG_ENOUGH, 0.0, BEYOND)
MORE_STARTS: Final = 4  # an interrupted switch, its return, and what the host did by itself
AFTERMATHS: Final = tuple(product(LOSSES, PAUSES))
QUICK: Final = 12  # effects of each kind of action

Wanted = tuple[dict[str, Any], Untouched | None, list[str]]


def test_the_kept_differences_are_known() -> None:
    assert {entry.name for entry in MANAGED} >= OF_ONE_UID


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_the_next_apply_ends_what_one_that_died_began(scenario: Scenario, state: Path) -> None:
    finished = finished_fleet(state.parent / "finished/state")
    wanted = _undisturbed(scenario, finished, state)
    wrong = [
        found
        for moment, how, loss, pause in _trials(len(wanted[2]))
        if (found := _trial(scenario, finished, state, wanted, Fate(moment, how), loss, pause))
    ]
    assert not wrong, "\n".join(wrong)


def _trials(effects: int) -> Iterator[tuple[int, How, str, float]]:
    ways = list(How)
    for number, moment in enumerate(range(0, effects, 1 if FULL else max(1, effects // QUICK))):
        for how in ways_to_die(moment) if FULL else [ways[number % len(ways)]]:
            yield moment, how, *AFTERMATHS[(number + ways.index(how)) % len(AFTERMATHS)]


def _undisturbed(scenario: Scenario, finished: FakeFleet, state: Path) -> Wanted:
    world, fate = scenario.world(state, finished), Fate()
    asked = scenario.asks(world)
    planned = world.client().plan(options=asked).plan
    assert tuple(f"{action.kind} {action.child}" for action in planned.actions) == scenario.actions
    before = untouched(world, BYSTANDER)
    outcomes = apply_until(world, fate, asked)
    assert all(bool(found.error) == scenario.fails for found in outcomes), outcomes
    world.clock.sleep(LONG_ENOUGH)
    wanted = outcome(world)
    assert (wanted["to do"], wanted["shared"]) == ([], [])
    assert _creates(world) == scenario.creates
    assert untouched(world, BYSTANDER) == before
    world.remove()
    return wanted, before, fate.effects


def _trial(
    scenario: Scenario, finished: FakeFleet, state: Path, wanted: Wanted, fate: Fate, loss: str, pause: float
) -> str:
    """What came out otherwise than in the undisturbed run, empty if nothing did."""
    facts, bystander, effects = wanted
    world = scenario.world(state, finished)
    asked = scenario.asks(world)
    with suppress(FleetError):  # what the whole fleet shares could not be made
        apply_until(world, fate, asked)
    assert fate.met, f"effect {fate.moment} never came"
    world.clock.sleep(pause)
    if loss:
        shutil.rmtree(state / loss, ignore_errors=True)
    try:
        go_on(world, scenario.asks(world), fails=scenario.fails)
        world.clock.sleep(LONG_ENOUGH)
        found = outcome(world)
        forgiven = OF_A_RETURN if scenario.switches else frozenset()
        differ = [it for it in differences(found, facts) if forgiven.isdisjoint(field_of(it))]
        if scenario.switches and _starts(found) > _starts(facts) + MORE_STARTS:
            differ.append(f"alice's gateway started {_starts(found)} times, and undisturbed {_starts(facts)}")
        if untouched(world, BYSTANDER) != bystander:
            differ.append(f"{BYSTANDER} was touched")
        more = _creates(world) - Counter(scenario.creates)
        if _creates(world).keys() != scenario.creates.keys() or more.total() > scenario.more_creates:
            differ.append(f"creates: {_creates(world)}")
    except (AssertionError, FleetError) as error:
        differ = [str(error)]
    finally:
        world.remove()
    where = f"{fate.how} effect {fate.moment} of {scenario} ({effects[fate.moment or 0]}), lost {loss!r}, {pause:.0f} s"
    return f"{where}: {'; '.join(differ)}" if differ else ""


def _starts(found: dict[str, Any]) -> int:
    return int(found["facts"]["alice"]["gateway"]["starts"])


def _creates(world: FakeFleet) -> Counter[str]:
    """By child: who is to succeed another has a name of its own at first."""
    return Counter(f"demo-{request.labels['openclaw-deploy/child']}" for request in world.cloud.requests)
