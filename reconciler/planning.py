"""Every plan that can be asked for: of the file as it is, and of what a person wants beside it. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.actions import restart
from reconciler.engine import NO_MEMORIES
from reconciler.errors import Refused
from reconciler.keeper import Keeper
from reconciler.losses import with_losses
from reconciler.memories import awaking, made_empty, remembered, restore_of, strayed, undeclared, without_outlived
from reconciler.model import (
    Action,
    Backup,
    Child,
    Diagnostic,
    Fleet,
    Kind,
    Percent,
    Plan,
    PlanOptions,
    Reason,
    ReasonCode,
    Secret,
    ServerStatus,
    Severity,
    Sleep,
)
from reconciler.observe import observe
from reconciler.planner import plan
from reconciler.planner.versions import rollback_of
from reconciler.ports import Ports
from reconciler.steps.backups import Memory
from reconciler.steps.sleeping import check_name, mark_of
from reconciler.steps.trees import Key

NOTHING_SPECIAL: Final = PlanOptions()


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the look that it was made from."""

    plan: Plan
    children: dict[str, Child]
    options: PlanOptions = NOTHING_SPECIAL
    trees: Mapping[Key, str] = field(default_factory=dict)  # of releases, as far as the fleet knows them
    memories: Mapping[str, Memory] = field(default_factory=dict)  # by child, what its gateway will be given


