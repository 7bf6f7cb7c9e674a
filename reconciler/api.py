"""What other programs import: look, plan, apply, take in, over one fleet file. The command line is one user of this.

fleet = FleetClient.load(Path("fleet.yaml"))
for action in fleet.plan().plan.actions: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler import drilling, engine, importing, keys, planfile, recovery
from reconciler.errors import Refused
from reconciler.fleet import load_fleet
from reconciler.keeper import Keeper, awaking, restore_of
from reconciler.model import (
    Backup,
    Child,
    Drill,
    Event,
    Fleet,
    Hold,
    HostAddress,
    Outcome,
    Percent,
    Plan,
    PlanOptions,
    Reason,
    ReasonCode,
    Record,
    Secret,
    Server,
    Sleep,
)
from reconciler.observe import observe
from reconciler.ownership import settle
from reconciler.planner import plan
from reconciler.planner.versions import rollback_of
from reconciler.ports import Host, Ports
from reconciler.refreshing import Refreshed, refresh
from reconciler.selection import Selection, resolve
from reconciler.steps import quarantine
from reconciler.steps.backups import Memory
from reconciler.steps.runs import Runs, fleet_firewalls, may_be_unfinished, open_runs
from reconciler.steps.sleeping import check_name, mark_of, note_sleep
from reconciler.steps.trees import Key
from reconciler.steps.work import address_of
from reconciler.wiring import Progress, build_ports, open_store

EVERYTHING = Selection()
NOTHING_SPECIAL = PlanOptions()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the look that it was made from."""

    plan: Plan
    children: dict[str, Child]
    options: PlanOptions = NOTHING_SPECIAL
    trees: Mapping[Key, str] = field(default_factory=dict)  # of releases, as far as the fleet knows them
    memories: Mapping[str, Memory] = field(default_factory=dict)  # by child, what its gateway will be given


