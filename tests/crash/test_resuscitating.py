"""Bringing back a child dies at every moment, whatever the rung: the next one who comes ends it, and no memory is lost.

At no moment do two gateways poll.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import FleetError, HostTimedOut
from reconciler.managed import files
from reconciler.model import NewConfig, Rung, Secret
from reconciler.resuscitating import Wish
from reconciler.sandbox.simulated.disk import File
from reconciler.steps.configuring import digest_of
from tests.crash.dying import Died, Fate, apply_until, doomed, trials
from tests.crash.scenarios import finished_fleet
from tests.crash.test_replacing import BEFORE, LONG_ENOUGH, Witnessed
from tests.fakes.fleets import FakeFleet

SILENT: Final = HostTimedOut("no answer within 10 s")
QUICK: Final = 12
TRIES: Final = 4
WISH: Final = Wish(Rung.REBUILD, lambda child, rung, notes: True, lambda tried, now: None, forgets=True)


def restart(world: FakeFleet) -> None:
    world.host("alice").gateway.stop()
    world.host("alice").gateway.start()


def break_config(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.refuses = ("surprise",)
    host.files[f"{files.CONFIG_PATH}.last-good"] = File(host.content(files.CONFIG_PATH), "openclaw:openclaw", "0600")
    host.files[files.CONFIG_PATH].content = json.dumps({**host.config(), "surprise": 1}).encode()
    restart(world)


def break_what_a_doctor_mends(world: FakeFleet) -> None:
    host = world.host("alice")
    host.gateway.flawed = {str(host.gateway.version): "exits"}
    host.doctor_mends = (str(host.gateway.version),)
    restart(world)


def lose_a_secret(world: FakeFleet) -> None:
    del world.host("alice").files[files.MODEL_KEY_PATH]


def hang(world: FakeFleet) -> None:
    server = world.server("alice")
    world.cloud.deaf.add(server.id)
    world.dialer.hang(server.id, SILENT)


FAULTS: Final[dict[str, Callable[[FakeFleet], None]]] = {
    "config": break_config,
    "doctor": break_what_a_doctor_mends,
    "reinstall": lose_a_secret,
    "reset": hang,
}


@pytest.mark.parametrize("rung", FAULTS)
def test_a_rescue_that_died_is_ended_by_whoever_comes_next(rung: str, state: Path) -> None:
    finished = finished_fleet(state.parent / "finished/state")
    world = _world(finished, state, rung)
    whole = Witnessed(world=world)
    _resuscitate(world, whole)
    assert [*whole.wrong, *_wrong(world)] == []
    assert rung in [event.fields["rung"] for event in world.events() if event.event == "rung-intended"]
    world.remove()
    found = []
    for moment, how in trials(len(whole.effects), QUICK):
        world = _world(finished, state, rung)
        fate = Witnessed(moment, how, world=world)
        with suppress(FleetError):
            _resuscitate(world, fate)
        _go_on(world, fate)
        wrong = [*fate.wrong, *_wrong(world)]
        found += [f"{how} effect {moment} ({whole.effects[moment]}): {text}" for text in wrong]
        world.remove()
    assert not found, "\n".join(found)


def _world(finished: FakeFleet, state: Path, rung: str) -> FakeFleet:
    world = finished.copy(state)
    FAULTS[rung](world)
    return world


def _resuscitate(world: FakeFleet, fate: Fate) -> None:
    client = doomed(world, fate)
    with client.lock("fleet resuscitate"), suppress(Died):
        client.resuscitate(client.look_closely(["alice"]), WISH)


def _go_on(world: FakeFleet, fate: Witnessed) -> None:
    fate.moment = fate.dead = None  # type: ignore[assignment]
    fate.effects.append("(later)")
    for _ in range(TRIES):
        world.clock.sleep(LONG_ENOUGH)
        with suppress(FleetError):
            _resuscitate(world, fate)
        apply_until(world, fate)
        if not list(_wrong(world)):
            return


def _wrong(world: FakeFleet) -> Iterator[str]:
    there = [server.name for server in world.cloud.by_id.values() if server.child == "alice"]
    if there != ["demo-alice"]:
        yield f"servers: {there}"
    if BEFORE not in world.host("alice").gateway.memory:
        yield f"it knows {world.host('alice').gateway.memory}"
    [diagnosis] = world.client().diagnose(["alice"])
    if diagnosis.cause is not None:
        yield f"{diagnosis.cause}: {diagnosis.evidence}"
    planned = world.client().plan().plan
    if planned.actions or any(found.severity in ("error", "refused") for found in planned.diagnostics):
        yield f"still to do: {[*planned.actions, *planned.diagnostics]}"


def test_a_configuration_whose_writer_died_is_the_old_or_the_new_one(state: Path) -> None:
    """Whole, and a gateway runs with it once somebody has applied; then it can be given again."""
    finished = finished_fleet(state.parent / "finished/state")
    world = finished.copy(state)
    whole = Witnessed(world=world)
    _configure(world, whole)
    old, new = finished.host("alice").config(), world.host("alice").config()
    assert (old != new, [*whole.wrong, *_wrong(world)]) == (True, [])
    world.remove()
    found = []
    for moment, how in trials(len(whole.effects), QUICK):
        world = finished.copy(state)
        fate = Witnessed(moment, how, world=world)
        with suppress(FleetError):
            _configure(world, fate)
        fate.moment = fate.dead = None  # type: ignore[assignment]
        apply_until(world, fate)
        wrong = [*fate.wrong, *_wrong(world)]
        if world.host("alice").config() not in (old, new):
            wrong.append(f"it has {world.host('alice').config()}")
        _configure(world, fate)
        if world.host("alice").config() != new:
            wrong.append("it cannot be given again")
        found += [f"{how} effect {moment} ({whole.effects[moment]}): {text}" for text in wrong]
        world.remove()
    assert not found, "\n".join(found)


def _configure(world: FakeFleet, fate: Fate) -> None:
    """A key that needs a restart of the process."""
    client = doomed(world, fate)
    with client.lock("fleet config push"), suppress(Died):
        before = client.whole_config("alice")
        wanted = json.dumps({**json.loads(before), "browser": {"enabled": False}})
        client.write_config("alice", NewConfig(Secret(wanted), digest_of(before)))
