"""A drill, a backup or a pruning dies at every effect: the child hears nothing of it, and what is kept of it opens.

Right afterwards already. When a person has then run the same command again, and an apply, nothing is left of the one
that died: no throw-away server, no archive on the host, no file in the vault that belongs to no backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import Final

import pytest

from reconciler.api import FleetClient
from reconciler.commands.backups import ARCHIVE
from reconciler.errors import FleetError
from reconciler.model import Backup, BackupSettings, PlanOptions, ServerStatus
from reconciler.vaults.directory import DirectoryVault
from tests.crash.comparing import Untouched, untouched
from tests.crash.dying import Died, Fate, How, doomed, go_on, ways_to_die
from tests.crash.scenarios import BYSTANDER, finished_fleet
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet

KEEP: Final = 2
DAY: Final = 86400
LONG_ENOUGH: Final = 100.0  # seconds, for what the cloud was asked for
AFTERMATHS: Final = tuple(product((0.0, LONG_ENOUGH), (True, False), (True, False)))
QUICK: Final = 20  # effects of a command; of one that has no more all, in all ways


@dataclass(frozen=True)
class Command:
    """What a person runs on `prepare`'s world: what it says is wrong."""

    name: str
    prepare: Callable[[Path], FakeFleet]
    run: Callable[[FleetClient], list[str]]
    ends_after: int = 1  # more runs of it
    apart: float = 0.0

    def __str__(self) -> str:
        return self.name


def _one_backup(state: Path) -> FakeFleet:
    return _backed_up(finished_fleet(state))


def _too_many_backups(state: Path) -> FakeFleet:
    world = finished_fleet(state)
    for number in range(KEEP + 2):
        _backed_up(world)
        world.host("alice").gateway.remember(f"message {number}")
    world.change("alice", backup=BackupSettings(keep=KEEP))
    return world


def _old_backups(state: Path) -> FakeFleet:
    """Of alice's two servers before this one: copies, and what she went to sleep with. Of bob nothing newer."""
    world = _backed_up(finished_fleet(state), BYSTANDER)
    for _ in range(2):
        _backed_up(_backed_up(world))
        world.apply(1, PlanOptions(hibernate=frozenset({"alice"})))
        client = world.client()
        client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))
        world.apply(1)
        world.clock.sleep(40 * DAY)
    _backed_up(world).client().keeper().give_up("alice", "alice")
    for name in world.names:
        world.change(name, backup=BackupSettings(keep=KEEP, max_age=timedelta(days=30)))
    return world


def _backed_up(world: FakeFleet, name: str = "alice") -> FakeFleet:
    [made] = world.client().keeper().create([name])
    assert not made.problem, made
    world.clock.sleep(DAY + 60)
    return world


def _drill(client: FleetClient) -> list[str]:
    return [found.problem or found.left for found in client.drill(["alice"])]


def _create(client: FleetClient) -> list[str]:
    return [made.problem for made in client.keeper().create(["alice"])]


def _prune(client: FleetClient) -> list[str]:
    client.keeper().prune(["alice", BYSTANDER])
    return [""]


COMMANDS: Final = (
    Command("a drill", _one_backup, _drill),
    Command("a backup", _too_many_backups, _create, KEEP, DAY + 60),  # what is half there takes a place for a while
    Command("a pruning", _old_backups, _prune),
)


@dataclass(frozen=True)
class Before:
    """What a command that dies must leave as it is."""

    untouched: dict[str, Untouched | None]
    memory: dict[str, list[str]]
    pollers: list[bytes]
    staying: dict[str, tuple[Backup, ...]]  # of what was kept before, what the undisturbed command leaves


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_child_hears_nothing_and_the_same_command_ends_it(command: Command, state: Path) -> None:
    finished = command.prepare(state.parent / "finished/state")
    world, whole = finished.copy(state), Fate()
    assert _run(command, world, whole) == [""]
    left = {name: _kept(world, name) for name in world.names}
    before = _before(finished, left)
    wrong = [*_wrong(world, before), *_unsettled(world, command, before)]
    world.remove()
    for number, (moment, how) in enumerate(_trials(len(whole.effects))):
        world, fate = finished.copy(state), Fate(moment, how)
        found = _trial(world, command, before, fate, number)
        wrong += [f"{how} effect {moment} of {command} ({whole.effects[moment]}): {text}" for text in found]
        world.remove()
    assert not wrong, "\n".join(wrong)


