"""A fleet of fifty in memory whose cloud and hosts fail at random, and what must hold of it however they did.

A seed decides everything. Each server, host and method has dice of its own, for looks go on in many threads: whichever
comes first, the same calls fail.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from reconciler.api import FleetClient, Planned
from reconciler.errors import (
    CloudUnavailable,
    CommandFailed,
    FleetError,
    HostRefused,
    HostTimedOut,
    RateLimited,
    ResourceLocked,
)
from reconciler.managed import files
from reconciler.model import FileMode, HostAddress, PlanOptions, ServerStatus, Severity, WorkspaceFile
from reconciler.ports import Cloud, Dialer
from reconciler.sandbox.simulated.table import execute_half
from tests.crash.comparing import Untouched, kept
from tests.crash.dying import CLOUD_WRITES
from tests.crash.scenarios import NEAR, meddle
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost
from tests.fakes.worlds import make_server, make_spec

NAMES: Final = tuple(f"c{number:02d}" for number in range(50))
CHANGED: Final = 8  # children that somebody changes something about
FAULTY: Final = 2  # rounds
CALM: Final = 3  # rounds in which nothing fails any more; the plan must be empty after them
LATER: Final = 700.0  # seconds: the cloud has ended what it was asked for, and what takes itself back has done so
ASLEEP: Final = "put to sleep"
FOREIGN: Final = "demo-foreign"
TYPES: Final = ("cpx22", "cpx32")

Change = Callable[[FakeFleet, str], None]


class Dice:
    """Reproducible for each subject by itself."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, random.Random] = {}
        self.met: set[str] = set()  # addresses of hosts that something happened to

    def of(self, subject: str) -> random.Random:
        return self._streams.setdefault(subject, random.Random(f"{self._seed} {subject}"))


class FaultyCloud:
    """Refuses, drops answers, says locked or later, lets actions fail."""

    def __init__(self, inner: Any, dice: Dice) -> None:
        self._inner, self._dice = inner, dice

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*arguments: Any) -> Any:
            subject = getattr(arguments[0], "name", arguments[0]) if arguments else ""
            rolled = self._dice.of(f"{name} {subject}").random()
            if name == "wait" and rolled < 0.06:
                self._inner.failing_actions += 1
            elif name in CLOUD_WRITES and rolled < 0.2:
                return self._refuse(rolled / 0.2, lambda: method(*arguments))
            elif rolled < 0.02:
                raise CloudUnavailable("no answer")
            return method(*arguments)

        return call

    def _refuse(self, rolled: float, request: Callable[[], Any]) -> Any:
        if rolled < 0.3:
            raise CloudUnavailable("503")
        if rolled < 0.6:
            request()
            raise CloudUnavailable("the answer was lost")
        raise RateLimited("429") if rolled < 0.8 else ResourceLocked("423")


class FaultyDialer:
    def __init__(self, inner: Any, dice: Dice) -> None:
        self._inner, self._dice = inner, dice

    def connect(self, address: HostAddress, timeout: float) -> Any:
        rolled = self._dice.of(f"connect {address.address}").random()
        if rolled < 0.06:
            raise HostRefused("refused") if rolled < 0.03 else HostTimedOut("timed out")
        return FaultyHost(self._inner.connect(address, timeout), self._dice, address.address)


class FaultyHost:
    """The connection breaks before, within or after a command; or the machine reboots in its middle."""

    def __init__(self, inner: FakeHost, dice: Dice, address: str) -> None:
        self._inner, self._dice, self._address = inner, dice, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, command: Any) -> Any:
        rolled = self._dice.of(f"run {self._address}").random()
        if rolled >= 0.04:
            return self._inner.run(command)
        self._dice.met.add(self._address)
        if rolled < 0.005:
            raise CommandFailed(f"{command.name}: no luck")
        if 0.01 < rolled < 0.03:
            execute_half(self._inner, command.line, command.stdin)
        if 0.02 < rolled < 0.03:
            self._inner.boot()
        if rolled >= 0.03:
            self._inner.run(command)
        raise HostTimedOut("the connection broke off")


