"""What other programs import: look, plan, apply, take in, over one fleet file. The command line is one user of this.

fleet = FleetClient.load(Path("fleet.yaml"))
for action in fleet.plan().plan.actions: ...
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, TypeVar

from reconciler import configuring, drilling, engine, importing, keys, planfile, recovery, resuscitating, tending
from reconciler.errors import FleetError, Refused, VaultError
from reconciler.fleet import former_names, load_fleet
from reconciler.keeper import Keeper
from reconciler.living import Living
from reconciler.manifests import NOTE
from reconciler.memories import is_awake, is_outlived, sleeps_with, was_lost
from reconciler.model import (
    Book,
    Child,
    Drill,
    Event,
    Fleet,
    Hold,
    Kind,
    Ladder,
    NewConfig,
    Outcome,
    Pass,
    Rescue,
    Rung,
    Secret,
    Sleep,
)
from reconciler.observe import observe
from reconciler.planning import NOTHING_SPECIAL, Planned
from reconciler.refreshing import Refreshed, refresh
from reconciler.selection import Selection, resolve
from reconciler.steps import quarantine
from reconciler.steps.firewalls import ensure_fleet_resources
from reconciler.steps.runs import fleet_firewalls
from reconciler.steps.sleeping import asleep_by_name, follow_moves, note_sleep
from reconciler.ways_back import Looked
from reconciler.wiring import Progress, build_ports, open_store

__all__ = ["EVERYTHING", "NOTHING_SPECIAL", "FleetClient", "Planned", "Refreshed", "read_journal"]

EVERYTHING = Selection()
_COPYING: Final = (Kind.REPLACE, Kind.HIBERNATE)  # beside what goes over to another version
_THERE: Final = "look at the place of `backup: to` in the fleet file"

T = TypeVar("T")


class FleetClient(Living):
    """One fleet file and everything it talks to."""

    @classmethod
    def load(
        cls,
        path: Path,
        state_dir: Path | None = None,
        progress: Progress | None = None,
        *,
        allow_sources: str | None = None,
        allow_cmd: tuple[str, ...] = (),
        key: Secret | None = None,
        only_looks: bool = False,
    ) -> FleetClient:
        """Read and check the file. What its references may be is as secrets/allowed.py has it.

        `key` is used instead of the fleet key that is found; for who `only_looks` that may be a probe key. Raises
        ConfigError, SecretError.
        """
        fleet = load_fleet(path)
        state = state_dir or path.parent / "state"
        ports = build_ports(fleet, state, progress or _silent, allow_sources, allow_cmd, key, only_looks=only_looks)
        return cls(fleet, ports)

    def of(self, fleet: Fleet) -> FleetClient:
        """The same, as it would be with another fleet file."""
        return FleetClient(fleet, self._ports)

    # --- looking ----------------------------------------------------------------------------------------------

    def select(self, selection: Selection) -> tuple[str, ...]:
        """The children that are meant, by name. Asks the cloud only where the file cannot tell. Raises UsageProblem."""
        declared = self.fleet.children
        return resolve(selection, declared, {} if selection.names_only(declared) else self.servers())

    def refresh(self, names: Iterable[str] | None = None) -> Refreshed:
        """Rebuild the records in state/ from the live hosts; nothing else changes. The caller holds the lock."""
        return refresh(self.fleet, self._ports, names)

    # --- applying -----------------------------------------------------------------------------------------------

    def keeper(self) -> Keeper:
        """The backups of this fleet's children."""
        return Keeper(self.fleet, self._ports)

    def drill(self, names: Iterable[str], identity: Secret | None = None) -> list[Drill]:
        """The newest backup of each of these children is restored to a throw-away child, proven there, and destroyed.

        The caller holds the lock. Raises CloudError.
        """
        return drilling.drill(self.fleet, self._ports, names, identity)

    def ladders(self, looked: Looked, up_to: Rung, *, forgets: bool = False) -> list[Ladder]:
        """Of each child of a close look what would be tried to bring it back."""
        return resuscitating.ladders(self, looked, up_to, forgets=forgets)

    def resuscitate(self, looked: Looked, wish: resuscitating.Wish) -> list[Rescue]:
        """Children are brought back, rung by rung. The caller holds the lock. Raises CloudError, SecretError."""
        return resuscitating.climb(self, looked, wish)

    def to_tend(self, found: Pass, book: Book) -> frozenset[str]:
        """For whom a watch may do something now."""
        return frozenset({*tending.due(found, book, self.fleet), *tending.to_fix(found, book, self.fleet)})

    def tend(self, found: Pass, book: Book, names: Collection[str]) -> tending.Tended:
        """A watch does for these by itself what the file lets it. Where it cannot, as under another's lock, it says so.

        `found` is the whole pass: where several have one cause at once, nothing is done for any of them.
        """
        ill = {name: may for name, may in tending.due(found, book, self.fleet).items() if name in names}
        drifted = [name for name in tending.to_fix(found, book, self.fleet) if name in names]
        if not ill and not drifted:
            return tending.Tended()
        try:
            with self.lock("fleet monitor"):
                fixed = tending.fix(self, drifted) if drifted else tending.Tended()
                tended = tending.tend(self, ill, book) if ill else tending.Tended()
                return tending.Tended((*fixed.lines, *tended.lines), tended.rescues, fixed.fixed)
        except FleetError as error:
            return tending.Tended((tending.not_tried(error, {*ill, *drifted}),))

    def sample(self, names: Iterable[str], count: int) -> tuple[str, ...]:
        """So many of these children, whose last drill is the longest ago."""
        names = tuple(names)
        return drilling.sample(names, count, self.keeper().trials(names)[0], self._ports)

    def checkpoints(self, names: Iterable[str] | None = None) -> dict[str, Child]:
        """The children with what their hosts keep of earlier versions. Raises CloudError, SecretError."""
        return observe(self.fleet, self._ports, names).children

    def quarantined(self) -> dict[str, Hold]:
        """The versions that the whole fleet keeps away from, by its own notes and by what its hosts say."""
        return dict(observe(self.fleet, self._ports).quarantined)

    def clear_quarantine(self, version: str) -> bool:
        """Whether it was quarantined, as far as hosts answer. The caller holds the lock. Raises CloudError.

        What those that do not answer hold of it counts no more either.
        """
        seen = observe(self.fleet, self._ports)
        was = version in seen.quarantined
        if was or any(child.server is not None and child.facts is None for child in seen.children.values()):
            quarantine.clear_quarantine(self.fleet, self._ports, version)
            self.note("quarantine-cleared", version=version)
        return was

    def lock(self, operation: str) -> AbstractContextManager[None]:
        """Held from planning to the end of applying. Raises LockHeld."""
        return self._ports.store.lock(operation)

    def apply(self, planned: Planned, workers: int = engine.WORKERS) -> list[Outcome]:
        """Run the plan. Raises Refused for a refused one, CloudError when what the fleet shares cannot be made."""
        if planned.plan.is_refused:
            raise Refused("the plan is refused, so nothing was changed", "see above for what stands against it")
        outcomes = engine.apply(
            self.fleet, planned.plan, planned.children, self._ports, workers, planned.trees, planned.memories
        )
        self._prune_after(outcomes)
        return outcomes

    def _prune_after(self, outcomes: Iterable[Outcome]) -> None:
        """Of whom another backup was made on the way, what is too many goes. What fails here hides no outcome."""
        names = [it.action.child for it in outcomes if it.action.batch or it.action.kind in _COPYING]
        if not names:
            return
        try:
            self.keeper().prune(names, by_age=False)
        except FleetError as error:
            self._note("backups-not-pruned", error=error.summary)

    def begin_waking(self, planned: Planned) -> None:
        """From now on any apply goes on with it. The caller holds the lock. Raises CloudError, HostError."""
        if not any(found.name == self.fleet.name for found in fleet_firewalls(self.fleet, self._ports)):
            ensure_fleet_resources(self.fleet, self._ports, self._note)  # one of them is where that is noted
        for name in planned.options.waking:
            child = planned.children[name]
            before = child.asleep.noted_as if child.asleep else ""
            note_sleep(self.fleet, self._ports, name, None if is_awake(child) else child.asleep, before)

    def asleep(self, names: Iterable[str] = (), *, or_lost: bool = False) -> dict[str, Sleep]:
        """The children that have no server, or shall have none, by the names that are noted.

        Of those named also who sleeps by the note of a former name, or is known to only by the copy that it went to
        sleep with. `or_lost`: and who has lost its server, and has a backup. Raises CloudError; VaultError where nobody
        can tell that.
        """
        noted = asleep_by_name(self.fleet, fleet_firewalls(self.fleet, self._ports))
        rest = [name for name in names if name not in noted]
        seen = observe(self.fleet, self._ports, rest).children if rest else {}
        newest, problems = self.keeper().newest(
            name for name in rest if seen[name].server is None or seen[name].is_unfinished
        )
        if problems:
            raise VaultError(" ".join(dict.fromkeys(problems.values())), f"nobody can tell who sleeps: {_THERE}")
        last = self.keeper().last_copies(newest) if or_lost else {}
        copied = {
            name: found
            for name, found in newest.items()
            if sleeps_with(found) or (or_lost and was_lost(seen[name], found, last))
        }
        moved = {
            name: child.asleep
            for name, child in seen.items()
            if child.asleep is not None and not is_outlived(child, self.fleet, newest.get(name))
        }
        return {**{name: Sleep(found.id, found.child) for name, found in copied.items()}, **moved, **noted}

    def forget_sleep(self, name: str, sleep: Sleep) -> None:
        """It is made without a memory by the next apply. The caller holds the lock. Raises CloudError, VaultError."""
        self.keeper().give_up(name, sleep.source)
        note_sleep(self.fleet, self._ports, name, None, before=sleep.noted_as)
        self._note("sleep-given-up", durable=True, child=name, by=self._ports.operator)

    def follow_moves(self, planned: Planned) -> dict[str, str]:
        """Who of these sleeps, and got another name, sleeps under that; by new name, the old. Raises CloudError.

        The caller holds the lock.
        """
        declared = (child for child in planned.children.values() if child.spec is not None and child.obstacle is None)
        asleep = {child.name: child.asleep for child in declared if child.asleep is not None}
        return follow_moves(self.fleet, self._ports, asleep)

    def write_config(self, name: str, config: NewConfig) -> tuple[Outcome, Outcome | None]:
        """A gateway gets this configuration; where it is not healthy with that, the one before again.

        How each ended; None where nothing had to be put back. The caller holds the lock. Raises HostError, CloudError.
        """
        return configuring.give(self, name, config)

    # --- plan files ---------------------------------------------------------------------------------------------

    def seal(self, planned: Planned, selection: Selection = EVERYTHING) -> bytes:
        """The plan as a file that `agreed` takes. It holds no secret; keep it to yourself all the same."""
        bound = planfile.Bound(self.fleet_id, self.fleet.digest, selection, planned.options)
        return planfile.seal(planned.plan, planned.children, bound, keys.plan_key(self._ports.fleet_key))

    def unseal(self, data: bytes) -> planfile.PlanFile:
        """What was agreed to, when this fleet, its file and the hour are still right for it. Raises Refused."""
        agreed = planfile.unseal(data, keys.plan_key(self._ports.fleet_key))
        planfile.check_binding(agreed, self.fleet_id, self.fleet.digest, self._ports.clock.now())
        return agreed

    def objections(self, agreed: planfile.PlanFile, planned: Planned) -> list[str]:
        """In words, what of this plan nobody has agreed to."""
        return planfile.objections(agreed, planned.plan, planned.children, keys.plan_key(self._ports.fleet_key))

    # --- servers of others, and of a lost key -------------------------------------------------------------------

    def take_in(self, request: importing.Request) -> importing.Imported:
        """A server comes under the fleet. The caller holds the lock. Raises Refused, HostError, CloudError; VaultError

        where nobody can tell whether the child sleeps: then it has a memory, and waits for a server with that.
        """
        name, asleep = request.child, self.asleep([request.child]) if request.child in self.fleet.children else {}
        if sleeps := next((it for it in (name, *former_names(self.fleet, name)) if it in asleep), None):
            self._refuse_unread(sleeps, asleep[sleeps])
            raise Refused(
                f"{sleeps} sleeps, and this server has a memory of its own",
                f"import it under another name; or give up what {sleeps} remembered: fleet wake {sleeps} --empty",
            )
        return importing.take_in(request, self.fleet, self._ports)

    def _refuse_unread(self, name: str, sleep: Sleep) -> None:
        """Raises Refused where all that says it sleeps is a note that nobody can read."""
        newest = self.keeper().newest([name])[0].get(name) if sleep.noted_as == "" else None
        if newest is not None and not newest.is_ours:
            raise Refused(
                f"nobody can tell whether {name} sleeps: the note of its newest backup, {newest.stem}{NOTE}, "
                "is damaged, or not written with this fleet key",
                f"import it under another name; or say that nothing waits for {name}: fleet wake {name} --empty",
            )

    def recognise(self) -> recovery.Recognition:
        """Whose servers these are, by the fleet key that this client was given. Raises CloudError."""
        return recovery.recognise(self.fleet, self._ports)


def read_journal(state_dir: Path) -> list[Event]:
    """All that was done from this working directory, oldest first. Needs no fleet file and no key."""
    return list(open_store(state_dir).events())


def _silent(child: str, step: str, seconds: float) -> None:
    """No progress wanted."""