def _trials(effects: int) -> Iterator[tuple[int, How]]:
    ways = list(How)
    is_whole = FULL or effects <= QUICK
    for number, moment in enumerate(range(0, effects, 1 if is_whole else effects // QUICK)):
        for how in ways_to_die(moment) if is_whole else [ways[number % len(ways)]]:
            yield moment, how


def _trial(world: FakeFleet, command: Command, before: Before, fate: Fate, number: int) -> Iterator[str]:
    """How soon somebody goes on, with which command, and with state/ or without, changes from trial to trial."""
    pause, is_applied_first, keeps_state = AFTERMATHS[(number + number // len(How)) % len(AFTERMATHS)]
    with suppress(FleetError):
        _run(command, world, fate)
    assert fate.met, f"effect {fate.moment} never came"
    yield from _wrong(world, before)
    if fate.how is How.UNANSWERED:
        left = [*_throwaways(world), *_archives(world)]
        yield from (f"it lived, and has left {name}" for name in left)
    world.clock.sleep(pause)
    if not keeps_state:
        rmtree(world.state)
    if is_applied_first:
        _apply(world)
        yield from (f"an apply later: {text}" for text in (*_wrong(world, before), *_left_of_drills(world)))
    for _ in range(command.ends_after):
        now = replace(before, staying={name: _kept(world, name)[:1] for name in world.names})
        told = _run(command, world, Fate())
        yield from (f"again: {text}" for text in (*filter(None, told), *_wrong(world, now)))
        world.clock.sleep(command.apart)
    if not is_applied_first:
        _apply(world)
        yield from (f"an apply later: {text}" for text in _wrong(world, now))
    yield from (f"in the end: {text}" for text in _unsettled(world, command, before))


def _apply(world: FakeFleet) -> None:
    """Once more where the plan has said that the cloud is still at work on what a drill has left."""
    is_told = "nothing is planned until that has ended" in str(world.client().plan().plan.diagnostics)
    go_on(world)
    if is_told:
        world.clock.sleep(LONG_ENOUGH)
        go_on(world)


def _run(command: Command, world: FakeFleet, fate: Fate) -> list[str]:
    """A new process, until it dies."""
    client = doomed(world, fate)
    with client.lock(f"fleet {command}"), suppress(Died):
        return command.run(client)
    return []


def _before(world: FakeFleet, left: dict[str, tuple[Backup, ...]]) -> Before:
    return Before(
        {name: untouched(world, name) for name in world.names},
        {name: world.host(name).gateway.memory for name in world.names},
        _pollers(world),
        {name: tuple(it for it in _kept(world, name) if it in left[name]) for name in world.names},
    )


def _wrong(world: FakeFleet, before: Before) -> Iterator[str]:
    """At any moment, whatever has happened."""
    for name in world.names:
        gateway = world.host(name).gateway
        if untouched(world, name) != before.untouched[name]:
            yield f"{name} was touched"
        if (gateway.active, gateway.memory) != ("active", before.memory[name]):
            yield f"the gateway of {name} is {gateway.active} and remembers {gateway.memory}"
        yield from _damaged(world, name, before.staying[name])
    if _pollers(world) != before.pollers:
        yield f"{len(_pollers(world))} gateways poll, and not {len(before.pollers)}"


def _damaged(world: FakeFleet, name: str, staying: tuple[Backup, ...]) -> Iterator[str]:
    """All that is listed opens, and the newest of before is among them."""
    keeper, kept = world.client().keeper(), world.client().keeper().kept(name)
    yield from kept.problems
    for backup in kept.backups:
        if not keeper.verify(name, backup):
            yield f"nobody can open {backup.id} of {name}"
    if kept.backups and keeper.find(name) != kept.backups[0]:
        yield f"the newest of {name} is not {kept.backups[0].id}"
    if not set(_ids(staying)) <= set(_ids(kept.backups)):
        yield f"of {_ids(staying)} of {name} there are only {_ids(kept.backups)}"


def _unsettled(world: FakeFleet, command: Command, before: Before) -> Iterator[str]:
    """After a command and an apply that nothing has happened to."""
    yield from _left_of_drills(world)
    if planned := world.planned():
        yield f"still to do: {planned}"
    yield from (f"{name} is left" for name in _archives(world))
    kept = _kept(world, "alice")
    if command.run is _create and len(kept) != KEEP:
        yield f"kept: {_ids(kept)}"
    if command.run is _prune and kept != before.staying["alice"]:
        yield f"kept: {_ids(kept)}, and not {_ids(before.staying['alice'])}"
    if command.run is _drill and _proven(world) != _ids(kept):
        yield f"proven: {_proven(world)}"
    yield from (f"{name} belongs to no backup" for name in _orphans(world))


def _left_of_drills(world: FakeFleet) -> Iterator[str]:
    yield from (f"{name} is left" for name in _throwaways(world))
    yield from (f"the record of {name} is left" for name in world.store.records() if name not in world.names)


def _proven(world: FakeFleet) -> list[str]:
    trials, _ = world.client().keeper().trials(["alice"])
    return [trial.backup for trial in trials["alice"] if trial.is_proven]


def _orphans(world: FakeFleet) -> Iterator[str]:
    """Files in the vault that are no part of a backup that is listed."""
    known = {f"{backup.id}-{backup.uid}" for name in world.names for backup in _kept(world, name)}
    for name in DirectoryVault(world.vault).names("demo/"):
        if "/_drills/" not in name and not any(f"/{it}" in name for it in known):
            yield name


def _kept(world: FakeFleet, name: str) -> tuple[Backup, ...]:
    return world.client().keeper().kept(name).backups


def _ids(backups: tuple[Backup, ...]) -> list[str]:
    return [backup.id for backup in backups]


def _throwaways(world: FakeFleet) -> list[str]:
    return [server.name for server in world.cloud.by_id.values() if server.child not in world.names]


def _archives(world: FakeFleet) -> list[str]:
    return [f"an archive on the host of {name}" for name in world.names if ARCHIVE in world.host(name).directories]


def _pollers(world: FakeFleet) -> list[bytes]:
    """Whose token each gateway of the project asks with, whichever server it is on."""
    running = [server.id for server in world.cloud.by_id.values() if server.status is ServerStatus.RUNNING]
    gateways = [world.dialer.hosts[number].gateway for number in running if number in world.dialer.hosts]
    return sorted(gateway.polls for gateway in gateways if gateway.active == "active" and gateway.polls is not None)
