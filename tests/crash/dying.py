"""A process that ends at one moment of its work, in memory: its ports count effects, and one of them is the last.

An effect is a write to the cloud, a command on a host, a file in a vault, a line in the journal, a record. Reads change
nothing, so dying around them is dying around the effect before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, cast

from reconciler.api import NOTHING_SPECIAL, FleetClient
from reconciler.errors import ChannelUnavailable, CloudUnavailable, FleetError, HostTimedOut, VaultError
from reconciler.model import Bucket, Command, Outcome, PlanOptions, Secret, Sync
from reconciler.ports import Channel, Cloud, Dialer, Store, Vault
from reconciler.sandbox.simulated.table import execute_half
from reconciler.steps.server import CREATE_TIMEOUT
from reconciler.vaults.directory import PART
from tests.extent import FULL
from tests.fakes.fleets import FakeFleet

CLOUD_WRITES: Final = frozenset(
    {
        *("ensure_ssh_key", "ensure_firewall", "restore_firewall", "label_firewall", "delete_firewall"),
        *("create_server", "delete_server", "set_labels", "rename", "change_type", "set_backups"),
        *("power_on", "power_off", "shutdown", "reboot", "reset"),
    }
)
STORE_WRITES: Final = frozenset(("append", "save", "forget", "keep_lockfile"))
READS: Final = ("wait for", "probe", "read ", "validate ", "call ", "ask for")


class Died(BaseException):
    """The process ends here, as by kill -9: nothing catches this."""


class How(StrEnum):
    """What happens at the chosen effect."""

    BEFORE = "died before"
    HALF = "died in the middle of"
    AFTER = "died after"
    UNANSWERED = "lived on without the answer of"


def ways_to_die(moment: int, first: int = 0) -> list[How]:
    """All there are at this moment. Nothing is between an effect and the next, so death before one is after another."""
    return [how for how in How if how is not How.BEFORE or moment == first]


def trials(effects: int, quick: int) -> Iterator[tuple[int, How]]:
    """Moments and ways to die at them: all in a full run, else so many, by turns."""
    every = list(How)
    for number, moment in enumerate(range(0, effects, 1 if FULL else max(1, effects // quick))):
        for how in ways_to_die(moment) if FULL else [every[number % len(every)]]:
            yield moment, how


@dataclass(frozen=True)
class Effect:
    """`half` is what is left of it in its middle; `lost` is how it looks when the answer does not come."""

    name: str
    whole: Callable[[], Any]
    half: Callable[[], None]
    lost: FleetError | None


@dataclass
class Fate:
    """Something happens at the `moment`-th effect (from 0). A process that is dead does not even look any more."""

    moment: int | None = None
    how: How = How.BEFORE
    effects: list[str] = field(default_factory=list)
    met: bool = False
    dead: bool = False
    turns: Turns | None = None

    def carry_out(self, effect: Effect) -> Any:
        with self.turns.turn(self) if self.turns else nullcontext():
            self.check()
            self.met = len(self.effects) == self.moment or self.met
            is_it = len(self.effects) == self.moment
            self.effects.append(effect.name)
            return self._happen(effect) if is_it else effect.whole()

    def check(self) -> None:
        if self.dead:
            raise Died

    def _happen(self, effect: Effect) -> Any:
        if self.how is How.HALF:
            effect.half()
        if self.how in (How.BEFORE, How.HALF):
            self._die()
        answer = effect.whole()
        if self.how is How.AFTER:
            self._die()
        if effect.lost is not None:
            raise effect.lost
        return answer

    def _die(self) -> None:
        self.dead = True
        raise Died


class Turns:
    """Threads that work on `count` children take turns, effect by effect, so that the same moment is always the same.

    A thread takes part from its first effect until its child's last note; who is not among them just goes on.
    """

    def __init__(self, count: int) -> None:
        self._missing = count
        self._order: list[int] = []  # by child's name
        self._names: dict[int, str] = {}
        self._waiting: set[int] = set()
        self._changed = threading.Condition()

    def begin(self, child: str) -> None:
        me = threading.get_ident()
        with self._changed:
            self._missing -= 1
            self._names[me] = child
            self._order = sorted((*self._order, me), key=self._names.__getitem__)
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._order.remove(threading.get_ident())
            self._changed.notify_all()

    @contextmanager
    def turn(self, fate: Fate) -> Iterator[None]:
        me = threading.get_ident()
        if me not in self._order:
            yield
            return
        with self._changed:
            self._waiting.add(me)
            self._changed.notify_all()
            in_time = self._changed.wait_for(lambda: fate.dead or self._is_next(me), timeout=20)
            assert in_time, "the turns are stuck"
            self._waiting.discard(me)
            try:
                yield
            finally:
                if me in self._order:  # to the end of the line
                    self._order.remove(me)
                    self._order.append(me)
                self._changed.notify_all()

    def _is_next(self, me: int) -> bool:
        return not self._missing and self._order[0] == me and self._waiting.issuperset(self._order)


class Doomed:
    """Any port, some of whose methods are effects."""

    def __init__(self, inner: Any, fate: Fate, writes: frozenset[str] = frozenset()) -> None:
        self._inner, self._fate, self._writes = inner, fate, writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if callable(method):
            self._fate.check()
        return self._counted(name, method) if name in self._writes else method

    def connect(self, *arguments: Any) -> Any:
        self._fate.check()
        return DoomedHost(self._inner.connect(*arguments), self._fate)

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            what = getattr(arguments[0], "name", "")
            lost = CloudUnavailable("no answer") if name in CLOUD_WRITES else None
            effect = Effect(f"{name} {what}".strip(), lambda: method(*arguments), lambda: None, lost)
            return self._fate.carry_out(effect)

        return call


class DoomedHost(Doomed):
    def run(self, command: Command) -> Any:
        if command.name.startswith(READS):
            self._fate.check()
            return self._inner.run(command)
        effect = Effect(
            command.name,
            lambda: self._inner.run(command),
            lambda: execute_half(self._inner, command.line, command.stdin),
            HostTimedOut("the connection broke off"),
        )
        return self._fate.carry_out(effect)


class DoomedStore(Doomed):
    """Half of a journal's line is a torn line; records are replaced by a rename."""

    def __init__(self, world: FakeFleet, fate: Fate) -> None:
        super().__init__(world.store, fate, STORE_WRITES)
        self._journal = world.state / "journal.jsonl"

    def append(self, event: Any, durable: bool) -> None:
        turns, child = self._fate.turns, event.fields.get("child")
        if turns and event.event == "action-started":
            turns.begin(child)

        def tear() -> None:
            with self._journal.open("a") as journal:
                journal.write('{"at": "2026-')

        self._fate.carry_out(Effect(f"note {event.event}", lambda: self._inner.append(event, durable), tear, None))
        if turns and event.event in ("action-done", "action-failed"):
            turns.end()


