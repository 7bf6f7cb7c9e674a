"""Runs a plan: under the lock, wave by wave, children in parallel, every intent in the journal before its effect.

The engine decides nothing. A step that fails with a temporary error is tried again; any other failure ends that child's
action, and the other children go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from reconciler.actions import steps_of
from reconciler.errors import CloudError, FleetError, LimitExceeded, Refused
from reconciler.log import get_log
from reconciler.model import Action, Child, Event, Fleet, Json, Kind, Outcome, OutcomeCode, Plan, masked
from reconciler.parallel import in_parallel
from reconciler.ports import Ports
from reconciler.steps import Step, Work
from reconciler.steps.firewalls import ensure_fleet_resources, remove_unwanted_firewalls
from reconciler.steps.runs import Ending, close_runs, fleet_firewalls, open_run

WORKERS: Final = 32
TRIES: Final = 3
PAUSE: Final = 1.0  # seconds before the second try; doubled each time
_MAKING: Final = (Kind.CREATE, Kind.REPLACE)  # what needs the fleet's key and firewalls


def apply(
    fleet: Fleet, plan: Plan, children: Mapping[str, Child], ports: Ports, workers: int = WORKERS
) -> list[Outcome]:
    """Run every action of the plan and say how each ended. The caller holds the lock. Raises CloudError, StateError."""
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
    hindrances = _Hindrances()
    for _, group in groupby(plan.actions, key=lambda action: action.wave):
        wave = [(action, _work(action, fleet, children[action.child], ports, run, key_id)) for action in group]
        outcomes += in_parallel(lambda pair: _run(*pair, children[pair[0].child], hindrances), wave, workers)
        works += [work for _, work in wave]
    if shares or any(child.in_open_run for child in children.values()):
        _clear_up(fleet, ports, note, _ending(run, children, works, outcomes), shares)
    _note(ports, run, "apply-ended", durable=True, failed=sum(o.code is OutcomeCode.FAILED for o in outcomes))
    return outcomes


@dataclass(slots=True)
class _Hindrances:
    """What has failed in this run and stands in the way of others."""

    full: LimitExceeded | None = None  # the project: no further server is asked for
    holders: dict[str, str] = field(default_factory=dict)  # by a bot's number, the child that could not be stopped

    def check(self, work: Work, child: Child) -> None:
        """Raises LimitExceeded or Refused for what cannot go well any more."""
        if self.full is not None and work.server is None:
            raise LimitExceeded(f"not tried, the project is full: {self.full.summary}", self.full.advice)
        holder = self.holders.get(child.bot) if child.bot else None
        if holder is not None and holder != child.name:
            summary = f"not tried, its bot is still that of {holder}, which could not be stopped"
            raise Refused(summary, f"mend what keeps {holder} from stopping, then apply again")

    def note(self, failure: FleetError, action: Action, child: Child) -> None:
        if isinstance(failure, LimitExceeded):
            self.full = self.full or failure
        if action.kind is Kind.STOP:
            bots = (child.bot, child.facts and child.facts.bot, child.server and child.server.bot)
            self.holders |= {bot: child.name for bot in bots if bot}


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
    return Ending(
        run,
        finished=frozenset(seen | {number for number, is_first in there.items() if not is_first}),
        left=frozenset(number for number, is_first in there.items() if is_first),
        made_all=all(outcome.code is OutcomeCode.DONE for _, outcome in made),
    )


def _work(action: Action, fleet: Fleet, child: Child, ports: Ports, run: str, key_id: int | None) -> Work:
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
        is_first=child.is_unfinished,
    )


def _run(action: Action, work: Work, child: Child, hindrances: _Hindrances) -> Outcome:
    planned = steps_of(action, child)
    started, current = work.ports.clock.monotonic(), planned[0].name
    steps: list[tuple[str, float]] = []
    work.note("action-started", kind=action.kind, reason=action.reason.code)
    try:
        hindrances.check(work, child)
        for step in planned:
            current = step.name
            _run_step(step, work, steps)
    except Exception as error:
        failure = error if isinstance(error, FleetError) else _unforeseen(error)
        hindrances.note(failure, action, child)
        summary = masked(failure.summary, work.secrets)
        work.note("action-failed", kind=action.kind, step=current, error=summary)
        seconds = work.ports.clock.monotonic() - started
        return Outcome(action, OutcomeCode.FAILED, seconds, f"{current}: {summary}", failure.advice, tuple(steps))
    finally:
        work.hang_up()
    work.note("action-done", kind=action.kind, server=work.server.id if work.server else None)
    return Outcome(action, OutcomeCode.DONE, work.ports.clock.monotonic() - started, steps=tuple(steps))


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
