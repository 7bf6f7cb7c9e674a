"""Runs a plan: under the lock, wave by wave, children in parallel, every intent in the journal before its effect.

The engine decides nothing. A step that fails with a temporary error is tried again; any other failure ends that child's
action, and the other children go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final

from reconciler.actions import steps_of
from reconciler.actions.resuscitate import RESTARTING
from reconciler.errors import CloudError, HostError
from reconciler.going_back import bring_back, go_on, hand_back, lines
from reconciler.hindrances import Hindrances
from reconciler.model import (
    LATEST,
    Action,
    Child,
    Event,
    Fleet,
    Hold,
    Json,
    Kind,
    Outcome,
    OutcomeCode,
    Plan,
    ReasonCode,
)
from reconciler.parallel import Gate, in_parallel
from reconciler.ports import Ports
from reconciler.redaction import without_secrets
from reconciler.soaking import await_forerunners, soaked
from reconciler.stepping import known, run_step
from reconciler.steps import Work
from reconciler.steps.backups import Memory
from reconciler.steps.firewalls import ensure_fleet_resources, remove_unwanted_firewalls
from reconciler.steps.memory import start_again
from reconciler.steps.parts import Asked, Keeping, Replacing
from reconciler.steps.quarantine import held_by_hosts
from reconciler.steps.replacing import may_go_back
from reconciler.steps.runs import Ending, close_runs, fleet_firewalls, open_run
from reconciler.steps.trees import Key, Trees
from reconciler.steps.versions import present

WORKERS: Final = 32
NO_TREES: Final[Mapping[Key, str]] = MappingProxyType({})
NO_MEMORIES: Final[Mapping[str, Memory]] = MappingProxyType({})
OPEN: Final = Gate()  # of a run that ends with its process when it is interrupted
_MAKING: Final = (Kind.CREATE, Kind.REPLACE)  # what needs the fleet's key and firewalls


def apply(
    fleet: Fleet,
    plan: Plan,
    children: Mapping[str, Child],
    ports: Ports,
    workers: int = WORKERS,
    trees: Mapping[Key, str] = NO_TREES,
    memories: Mapping[str, Memory] = NO_MEMORIES,
    making: Gate = OPEN,
) -> list[Outcome]:
    """Run every action of the plan and say how each ended. The caller holds the lock. Raises CloudError, StateError.

    `trees` are those that the fleet knows of releases; `memories`, by child, what is given to a gateway that is made.
    Whoever goes on after an interrupt shuts the gate `making`: from then on nothing of this run makes a server.
    """
    run = ports.clock.token()
    actions: list[Json] = [f"{action.kind} {action.child}" for action in plan.actions]
    told: dict[str, Json] = {"by": ports.operator} if ports.operator else {}
    _note(ports, run, "apply-started", durable=True, fleet=fleet.name, actions=actions, **told)

    def note(event: str, durable: bool = False, **fields: Json) -> None:
        _note(ports, run, event, durable=durable, **fields)

    # Once per run and not once per child: many threads at once would race for the same name.
    makes = any(action.kind in _MAKING for action in plan.actions)
    shares = makes or bool(plan.shared)
    key_id = ensure_fleet_resources(fleet, ports, note) if shares else None
    if makes:
        open_run(fleet, ports, run)
    outcomes: list[Outcome] = []
    works: list[Work] = []
    tried_again = {action.child for action in plan.actions if action.retries}
    others = (child for name, child in children.items() if name not in tried_again)
    hindrances = Hindrances(fleet, ports, held=held_by_hosts(others))
    known = Trees(dict(trees), children=children, marking=hindrances.marking)
    await_forerunners(_forerunners(fleet, plan, children, ports, run), fleet.rollout, ports.clock, hindrances, workers)
    for (_, batch), group in groupby(plan.actions, key=lambda action: (action.wave, action.batch)):
        wave = [
            (it, _work(it, plan, fleet, children[it.child], ports, run, key_id, known, memories, making))
            for it in group
        ]
        at_once = min(workers, fleet.rollout.max_parallel) if batch else workers
        ended = in_parallel(lambda pair: _run(*pair, children[pair[0].child], hindrances), wave, at_once)
        works += [work for _, work in wave]
        if batch:
            pairs = list(zip((work for _, work in wave), ended, strict=True))
            ended = soaked(pairs, fleet.rollout.soak, ports.clock, hindrances, at_once)
        outcomes += ended
    if shares or any(child.in_open_run for child in children.values()):
        _clear_up(fleet, ports, note, _ending(run, children, works, outcomes), shares)
    _note(ports, run, "apply-ended", durable=True, failed=sum(o.code is OutcomeCode.FAILED for o in outcomes))
    return outcomes


def _forerunners(fleet: Fleet, plan: Plan, children: Mapping[str, Child], ports: Ports, run: str) -> list[Work]:
    """Who is at a version already that others go over to in this run."""
    moving = {action.child for action in plan.actions if action.batch and not action.retries}
    targets = {spec.version for name in moving if (spec := children[name].spec) is not None}
    return [
        Work(fleet, name, child.spec, ports, run, _noting(ports, run, name), server=child.server, facts=child.facts)
        for name, child in children.items()
        if name not in moving and child.spec is not None and child.spec.version in targets
        and child.facts is not None and present(child.facts) == child.spec.version
    ]  # fmt: skip


def _clear_up(fleet: Fleet, ports: Ports, note: Callable[..., None], ending: Ending, shares: bool) -> None:
    """What fails here fails after all is done: it must not hide the outcomes, and the next plan shows it again."""
    try:
        firewalls = fleet_firewalls(fleet, ports)
        close_runs(fleet, ports, firewalls, ending)
        if shares:
            remove_unwanted_firewalls(fleet, ports, firewalls, note)
    except CloudError as error:
        note("firewalls-left", error=error.summary)


def _ending(run: str, children: Mapping[str, Child], works: Iterable[Work], outcomes: Iterable[Outcome]) -> Ending:
    """What the look has found, and then what became of it."""
    seen = {child.server.id for child in children.values() if child.server and not child.is_unfinished}
    made = [(work, outcome) for work, outcome in zip(works, outcomes, strict=True) if outcome.action.kind in _MAKING]
    there = {work.server.id: work.is_first for work, _ in made if work.server}
    started = frozenset(work.server.id for work, _ in made if work.server and work.may_have_started)
    return Ending(
        run,
        finished=frozenset(seen | {number for number, is_first in there.items() if not is_first}),
        left=frozenset(number for number, is_first in there.items() if is_first),
        started=started,
        made_all=all(outcome.code is OutcomeCode.DONE for _, outcome in made),
    )


def _work(
    action: Action,
    plan: Plan,
    fleet: Fleet,
    child: Child,
    ports: Ports,
    run: str,
    key_id: int | None,
    trees: Trees,
    memories: Mapping[str, Memory],
    making: Gate,
) -> Work:
    return Work(
        fleet,
        child.name,
        child.spec,
        ports,
        run,
        _noting(ports, run, action.child),
        _asked(action, ports),
        ssh_key_id=key_id,
        making=making,
        server=child.server,
        facts=child.facts,
        left_alone=action.left_alone,
        quarantined=plan.quarantined,
        trees=trees,
        keeps_version=_keeps_version(action, child),
        asleep=child.asleep,
        is_first=child.is_unfinished,
        is_quiet=child.spec is not None and child.spec.is_throwaway,
        replacing=Replacing(spares=child.spares, retired=child.retired),
        keeping=Keeping(memories.get(child.name)),
    )


def _asked(action: Action, ports: Ports) -> Asked:
    return Asked(
        restore=action.rollback.checkpoint.id if action.rollback else None,
        hold_afterwards=_given_up(action, ports),
        retries=action.retries,
        restarts=_restarts(action),
        reboots=action.reboots,
        config=action.config,
        rung=action.rung,
        without_copy=action.without_copy,
    )


def _keeps_version(action: Action, child: Child) -> bool:
    """Only in a batch of a rollout, or because a person goes back, does a gateway that has run get another version."""
    is_new = action.kind is Kind.CREATE and not child.retired
    return not (action.batch or action.rollback or is_new)


def _restarts(action: Action) -> bool:
    """Also what runs, and with what is on the disk."""
    is_asked = action.kind is Kind.RESTART and action.reason.code is ReasonCode.ASKED
    return is_asked or (action.kind is Kind.RESUSCITATE and action.rung in RESTARTING)


def _given_up(action: Action, ports: Ports) -> Hold | None:
    """What the fleet file says is not gone to again by itself after a person has gone back."""
    found = action.rollback
    if found is None or found.instead_of in (LATEST, found.checkpoint.version):
        return None
    reason = f"rolled back by hand to the checkpoint {found.checkpoint.id} of {found.checkpoint.version}"
    return Hold(found.instead_of, reason, ports.clock.now().isoformat(timespec="seconds"))


def _run(action: Action, work: Work, child: Child, hindrances: Hindrances) -> Outcome:
    planned = steps_of(action, child)
    started, current = work.ports.clock.monotonic(), ""
    steps: list[tuple[str, float]] = []
    work.note("action-started", kind=action.kind, reason=action.reason.code)
    try:
        hindrances.check(work, child, action)
        work.switching.may_switch = work.switching.may_switch if work.asked.retries else hindrances.check_version
        for step in planned:
            current = step.name
            run_step(step, work, steps)
    except Exception as error:
        failure = known(error)
        hindrances.note(failure, action, child)
        if work.switching.under_way is not None:
            failure = bring_back(action, work, failure, current, steps, hindrances)
        elif may_go_back(work, failure):
            failure = hand_back(work, failure, steps)
        elif work.asked.without_copy and work.replacing.old is not None and work.server is not None:
            kept = f"the new server, {work.server.name} ({work.server.address}), is kept, and paid for"
            failure = HostError(failure.summary, lines(failure.advice, kept, go_on(work)))
        start_again(work)
        summary = without_secrets(failure.summary, work.secrets)
        work.note("action-failed", kind=action.kind, step=current, error=summary)
        seconds = work.ports.clock.monotonic() - started
        told = f"{current}: {summary}" if current else summary
        return Outcome(action, OutcomeCode.FAILED, seconds, told, failure.advice, tuple(steps))
    finally:
        work.hang_up()
    work.note("action-done", kind=action.kind, server=work.server.id if work.server else None)
    return Outcome(action, OutcomeCode.DONE, work.ports.clock.monotonic() - started, steps=tuple(steps))


def _noting(ports: Ports, run: str, child: str) -> Callable[..., None]:
    def note(event: str, durable: bool = False, **fields: Json) -> None:
        _note(ports, run, event, durable=durable, child=child, **fields)

    return note


def _note(ports: Ports, run: str, event: str, *, durable: bool, **fields: Json) -> None:
    ports.store.append(Event(event, ports.clock.now().isoformat(), run, fields), durable)