class DoomedChannel(Doomed):
    """Half of a profile is its first field."""

    def __init__(self, world: FakeFleet, fate: Fate) -> None:
        super().__init__(world.channel, fate)

    def __enter__(self) -> DoomedChannel:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def set_profile(self, token: Secret, changes: Mapping[str, str]) -> None:
        if not changes:
            return
        inner, first = self._inner, dict(list(changes.items())[:1])
        lost = ChannelUnavailable("no answer")
        effect = Effect(
            "set the profile", lambda: inner.set_profile(token, changes), lambda: inner.set_profile(token, first), lost
        )
        self._fate.carry_out(effect)


class DoomedVault(Doomed):
    """Half of what is put is the part that nobody counts as a file."""

    def __init__(self, world: FakeFleet, fate: Fate, place: str | Bucket) -> None:
        super().__init__(world.ports().vault(place), fate)
        self._directory = world.state.parent / str(place)

    def put(self, name: str, source: Path) -> None:
        def arrive() -> None:
            part = self._directory / f"{name}{PART}"
            part.parent.mkdir(parents=True, exist_ok=True)
            content = source.read_bytes()
            part.write_bytes(content[: len(content) // 2])

        self._carry_out(f"put {_what(name)}", lambda: self._inner.put(name, source), arrive)

    def remove(self, name: str) -> None:
        self._carry_out(f"remove {_what(name)}", lambda: self._inner.remove(name), lambda: None)

    def _carry_out(self, name: str, whole: Callable[[], None], half: Callable[[], None]) -> None:
        self._fate.carry_out(Effect(name, whole, half, VaultError("no answer")))


def _what(name: str) -> str:
    """The kind of file: of a name in a vault all else says when it was made, and of whom."""
    return "the note of a drill" if "/_drills/" in name else name.rpartition(".")[2]


def doomed(world: FakeFleet, fate: Fate) -> FleetClient:
    """A process whose every effect counts."""
    ports = replace(
        world.ports(),
        cloud=cast(Cloud, Doomed(world.cloud, fate, CLOUD_WRITES)),
        dialer=cast(Dialer, Doomed(world.dialer, fate)),
        store=cast(Store, DoomedStore(world, fate)),
        vault=lambda place: cast(Vault, DoomedVault(world, fate, place)),
        channel=lambda: cast(AbstractContextManager[Channel], DoomedChannel(world, fate)),
    )
    return FleetClient(world.fleet(), ports)


def apply_until(
    world: FakeFleet, fate: Fate, options: PlanOptions = NOTHING_SPECIAL, workers: int = 1
) -> list[Outcome]:
    """One process, one child after the other unless there are turns; its outcomes if it lives."""
    client = doomed(world, fate)
    with client.lock("fleet apply"), suppress(Died):
        return client.apply(client.plan(options=options), workers)
    return []


def go_on(world: FakeFleet, options: PlanOptions = NOTHING_SPECIAL, *, fails: bool = False) -> None:
    """One more apply; a second where the cloud was still at work on what it had been asked for. It may have to fail."""
    planned = world.client().plan(options=options).plan
    outcomes = world.apply(1, options)
    if Sync.PROGRESSING in planned.sync.values():
        world.clock.sleep(CREATE_TIMEOUT + 1)
        outcomes = world.apply(1, options)
    assert fails or all(not found.error for found in outcomes), outcomes