class FleetClient:
    """One fleet file and everything it talks to."""

    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        self.fleet = fleet
        self._ports = ports
        self._told: tuple[Runs, dict[str, Record]] | None = None

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
    ) -> FleetClient:
        """Read and check the file. What its references may be is as secrets/allowed.py has it.

        `key` is used instead of the fleet key that is found. Raises ConfigError, SecretError.
        """
        fleet = load_fleet(path)
        state = state_dir or path.parent / "state"
        return cls(fleet, build_ports(fleet, state, progress or _silent, allow_sources, allow_cmd, key))

    @property
    def fleet_id(self) -> str:
        return keys.fleet_id(self._ports.fleet_key)

    # --- looking ----------------------------------------------------------------------------------------------

    def select(self, selection: Selection) -> tuple[str, ...]:
        """The children that are meant, by name. Asks the cloud only where the file cannot tell. Raises UsageProblem."""
        declared = self.fleet.children
        return resolve(selection, declared, {} if selection.names_only(declared) else self.servers())

    def servers(self) -> dict[str, Server | None]:
        """Every declared child and every server of this fleet, by one listing and without SSH."""
        owned = settle(self.fleet, self._ports.cloud.servers(self.fleet_id))
        return dict.fromkeys(self.fleet.children) | {name: found.server for name, found in owned.items()}

    def connect(self, server: Server, timeout: float = 15.0) -> Host:
        """An SSH connection with the pinned key. Raises HostError."""
        return self._ports.dialer.connect(self.address(server), timeout)

    def address(self, server: Server) -> HostAddress:
        """How a child is reached and known. Raises HostError when it has no address or no uid."""
        runs, records = self._half_made()
        record = records.get(server.child or "")
        # A first apply that failed is what people want to look at.
        return address_of(server, self.fleet, self._ports, may_be_unfinished(server, runs, record))

    def refresh(self, names: Iterable[str] | None = None) -> Refreshed:
        """Rebuild the records in state/ from the live hosts; nothing else changes. The caller holds the lock."""
        return refresh(self.fleet, self._ports, names)

    # --- planning and applying ----------------------------------------------------------------------------------

    def plan(self, names: Iterable[str] | None = None, options: PlanOptions = NOTHING_SPECIAL) -> Planned:
        """Look at everything (or at the named children only) and plan. Writes nothing."""
        options = replace(options, partial=options.partial or names is not None)
        return self._plan(self.fleet, names, options)

    def plan_destruction(
        self, names: Iterable[str], max_destroys: int | Percent | None = None, without_copy: Iterable[str] = ()
    ) -> Planned:
        """The plan that deletes the named children, as if the file did not declare them.

        A limit that the file sets holds here too; its default does not, for each of them was asked for. The memory of
        those in `without_copy` is lost. Raises Refused for protected ones.
        """
        names = tuple(names)
        self._refuse_protected(names)
        kept = {name: spec for name, spec in self.fleet.children.items() if name not in names}
        if max_destroys is None and self.fleet.policy.max_destroys is None:
            max_destroys = len(names)
        options = PlanOptions(partial=True, max_destroys=max_destroys, without_copy=frozenset(without_copy))
        planned = self._plan(replace(self.fleet, children=kept), names, options)
        self._refuse_protected_servers(planned)
        asked = Reason(ReasonCode.ASKED, "asked for on the command line; its server is deleted")
        actions = tuple(replace(action, reason=asked) for action in planned.plan.actions)
        return replace(planned, plan=replace(planned.plan, actions=actions))

    def plan_hibernation(self, names: Iterable[str]) -> Planned:
        """The plan that puts the named children to sleep. Raises Refused for who cannot sleep."""
        names = tuple(names)
        self._refuse_protected(names)
        for name in names:
            check_name(name)
        options = PlanOptions(partial=True, hibernate=frozenset(names))
        planned = self._plan(self.fleet, names, options)
        self._refuse_protected_servers(planned)
        awake = [name for name, child in planned.children.items() if child.is_unfinished and not child.asleep]
        if awake:
            raise Refused(f"never finished, so nothing to keep: {', '.join(awake)}", "apply first, or destroy")
        return planned

    def plan_waking(self, name: str, backup: Backup, identity: Secret | None = None) -> Planned:
        """The plan that makes a child that has no server a new one, with what it remembered in this backup.

        Its version is the backup's: the next apply goes on to that in the file. Raises Refused, BackupDamaged.
        """
        waking = Sleep(backup.id, backup.child, is_waking=True)
        mark_of(waking, name)
        memory = self.keeper().memory(backup.child, backup, identity)
        return self._plan(self.fleet, [name], PlanOptions(partial=True, waking={name: waking}), {name: memory})

    def begin_waking(self, planned: Planned) -> None:
        """From now on any apply goes on with it. The caller holds the lock. Raises CloudError."""
        for name, sleep in planned.options.waking.items():
            note_sleep(self.fleet, self._ports, name, sleep)

    def forget_sleep(self, name: str) -> None:
        """It is made without a memory by the next apply. The caller holds the lock. Raises CloudError."""
        note_sleep(self.fleet, self._ports, name, None)

    def plan_rollback(self, names: Iterable[str], to: str | None = None) -> Planned:
        """The plan that brings the named children back to a checkpoint, the newest or the one with the id `to`.

        Raises Refused where there is none, or nobody can say.
        """
        names = tuple(names)
        seen = observe(self.fleet, self._ports, names).children
        wanted = {name: rollback_of(seen[name], to) for name in names}
        specs = {
            name: replace(self.fleet.children[name], version=rollback.checkpoint.version)
            for name, rollback in wanted.items()
        }
        fleet = replace(self.fleet, children={**self.fleet.children, **specs})
        return self._plan(fleet, names, PlanOptions(partial=True, retry=frozenset(names), rollback=wanted))

    def plan_restore(self, name: str, backup: Backup) -> Planned:
        """The plan that puts a backup into the child's gateway, with the version of then; what is there is kept.

        Raises Refused where nobody can say how the child is.
        """
        seen = observe(self.fleet, self._ports, [name]).children[name]
        wanted = restore_of(seen, backup)
        spec = replace(self.fleet.children[name], version=backup.version)
        fleet = replace(self.fleet, children={**self.fleet.children, name: spec})
        return self._plan(fleet, [name], PlanOptions(partial=True, retry=frozenset({name}), rollback={name: wanted}))

    def keeper(self) -> Keeper:
        """The backups of this fleet's children."""
        return Keeper(self.fleet, self._ports)

    def drill(self, names: Iterable[str], identity: Secret | None = None) -> list[Drill]:
        """The newest backup of each of these children is restored to a throw-away child, proven there, and destroyed.

        The caller holds the lock. Raises CloudError.
        """
        return drilling.drill(self.fleet, self._ports, names, identity)

    def sample(self, names: Iterable[str], count: int) -> tuple[str, ...]:
        """So many of these children, whose last drill is the longest ago."""
        names = tuple(names)
        return drilling.sample(names, count, self.keeper().trials(names)[0], self._ports)

    def checkpoints(self, names: Iterable[str] | None = None) -> dict[str, Child]:
        """The children with what their hosts keep of earlier versions. Raises CloudError, SecretError."""
        return observe(self.fleet, self._ports, names).children

    def quarantined(self) -> dict[str, Hold]:
        """The versions that the whole fleet keeps away from."""
        return quarantine.quarantined(self.fleet, fleet_firewalls(self.fleet, self._ports))

    def clear_quarantine(self, version: str) -> bool:
        """Whether it was quarantined. The caller holds the lock. Raises CloudError."""
        return quarantine.clear_quarantine(self.fleet, self._ports, version)

    def lock(self, operation: str) -> AbstractContextManager[None]:
        """Held from planning to the end of applying. Raises LockHeld."""
        return self._ports.store.lock(operation)

    def apply(self, planned: Planned, workers: int = engine.WORKERS) -> list[Outcome]:
        """Run the plan. Raises Refused for a refused one, CloudError when what the fleet shares cannot be made."""
        if planned.plan.is_refused:
            raise Refused("the plan is refused, so nothing was changed", "see above for what stands against it")
        return engine.apply(
            self.fleet, planned.plan, planned.children, self._ports, workers, planned.trees, planned.memories
        )

    def _refuse_protected(self, names: Iterable[str]) -> None:
        protected = [name for name in names if (spec := self.fleet.children.get(name)) and spec.protect]
        if protected:
            raise Refused(
                f"protected: {', '.join(protected)}", "set `protect: false` in the fleet file and apply, then destroy"
            )

    def _refuse_protected_servers(self, planned: Planned) -> None:
        """The file has given up the protection of these, and no apply has taken it from their servers yet."""
        labelled = (name for name, child in planned.children.items() if child.server and child.server.is_protected)
        protected = [name for name in labelled if name in self.fleet.children]
        if protected:
            raise Refused(
                f"still protected, for the fleet file's `protect: false` is not applied yet: {', '.join(protected)}",
                f"take the protection from the server first: fleet apply {' '.join(protected)}",
            )

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
        """A server comes under the fleet. The caller holds the lock. Raises Refused, HostError, CloudError."""
        return importing.take_in(request, self.fleet, self._ports)

    def recognise(self) -> recovery.Recognition:
        """Whose servers these are, by the fleet key that this client was given. Raises CloudError."""
        return recovery.recognise(self.fleet, self._ports)

    def _half_made(self) -> tuple[Runs, dict[str, Record]]:
        """What tells of a first apply that has not ended. Read once: a thousand addresses are written at a time."""
        if self._told is None:
            runs = open_runs(self.fleet, fleet_firewalls(self.fleet, self._ports))
            self._told = runs, self._ports.store.records() if runs else {}
        return self._told

    def _plan(
        self,
        fleet: Fleet,
        names: Iterable[str] | None,
        options: PlanOptions,
        memories: Mapping[str, Memory] = engine.NO_MEMORIES,
    ) -> Planned:
        seen, now = observe(fleet, self._ports, names, options.retry), self._ports.clock.now()
        options = replace(options, requests_left=self._ports.cloud.requests_left())
        children, memories = awaking(seen.children, options.waking, memories, self.keeper())
        made = plan(fleet, children, seen.catalog, now, options, seen.shared, seen.others, seen.quarantined)
        return Planned(made, children, options, seen.trees, memories)


def read_journal(state_dir: Path) -> list[Event]:
    """All that was done from this working directory, oldest first. Needs no fleet file and no key."""
    return list(open_store(state_dir).events())


def _silent(child: str, step: str, seconds: float) -> None:
    """No progress wanted."""