def storm(seed: int) -> str:
    """What did not hold after the world of this seed, empty if all did."""
    place = Path(tempfile.mkdtemp(prefix="fleet-storm-", dir="/dev/shm"))
    try:
        return _storm(seed, _finished().copy(place / "state"))
    finally:
        shutil.rmtree(place)


@cache
def _finished() -> FakeFleet:
    """Made once in a process; every seed goes its own way from a copy."""
    with tempfile.TemporaryDirectory() as place:
        world = FakeFleet(Path(place) / "state", NAMES)
        world.specs = {name: make_spec(name, server_type=TYPES, region=["nbg1", "fsn1"]) for name in NAMES}
        world.applied()
        for name in NAMES:
            world.host(name).gateway.remember(_told(name))
        foreign = make_server("foreign", id=9_000, name=FOREIGN, address="10.9.9.9")
        world.cloud.add(replace(foreign, labels={"owner": "somebody"}))
    return world


def _storm(seed: int, world: FakeFleet) -> str:
    dice, chosen = Dice(seed), random.Random(seed)
    before = {name: _untouched(world, name) for name in NAMES}
    changed = {name: chosen.choice(list(CHANGES)) for name in chosen.sample(NAMES, CHANGED)}
    for name, change in changed.items():
        CHANGES[change](world, name)
    world.cloud.server_limit = chosen.choice([100, 52])
    sleepers = frozenset(name for name, change in changed.items() if change == ASLEEP)
    options = PlanOptions(allow_replace=True, max_destroys=CHANGED, hibernate=sleepers)
    for _ in range(FAULTY):
        with suppress(FleetError):
            _apply(world, options, dice)
        world.clock.sleep(chosen.choice([0.0, LATER]))
    world.cloud.server_limit = 100
    rounds = _calm(world, options)
    wrong = [] if rounds <= CALM else [f"still to do: {world.planned()}"]
    wrong += [*_broken(world, changed, dice, before), *_forgotten(world, changed)]
    return f"seed {seed}: {'; '.join(wrong)} ({changed})" if wrong else ""


def _apply(world: FakeFleet, options: PlanOptions, dice: Dice) -> None:
    cloud, dialer = FaultyCloud(world.cloud, dice), FaultyDialer(world.dialer, dice)
    ports = replace(world.ports(), cloud=cast(Cloud, cloud), dialer=cast(Dialer, dialer))
    client = FleetClient(world.fleet(), ports)
    with client.lock("fleet apply"):
        client.apply(client.plan(options=options), workers=1)


def _calm(world: FakeFleet, options: PlanOptions) -> int:
    """How many applies it took until there was nothing to do."""
    for rounds in range(CALM + 1):
        world.clock.sleep(LATER)
        client = world.client()
        planned = client.plan(options=options)
        if planned.plan.is_empty and _clear_quarantine(client, planned):
            continue
        if planned.plan.is_empty:
            return rounds
        with client.lock("fleet apply"):
            client.apply(planned, workers=1)
    return CALM + 1


def _clear_quarantine(client: FleetClient, planned: Planned) -> bool:
    """What a person does once it is known why: the network. Whether anybody's server waits for that."""
    errors = [found.summary for found in planned.plan.diagnostics if found.severity is Severity.ERROR]
    if not any("is quarantined" in summary for summary in errors):
        return False
    with client.lock("fleet quarantine clear"):
        for version in client.quarantined():
            client.clear_quarantine(version)
    return True


