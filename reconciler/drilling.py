"""Drills: backups are restored to throw-away children that can reach nobody, and these are destroyed again.

A throw-away is one more child of the fleet for as long as a drill lasts: made, given its memory and proven by the same
actions and steps as one that wakes. It differs in what its spec says (`is_throwaway`) and the label that its server is
posted with, by which every later plan knows what a drill has left. The caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler import engine
from reconciler.errors import CloudError, FleetError, SecretError, VaultError
from reconciler.keeper import Keeper
from reconciler.managed.config import ACTING
from reconciler.model import (
    Backup,
    Child,
    ChildSpec,
    Drill,
    Event,
    Fleet,
    Json,
    Outcome,
    OutcomeCode,
    Plan,
    PlanOptions,
    Secret,
    ServerStatus,
    Trial,
    Users,
)
from reconciler.observe import observe
from reconciler.parallel import Gate, in_parallel
from reconciler.planner import plan
from reconciler.ports import Ports
from reconciler.steps.backups import Memory
from reconciler.steps.server import CREATE_TIMEOUT, server_name

WORKERS: Final = 4  # throw-aways at a time: each is a server of the project's quota, and takes the operator's network
PREFIX: Final = "drill-"
DIGITS: Final = 8
_GONE: Final = "its server is deleted; try another backup: fleet backup list, then fleet restore CHILD --from ID"


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """One child's drill that can begin: nothing is wrong with its backup as far as that can be told from here."""

    throwaway: str
    spec: ChildSpec
    memory: Memory
    age: int
    begun: float


def drill(
    fleet: Fleet, ports: Ports, names: Iterable[str], identity: Secret | None = None, workers: int = WORKERS
) -> list[Drill]:
    """The newest backup of each of these declared children is tried. Raises CloudError where nothing can be made.

    Whatever comes of them, the throw-aways are destroyed before this returns, or the result says why not. Where it does
    not return, the exception's notes do.
    """
    keeper, names = Keeper(fleet, ports), tuple(names)
    begun = in_parallel(lambda name: _rehearsal(fleet, ports, name, identity), names, workers)
    ready = dict(zip(names, begun, strict=True))
    rehearsals = {name: found for name, found in ready.items() if isinstance(found, _Rehearsal)}
    tried = _tried(fleet, ports, rehearsals, workers) if rehearsals else {}
    drills = [found if isinstance(found, Drill) else tried[name] for name, found in ready.items()]
    return [_noted(keeper, ports, it) for it in drills]


def sample(names: Sequence[str], count: int, trials: Mapping[str, tuple[Trial, ...]], ports: Ports) -> tuple[str, ...]:
    """Those whose last drill is the longest ago, whatever came of it: first who never had one, among equals by lot."""
    lots = {name: ports.clock.token() for name in names}
    last = {name: max((trial.at.timestamp() for trial in trials.get(name, ())), default=0.0) for name in names}
    return tuple(sorted(sorted(names, key=lambda name: (last[name], lots[name]))[:count]))


def throwaway_of(spec: ChildSpec, name: str, backup: Backup) -> ChildSpec:
    """What is made of a child for a drill: its server, its settings and its files, and nothing that reaches anybody.

    It may be reached by SSH from where the child may. Nobody may write to it, and its free-form configuration says
    nothing of what acts by itself.
    """
    return replace(
        spec,
        name=name,
        version=backup.version,
        users=Users(),
        labels={},
        protect=False,
        group=None,
        backups=False,
        enabled=True,
        expires=None,
        config={key: value for key, value in spec.config.items() if key not in ACTING},
        update=replace(spec.update, soak=1),
        is_throwaway=True,
    )


def _rehearsal(fleet: Fleet, ports: Ports, name: str, identity: Secret | None) -> _Rehearsal | Drill:
    """The backup is found, opened and compared with its note before any server is made."""
    keeper, begun, backup = Keeper(fleet, ports), ports.clock.monotonic(), None
    try:
        backup = keeper.find(name)
        memory = keeper.memory(name, backup, identity)
        age = (ports.clock.now() - datetime.fromisoformat(backup.at)).total_seconds()
    except FleetError as error:
        seconds = round(ports.clock.monotonic() - begun)
        return Drill(name, backup, seconds=seconds, problem=error.summary, advice=error.advice)
    throwaway = PREFIX + ports.clock.token()[-DIGITS:]
    spec = throwaway_of(fleet.children[name], throwaway, backup)
    return _Rehearsal(throwaway, spec, memory, max(0, round(age)), begun)


def _tried(fleet: Fleet, ports: Ports, rehearsals: Mapping[str, _Rehearsal], workers: int) -> dict[str, Drill]:
    for name, it in rehearsals.items():
        _note(ports, "drill-started", name, backup=it.memory.backup.id, throwaway=it.throwaway)
    throwaways = [it.throwaway for it in rehearsals.values()]
    making, left = Gate(), dict.fromkeys(throwaways, "nobody has looked since the drill was cut off")
    try:
        try:
            made, outcomes, waited = _made(fleet, ports, rehearsals, workers, making)
        finally:
            making.shut()  # threads that an interrupt has left behind go on: they would make one after the look
            left = _destroyed(fleet, ports, throwaways, workers)
    except BaseException as end:
        for name, why in left.items():
            end.add_note(
                f"the throw-away server {server_name(fleet, name)} may still be there: {why}\n"
                f"Delete it: fleet destroy {name}; the next `fleet apply` would, too."
            )
        raise
    ended = {outcome.action.child: outcome for outcome in outcomes}
    return {
        name: _drill(name, it, made, ended.get(it.throwaway), waited[it.throwaway], left.get(it.throwaway, ""))
        for name, it in rehearsals.items()
    }