class Planning:
    """Looks at one fleet and plans."""

    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        self.fleet = fleet
        self._ports = ports

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
        self._refuse_protected(names, "destroy")
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
        self._refuse_protected(names, "hibernate")
        for name in names:
            check_name(name)
        options = PlanOptions(partial=True, hibernate=frozenset(names))
        planned = self._plan(self.fleet, names, options)
        self._refuse_protected_servers(planned)
        found = planned.children.values()
        if strange := [it.name for it in found if it.spec is None or (it.server is None and it.asleep is None)]:
            raise Refused(f"no server that the fleet file declares: {', '.join(strange)}", "leave them out")
        if unfinished := [child.name for child in found if child.is_unfinished and not child.asleep]:
            names = ", ".join(unfinished)
            raise Refused(f"their first apply has not ended: {names}", "end it first: fleet apply; or: fleet destroy")
        absent = [child for child in found if child.server is None]
        if waking := [child.name for child in absent if child.asleep is not None and child.asleep.is_waking]:
            names = ", ".join(waking)
            raise Refused(f"they are to wake, and have no server yet: {names}", "end that first: fleet apply")
        return planned

    def plan_waking(
        self, backups: Mapping[str, Backup], identity: Secret | None = None, *, named: bool = False
    ) -> Planned:
        """The plan that makes children that have no server a new one, with what they remembered in these backups.

        `named`: a person has said that it is to be these. Raises Refused, BackupDamaged, VaultError.
        """
        self._refuse_who_has_none(backups)  # before they are read
        keeper = Keeper(self.fleet, self._ports)
        given = {name: keeper.memory(backup.child, backup, identity) for name, backup in backups.items()}
        return self.plan_waking_with({name: replace(memory, is_named=named) for name, memory in given.items()})

    def plan_waking_with(self, memories: Mapping[str, Memory]) -> Planned:
        """The same with what each will be given, as the keeper has it.

        Their versions are those of the backups: the next apply goes on to those in the file. Raises Refused.
        """
        self._refuse_who_has_none(memories)
        given = {name: memory.backup for name, memory in memories.items()}
        waking = {name: Sleep(backup.id, backup.child, is_waking=True) for name, backup in given.items()}
        planned = self._plan(self.fleet, waking, PlanOptions(partial=True, waking=waking), memories)
        for name, sleep in waking.items():
            mark_of(planned.children[name].asleep or sleep, name)  # refuses a name that is too long
        return planned

    def _refuse_who_has_none(self, names: Iterable[str]) -> None:
        for name in names:
            if why := self.why_no_server(name):
                raise Refused(f"{name} cannot wake: {why}", "change that first")

    def plan_rebuild(
        self, names: Iterable[str], without_copy: Iterable[str] = (), identity: Secret | None = None
    ) -> Planned:
        """The plan that gives each of the named children a new server, as the file has it, with its memory.

        Those in `without_copy` are given their newest backup instead, if there is one, on the version of that: their
        old hosts are not asked for anything. Of who has something else to be done first that is said, and nothing is
        done. Raises Refused, BackupDamaged, VaultError.
        """
        names, given_up = tuple(names), frozenset(without_copy)
        self._refuse_protected(names, "rebuild")
        keeper = Keeper(self.fleet, self._ports)
        newest, problems = keeper.newest(given_up) if given_up else ({}, {})
        for name, problem in problems.items():
            raise Refused(f"{name} is not rebuilt: nobody can tell its backups: {problem}", "mend that first")
        backups = {name: keeper.find(name) for name in given_up if name in newest}
        memories = {name: keeper.memory(backup.child, backup, identity) for name, backup in backups.items()}
        specs = {name: replace(self.fleet.children[name], version=it.version) for name, it in backups.items()}
        options = PlanOptions(
            partial=True,
            retry=frozenset(backups),  # what has written a memory is no version that it is kept from
            allow_replace=frozenset(names),
            rebuild={name: backups.get(name) for name in names},
            without_copy=given_up,
            max_destroys=len(names) if self.fleet.policy.max_destroys is None else None,
        )
        fleet = replace(self.fleet, children={**self.fleet.children, **specs})
        planned = self._plan(fleet, names, options, memories)
        self._refuse_protected_servers(planned)
        due = {action.child: action for action in planned.plan.actions}
        left = [
            Diagnostic(Severity.REFUSED, f"{name} is not rebuilt: {why}", address=name)
            for name, child in planned.children.items()
            if (why := _why_no_rebuild(child, due.get(name)))
        ]
        actions = tuple(action for action in planned.plan.actions if action.kind is Kind.REPLACE)
        made = replace(planned.plan, actions=actions, diagnostics=(*planned.plan.diagnostics, *left))
        return replace(planned, plan=made)

    def plan_restart(self, names: Iterable[str], *, reboots: bool = False) -> Planned:
        """The plan that starts the gateways of these children anew, and those anyway that do not run.

        With `reboots`, their servers. Of who has something else to be done that is said, and nothing is done.
        """
        planned = self._plan(self.fleet, names, PlanOptions(partial=True))
        due = {action.child: action for action in planned.plan.actions}
        what = "its server boots anew, and " if reboots else ""
        asked = Reason(ReasonCode.ASKED, f"asked for on the command line; {what}the bot does not answer meanwhile")
        actions, left = list[Action](), list[Diagnostic]()
        for name, child in planned.children.items():
            if (why := _why_no_restart(child, due.get(name), planned.plan)) is not None:
                left.append(Diagnostic(Severity.REFUSED, f"{name} is left as it is: {why}", address=name))
            else:
                anew = Action(Kind.RESTART, name, asked, restart.WAVE, monthly="0", reboots=reboots)
                is_off = child.server is not None and child.server.status is ServerStatus.OFF
                actions.append(anew if reboots and not is_off else due.get(name) or anew)
        made = replace(planned.plan, actions=tuple(actions), diagnostics=(*planned.plan.diagnostics, *left), shared=())
        return replace(planned, plan=made)

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

    def plan_restore(self, name: str, backup: Backup, identity: Secret | None = None) -> Planned:
        """The plan that puts a backup into the child's gateway, with the version of then; what is there is kept.

        Where it has no server, the one that wakes it with this backup. Raises Refused where nobody can say how it is.
        """
        seen = observe(self.fleet, self._ports, [name]).children[name]
        if seen.spec is not None and seen.server is None and seen.obstacle is None:
            return self.plan_waking({name: backup}, identity)
        wanted = restore_of(seen, backup)
        spec = replace(self.fleet.children[name], version=backup.version)
        fleet = replace(self.fleet, children={**self.fleet.children, name: spec})
        return self._plan(fleet, [name], PlanOptions(partial=True, retry=frozenset({name}), rollback={name: wanted}))

    def why_no_server(self, name: str) -> str:
        """In words, why the fleet file wants none for this child, whoever sleeps; empty where it does."""
        spec = self.fleet.children.get(name)
        if spec is not None and not spec.enabled:
            return "the fleet file says `enabled: false` of it"
        if spec is not None and spec.expires is not None and spec.expires <= self._ports.clock.now():
            return f"the fleet file says `expires` of it, and that was {spec.expires:%Y-%m-%dT%H:%M:%SZ}"
        return ""

    def _refuse_protected(self, names: Iterable[str], verb: str) -> None:
        protected = [name for name in names if (spec := self.fleet.children.get(name)) and spec.protect]
        if protected:
            raise Refused(
                f"protected: {', '.join(protected)}", f"set `protect: false` in the fleet file and apply, then {verb}"
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

    def _plan(
        self,
        fleet: Fleet,
        names: Iterable[str] | None,
        options: PlanOptions,
        memories: Mapping[str, Memory] = NO_MEMORIES,
    ) -> Planned:
        seen, now = observe(fleet, self._ports, names, options.retry), self._ports.clock.now()
        options = replace(options, requests_left=self._ports.cloud.requests_left())
        keeper = Keeper(self.fleet, self._ports)
        children = without_outlived(seen.children, self.fleet, keeper, options.waking)
        children, memories = awaking(children, options.waking, memories, keeper)
        children, told = remembered(children, memories, keeper, now)
        lost = undeclared(seen.asleep, self.fleet, children) if names is None else []
        lost += strayed(children, {it.address: seen.asleep[it.address] for it in lost}, keeper)
        made = plan(fleet, children, seen.catalog, now, options, seen.shared, seen.others, seen.quarantined)
        made = replace(made, diagnostics=(*made.diagnostics, *made_empty(made, told), *lost))
        made = with_losses(made, children, fleet, self._ports)
        return Planned(made, children, options, seen.trees, memories)


def _why_no_rebuild(child: Child, due: Action | None) -> str:
    """In words; empty for one that is, and where the plan says it already."""
    if child.spec is None or child.server is None:
        return "it has no server that the fleet file declares"
    if due is not None and due.kind is not Kind.REPLACE:
        return f"there is something else to do first, {due.kind}: fleet apply {child.name}"
    if due is None and (not child.spec.enabled or child.asleep is not None):
        return "the fleet file, or its sleep, says that it shall not run"
    return ""


def _why_no_restart(child: Child, due: Action | None, made: Plan) -> str | None:
    """In words; None for one that runs, or does not and shall."""
    if child.spec is None:
        return "the fleet file does not declare it"
    if due is not None and due.kind not in (Kind.START, Kind.RESTART):
        return f"there is more to do, {due.kind}: fleet apply {child.name}"
    if child.server is None or not child.spec.enabled:
        return "it has no server that shall run"
    if child.facts is None and due is None:
        return next((it.summary for it in made.diagnostics if it.address == child.name), "its host does not answer")
    return None