def _broken(world: FakeFleet, changed: dict[str, str], dice: Dice, before: dict[str, Untouched]) -> list[str]:
    """Invariants: one server a child and no other, none made for nothing, nobody touched who was not concerned."""
    wrong = []
    there = {server.name for server in world.cloud.by_id.values()}
    wanted = {f"demo-{name}" for name in world.specs if changed.get(name) != ASLEEP} | {FOREIGN}
    if there != wanted:
        wrong.append(f"servers: {sorted(there ^ wanted)}")
    if world.cloud.by_id.get(9_000) is None or world.cloud.by_id[9_000].labels != {"owner": "somebody"}:
        wrong.append("the foreign server was touched")
    creates = Counter(request.name for request in world.cloud.requests)
    for name in NAMES:
        kind = changed.get(name, "")
        if kind not in ("replaced", "deleted outside") and creates[f"demo-{name}"] != 1:
            wrong.append(f"{name} was made {creates[f'demo-{name}']} times")
        is_met = name in world.specs and kind != ASLEEP and world.server(name).address in dice.met
        if not kind and not is_met and _untouched(world, name) != before[name]:
            wrong.append(f"{name} was touched")
    for number, host in world.dialer.hosts.items():
        wrong += [f"host {number}: {text}" for text in host.objections]
    return wrong


def _forgotten(world: FakeFleet, changed: dict[str, str]) -> list[str]:
    """Whose server is there remembers what it was told; of who has none any more there is a backup that opens."""
    wrong, of_backups = [], kept(world)
    for name in NAMES:
        kind = changed.get(name, "")
        now = f"new-{name}" if kind == "moved" else name
        if kind in ("removed", ASLEEP):
            if of_backups.get(name) != {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}:
                wrong.append(f"nothing is left of {name}")
        elif kind != "deleted outside" and world.host(now).gateway.memory != [_told(name)]:
            wrong.append(f"{now} remembers {world.host(now).gateway.memory}")
    return wrong


def _told(name: str) -> str:
    return f"my name is {name}"


def _untouched(world: FakeFleet, name: str) -> Untouched:
    """Asked of the host itself."""
    server, host = world.server(name), world.host(name)
    return server.id, host.boot_id, host.gateway.starts, host.systemd.state(files.UNIT).main_pid


# --- what somebody changes ------------------------------------------------------------------------------------


def _settings(world: FakeFleet, name: str) -> None:
    world.change(
        name,
        config={"agents": {"defaults": {"timeoutSeconds": 900}}},
        files={"SOUL.md": WorkspaceFile(f"You are {name}.", FileMode.MANAGED)},
        labels={"team": "red"},
    )


def _drift(world: FakeFleet, name: str) -> None:
    meddle(world.host(name))


def _deleted_outside(world: FakeFleet, name: str) -> None:
    number = world.server(name).id
    del world.cloud.by_id[number]


def _unplugged(world: FakeFleet, name: str) -> None:
    world.cloud.add(replace(world.server(name), status=ServerStatus.OFF))


def _removed(world: FakeFleet, name: str) -> None:
    del world.specs[name]


def _expired(world: FakeFleet, name: str) -> None:
    world.change(name, expires=world.clock.now() + timedelta(days=30))


CHANGES: Final[dict[str, Change]] = {
    "settings": _settings,
    "version": lambda world, name: world.change(name, version="2026.9.7"),
    "drift": _drift,
    "resized": lambda world, name: world.change(name, server_types=("cpx32",)),
    "stopped": lambda world, name: world.change(name, enabled=False),
    "backups": lambda world, name: world.change(name, backups=True),
    "replaced": lambda world, name: world.change(name, regions=("hel1",)),
    "moved": lambda world, name: world.move(name, f"new-{name}"),
    "narrowed": lambda world, name: world.change(name, ssh_from=NEAR),
    "protected": lambda world, name: world.change(name, protect=True),
    "deleted outside": _deleted_outside,
    "unplugged": _unplugged,
    "removed": _removed,
    ASLEEP: lambda world, name: None,  # a person asks for it, and not the file
    "expires": _expired,
}