def _made(
    fleet: Fleet, ports: Ports, rehearsals: Mapping[str, _Rehearsal], workers: int, making: Gate
) -> tuple[Plan, list[Outcome], dict[str, int]]:
    """The plan, what came of it, and how long each drill had taken when its action began.

    The fleet may be as large as its policy allows: for an hour a throw-away is no child of it.
    """
    specs = {it.throwaway: it.spec for it in rehearsals.values()}
    larger = replace(fleet, children={**fleet.children, **specs}, policy=replace(fleet.policy, max_children=None))
    seen = observe(larger, ports, specs)
    options = PlanOptions(partial=True, retry=frozenset(specs))  # what has written a memory reads it, whatever else
    options = replace(options, requests_left=ports.cloud.requests_left())
    now = ports.clock.now()
    found = plan(larger, seen.children, seen.catalog, now, options, seen.shared, seen.others, seen.quarantined)
    waited = {it.throwaway: round(ports.clock.monotonic() - it.begun) for it in rehearsals.values()}
    if found.is_refused:
        return found, [], waited
    memories = {it.throwaway: it.memory for it in rehearsals.values()}
    return found, engine.apply(larger, found, seen.children, ports, workers, seen.trees, memories, making), waited


def _destroyed(fleet: Fleet, ports: Ports, throwaways: Sequence[str], workers: int) -> dict[str, str]:
    """Of those that are still there, why."""
    try:
        seen = observe(fleet, ports, throwaways)
        if _come_up(ports, seen.children.values()):
            seen = observe(fleet, ports, throwaways)
        there = {name: child for name, child in seen.children.items() if child.server is not None}
        options = PlanOptions(partial=True, max_destroys=len(throwaways))
        found = plan(fleet, there, seen.catalog, ports.clock.now(), options, seen.shared, seen.others)
        outcomes = engine.apply(fleet, found, there, ports, workers)
    except (CloudError, SecretError) as error:
        return dict.fromkeys(throwaways, error.summary)
    gone = {outcome.action.child for outcome in outcomes if outcome.code is OutcomeCode.DONE}
    why = {outcome.action.child: outcome.error for outcome in outcomes if outcome.error}
    why |= {it.address: it.summary for it in found.diagnostics if it.address not in why}
    return {name: why.get(name, "nothing could be planned for it") for name in there if name not in gone}


def _come_up(ports: Ports, children: Iterable[Child]) -> bool:
    """Whether an interrupt has left any in the making: until they are up nothing is planned for them.

    Of one that does not get up the plan says so.
    """
    rising = [it.server for it in children if it.server and it.server.status is ServerStatus.INITIALIZING]
    for server in rising:
        with suppress(CloudError):
            ports.cloud.wait(ports.cloud.open_actions(server.id), CREATE_TIMEOUT)
    return bool(rising)


def _drill(name: str, it: _Rehearsal, made: Plan, outcome: Outcome | None, waited: int, left: str) -> Drill:
    backup = it.memory.backup
    if outcome is None:
        about = [d for d in made.diagnostics if d.address == it.throwaway] or list(made.diagnostics)
        problem, advice = (about[0].summary, about[0].detail) if about else ("no server could be planned for it", "")
        return Drill(name, backup, it.age, waited, problem, advice, left)
    failed = outcome.code is OutcomeCode.FAILED
    problem = (outcome.error or "it failed") if failed else ""
    advice = outcome.advice if left or not failed else _GONE  # nobody can look at what is deleted
    return Drill(name, backup, it.age, waited + round(outcome.seconds), problem, advice, left)


def _noted(keeper: Keeper, ports: Ports, found: Drill) -> Drill:
    """Where every runner sees it, and in the journal. A proof that could not be kept is said, and is none."""
    backup = found.backup.id if found.backup else ""
    trial = Trial(found.child, ports.clock.now(), backup, found.seconds, found.is_proven)
    try:
        keeper.note_trial(trial)
    except (VaultError, SecretError) as error:
        if found.is_proven:
            problem = f"it was proven, and that could not be noted beside the backup: {error.summary}"
            found = replace(found, problem=problem, advice=error.advice)
    if found.is_proven:
        _note(ports, "drill-proven", found.child, backup=backup, age=found.age, seconds=found.seconds)
    else:
        _note(ports, "drill-failed", found.child, backup=backup or None, error=found.problem)
    return found


def _note(ports: Ports, event: str, child: str, **fields: Json) -> None:
    now = ports.clock.now().isoformat()
    ports.store.append(Event(event, now, ports.clock.token(), {"child": child, **fields}), durable=True)
