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
from reconciler.commands.switching import PATIENCE
from reconciler.errors import CloudError, FleetError, HostError, ProofFailed
from reconciler.hindrances import Hindrances, held_by_hosts
from reconciler.log import get_log
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
    masked,
)
from reconciler.parallel import Gate, in_parallel
from reconciler.ports import Ports
from reconciler.soaking import soaked
from reconciler.steps import GO_BACK, Step, Work
from reconciler.steps.backups import Memory
from reconciler.steps.firewalls import ensure_fleet_resources, remove_unwanted_firewalls
from reconciler.steps.holds import forget_hold
from reconciler.steps.memory import start_again
from reconciler.steps.replacing import ensure_back, may_go_back
from reconciler.steps.runs import Ending, close_runs, fleet_firewalls, open_run
from reconciler.steps.trees import Key, Trees
from reconciler.steps.versions import is_higher

WORKERS: Final = 32
TRIES: Final = 3
PAUSE: Final = 1.0  # seconds before the second try; doubled each time
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
    _note(ports, run, "apply-started", durable=True, fleet=fleet.name, actions=actions)

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
    def note(event: str, durable: bool = False, **fields: Json) -> None:
        _note(ports, run, event, durable=durable, child=action.child, **fields)

    return Work(
        fleet,
        child.name,
        child.spec,
        ports,
        run,
        note,
        key_id,
        child.server,
        facts=child.facts,
        left_alone=action.left_alone,
        quarantined=plan.quarantined,
        trees=trees,
        retries=action.retries,
        keeps_version=_keeps_version(action, child),
        restarts=_restarts(action),
        reboots=action.reboots,
        config=action.config,
        rung=action.rung,
        without_copy=action.without_copy,
        memory=memories.get(child.name),
        asleep=child.asleep,
        restore=action.rollback.checkpoint.id if action.rollback else None,
        hold_afterwards=_given_up(action, ports),
        is_first=child.is_unfinished,
        is_quiet=child.spec is not None and child.spec.is_throwaway,
        spares=child.spares,
        retired=child.retired,
        making=making,
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
        work.may_switch = work.may_switch if work.retries else hindrances.check_version
        for step in planned:
            current = step.name
            _run_step(step, work, steps)
    except Exception as error:
        failure = _known(error)
        hindrances.note(failure, action, child)
        if work.switch is not None:
            failure = _bring_back(work, failure, current, steps, hindrances)
        elif may_go_back(work, failure):
            failure = _hand_back(work, failure, steps)
        elif work.without_copy and work.before is not None and work.server is not None:
            kept = f"the new server, {work.server.name} ({work.server.address}), is kept, and paid for"
            failure = HostError(failure.summary, _lines(failure.advice, kept, _go_on(work)))
        start_again(work)
        summary = masked(failure.summary, work.secrets)
        work.note("action-failed", kind=action.kind, step=current, error=summary)
        seconds = work.ports.clock.monotonic() - started
        told = f"{current}: {summary}" if current else summary
        return Outcome(action, OutcomeCode.FAILED, seconds, told, failure.advice, tuple(steps))
    finally:
        work.hang_up()
    work.note("action-done", kind=action.kind, server=work.server.id if work.server else None)
    return Outcome(action, OutcomeCode.DONE, work.ports.clock.monotonic() - started, steps=tuple(steps))


def _bring_back(
    work: Work, failure: FleetError, step: str, steps: list[tuple[str, float]], hindrances: Hindrances
) -> FleetError:
    """A switch has failed: the version and the state of before, then everything else that the file says."""
    assert work.switch is not None
    origin, target = work.switch.origin, work.switch.target
    # What passes by itself is tried again; whatever else it was, nobody makes its users wait for that again unasked.
    if not failure.temporary:
        work.failure = masked(f"{step}: {failure.summary}", work.secrets)
    # Only of a gateway that did not get healthy anybody can say that its version was to blame.
    has_failed = isinstance(failure, ProofFailed) and work.switch.is_made
    work.is_suspect = is_suspect = has_failed and work.was_healthy and is_higher(target, origin)
    told = (
        hindrances.quarantine(work, target, step) if is_suspect else ""
    )  # first: whatever kills us, nobody goes there
    try:
        _run_step(GO_BACK[0], work, steps)
    except Exception as error:
        why = _known(error)
        within = f"its host goes back by itself in {PATIENCE // 60 + 1} minutes: then `fleet status {work.name}`"
        return HostError(failure.summary, _lines(f"going back to {origin} did not end: {why.summary}", within, told))
    if work.stays_at is None:
        return HostError(failure.summary, _lines(f"its host has heard that it may stay at {target}: apply again", told))
    try:
        for following in GO_BACK[1:]:
            _run_step(following, work, steps)
    except Exception as error:
        why = _known(error)
        if work.failure:
            told = _acquit(work, target, hindrances)
        ill = f"{work.name} is back at {origin}, and not healthy there either: {why.summary}"
        return HostError(failure.summary, _lines(ill, why.advice, told))
    again = f"apply again: it goes to {target} then"
    if work.failure:
        again = f"{target} is not tried again by itself; when you know why it failed: fleet apply --retry {work.name}"
    return HostError(failure.summary, _lines(f"{work.name} is back at {origin}, and healthy", again, told))


def _hand_back(work: Work, failure: FleetError, steps: list[tuple[str, float]]) -> FleetError:
    """A replacement has failed, and the old server is still there."""
    new = work.existing()
    try:
        _run_step(Step("hand back", ensure_back), work, steps)
    except Exception as error:
        why = _known(error)
        told = f"its old server does not answer as it did before: {why.summary}"
        return HostError(failure.summary, _lines(told, why.advice, _go_on(work)))
    kept = f"{work.name} answers on its old server, and the new one, {new.name} ({new.address}), is kept, silent"
    again = "the next apply goes on with it, or deletes it where that is not allowed any more"
    if work.existing().is_told:
        again = "look at it before the next apply: that keeps a copy of what it was told, and deletes it"
    return HostError(failure.summary, _lines(failure.advice, kept, again))


def _go_on(work: Work) -> str:
    given_up = f"fleet rebuild {work.name} --no-backup {work.name}"
    return f"go on with it: {given_up if work.without_copy else f'fleet apply {work.name}'}"


def _acquit(work: Work, version: str, hindrances: Hindrances) -> str:
    try:
        forget_hold(work, version)
    except HostError:
        work.note("hold-not-forgotten", version=version)  # it does no harm: --retry ends it
    return hindrances.acquit(work, version) if work.is_suspect else ""


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def _known(error: Exception) -> FleetError:
    return error if isinstance(error, FleetError) else _unforeseen(error)


def _unforeseen(error: Exception) -> FleetError:
    """A bug, at one child. Only its type: the text of an unforeseen error may carry anything, also a secret."""
    get_log().info("bug", error=type(error).__name__)
    return FleetError(f"{type(error).__name__}: this is a bug in fleet", "run it again, and report it if it stays")


def _run_step(step: Step, work: Work, steps: list[tuple[str, float]]) -> None:
    started = work.ports.clock.monotonic()
    acted = _retried(step.ensure, work)
    seconds = work.ports.clock.monotonic() - started
    get_log().info("step-ended", child=work.name, step=step.name, acted=acted, seconds=round(seconds, 3))
    if acted:
        steps.append((step.name, seconds))
        work.ports.progress(work.name, step.name, seconds)


def _retried(ensure: Callable[[Work], bool], work: Work) -> bool:
    for attempt in range(TRIES - 1):
        try:
            return ensure(work)
        except FleetError as error:
            if not error.temporary:
                raise
            get_log().info(
                "step-retried", child=work.name, attempt=attempt + 1, error=masked(error.summary, work.secrets)
            )
            work.hang_up()
            work.ports.clock.sleep(PAUSE * 2**attempt)
    return ensure(work)


def _note(ports: Ports, run: str, event: str, *, durable: bool, **fields: Json) -> None:
    ports.store.append(Event(event, ports.clock.now().isoformat(), run, fields), durable)
