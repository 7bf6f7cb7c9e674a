"""Brings children back, rung by rung: look, choose, act, look again. The lowest comes first, each proven by a look.

Where several hosts are silent it may be our own network, or their region: then one server is booted before the next,
and no other one where that did not help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.actions import resuscitate, start
from reconciler.actions.conditions import is_off
from reconciler.diagnosis.ladder import BOOTING, RUNGS_OF, SILENT, ladder
from reconciler.errors import FleetError, Refused
from reconciler.model import (
    ASKING,
    Action,
    Cause,
    Child,
    Diagnosis,
    Kind,
    Ladder,
    Outcome,
    OutcomeCode,
    Reason,
    ReasonCode,
    Rescue,
    Rung,
    Secret,
    Try,
)
from reconciler.planning import Planned
from reconciler.steps.rungs import spent, tries_of
from reconciler.ways_back import Hands, Looked, against, plan_of

NOT_AGREED: Final = "nobody has agreed to it"
WITNESSES: Final = 3  # others that are looked at
WITHOUT_SERVER: Final = frozenset({Cause.CLOUD_SILENT, Cause.NO_SERVER, Cause.SERVER_OFF, Cause.NEVER_FINISHED})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants. `agrees` is asked before a rung of ASKING, with what it means; `told` hears of each try."""

    up_to: Rung
    agrees: Callable[[str, Rung, tuple[str, ...]], bool]
    told: Callable[[Try, Diagnosis], None]
    forgets: bool = False  # what was tried in the last day does not count
    is_sure: bool = False  # that it is not the way to the hosts that is broken
    parallel: int = 4
    budget: int | None = None  # so many tries within a day, of all rungs together
    identity: Secret | None = None  # opens backups that are sealed


@dataclass(slots=True)
class _Patient:
    """A child on its way."""

    first: Diagnosis
    now: Diagnosis
    tries: list[Try] = field(default_factory=list)
    rest: str = ""

    @property
    def tried(self) -> set[Rung]:
        return {it.rung for it in self.tries}


def ladders(hands: Hands, looked: Looked, up_to: Rung, *, forgets: bool = False) -> list[Ladder]:
    """Of each child, what is wrong and what would be tried for it."""
    return [ladder(it, up_to, (), _spent(hands, looked[0], it.child, forgets=forgets)) for it in looked[1]]


def climb(hands: Hands, looked: Looked, wish: Wish) -> list[Rescue]:
    """Until each child is well or nothing is left to try; `looked` is the look to begin with. Raises CloudError."""
    patients = {it.child: _Patient(it, it) for it in looked[1]}
    for _ in range(len(Rung) * (len(patients) + 1)):  # each child tries each rung once; some wait for others
        due = _without_held(hands, patients, _due(hands, looked[0], patients, wish), wish)
        if not due:
            break
        tries = _try_all(hands, looked, due, wish)
        looked = hands.look_closely(sorted(due))
        for found in looked[1]:
            patients[found.child].now = found
        for it in tries:
            patients[it.child].tries.append(it)
            wish.told(it, patients[it.child].now)
    return [Rescue(name, it.first, tuple(it.tries), it.now, it.rest) for name, it in sorted(patients.items())]


def _due(hands: Hands, planned: Planned | None, patients: Mapping[str, _Patient], wish: Wish) -> dict[str, Rung]:
    """The next rung of each child that has one; of the others it is noted why not."""
    due = dict[str, Rung]()
    for name, patient in patients.items():
        if patient.now.cause is None or patient.rest:
            continue
        if wish.budget is not None and tries_today(hands, planned, name) >= wish.budget:
            patient.rest = f"{wish.budget} tries within a day are what it may have; to go on: fleet resuscitate {name}"
            continue
        over = _spent(hands, planned, name, forgets=wish.forgets)
        left = ladder(patient.now, wish.up_to, patient.tried, over)
        if left.rungs:
            due[name] = left.rungs[0]
        else:
            patient.rest = _why_no_more(patient, left, wish)
    return due


def _why_no_more(patient: _Patient, left: Ladder, wish: Wish) -> str:
    cause, name = patient.now.cause, patient.now.child
    assert cause is not None
    if cause is Cause.CLOUD_SILENT:
        return f"the cloud does not answer any more; then go on: fleet resuscitate {name}"
    if cause is Cause.UPDATE_UNFINISHED:
        return f"its host goes back by itself within minutes; to end it at once: fleet apply {name}"
    if left.spent:
        several = ", ".join(left.spent)
        return f"tried too often within a day: {several}; to try once more: fleet resuscitate {name} --again"
    if not RUNGS_OF.get(cause, ()):
        return "only a person can mend that"
    asked = [it.rung for it in patient.tries if it.problem == NOT_AGREED]
    if asked:
        several = ", ".join(asked)
        return f"nobody has agreed to: {several}; to do it: fleet resuscitate {name} --up-to {asked[-1]} --yes"
    allowed = ladder(patient.now, wish.up_to).rungs
    higher = [it for it in RUNGS_OF[cause] if it not in patient.tried and it not in allowed]
    if higher:
        return f"nothing is left up to {wish.up_to}; there is still: {', '.join(higher)}"
    return "nothing is left to try"


def _try_all(hands: Hands, looked: Looked, due: Mapping[str, Rung], wish: Wish) -> list[Try]:
    planned, found = looked
    assert planned is not None, "of a cloud that is silent nothing is due"
    why = {it.child: it for it in found}
    asked = {name: rung for name, rung in due.items() if rung in ASKING}
    serial = sorted(name for name, rung in due.items() if rung in BOOTING and why[name].cause in SILENT)
    waiting = set(serial[1:])  # until the first of them is back, or given up
    at_once = {name: rung for name, rung in due.items() if name not in asked and name not in waiting}
    tries = _run(hands, _planned(planned, at_once, why, wish), why, wish.parallel)
    for name, rung in sorted(asked.items()):
        if name not in waiting:
            tries.append(_ask(hands, planned.children[name], rung, why[name], wish))
    return tries


def _planned(planned: Planned, due: Mapping[str, Rung], why: Mapping[str, Diagnosis], wish: Wish) -> Planned:
    """The plan in which each child has its rung, and nothing else."""
    before = {action.child: action for action in planned.plan.actions}
    actions = tuple(
        _action(planned.children[name], rung, why[name], before.get(name), wish) for name, rung in sorted(due.items())
    )
    return replace(planned, plan=replace(planned.plan, actions=actions, diagnostics=(), shared=()))


def _action(child: Child, rung: Rung, why: Diagnosis, planned: Action | None, wish: Wish) -> Action:
    starts = rung is Rung.RESTART and is_off(child)
    return Action(
        Kind.START if starts else Kind.RESUSCITATE,
        child.name,
        Reason(ReasonCode.ASKED, f"{why.cause}, so {rung} is tried"),
        start.WAVE if starts else resuscitate.WAVE,
        monthly="0",
        left_alone=planned.left_alone if planned is not None else (),
        rung=rung,
    )


def _run(hands: Hands, planned: Planned, why: Mapping[str, Diagnosis], parallel: int) -> list[Try]:
    if not planned.plan.actions:
        return []
    return [_outcome(it, why[it.action.child]) for it in hands.apply(planned, parallel)]


def _outcome(ended: Outcome, why: Diagnosis) -> Try:
    action = ended.action
    assert action.rung is not None
    assert why.cause is not None
    problem = "" if ended.code is OutcomeCode.DONE else ended.error
    return Try(action.child, action.rung, why.cause, ended.seconds, problem, ended.advice)


def _ask(hands: Hands, child: Child, rung: Rung, why: Diagnosis, wish: Wish) -> Try:
    """What may lose something is planned as if a person had asked for it by its own command, and then asked for."""
    assert why.cause is not None
    try:
        planned = plan_of(hands, child, rung, wish.identity)
        actions = planned.plan.actions
        if stands := against(planned, child.name):
            raise Refused(stands.summary, stands.detail)
        if not actions:
            raise Refused("there is no plan for it", f"fleet plan {child.name} may say why")
        if not wish.agrees(child.name, rung, actions[0].notes):
            return Try(child.name, rung, why.cause, problem=NOT_AGREED)
        counted = tuple(replace(it, rung=rung) for it in actions)
        tries = _run(hands, replace(planned, plan=replace(planned.plan, actions=counted)), {child.name: why}, 1)
    except FleetError as error:
        return Try(child.name, rung, why.cause, problem=error.summary, advice=error.advice)
    return tries[0]


def _without_held(hands: Hands, patients: Mapping[str, _Patient], due: dict[str, Rung], wish: Wish) -> dict[str, Rung]:
    """A silent host is booted where somebody else answers, and no other one where that did not bring it back.

    Else it may be our own network that is broken, and the gateways are well.
    """
    silent = {name: it for name, it in patients.items() if it.now.cause in SILENT}
    boots = [name for name, rung in due.items() if rung in BOOTING and name in silent]
    if not boots:
        return due
    failed = next((name for name, it in silent.items() if it.rest and it.tried & BOOTING), None)
    why = f"nothing has brought {failed} back, and several are silent at once" if failed else ""
    if not failed and not wish.is_sure and not any(silent[name].tried & BOOTING for name in boots):
        why = _why_alone(hands, patients, silent)
    for name in boots if why else ():
        silent[name].rest = (
            f"not tried: {why}; it may be the way to them that is broken. "
            f"When you know that it is not: fleet resuscitate {name} --up-to {Rung.RESET}"
        )
    return {name: rung for name, rung in due.items() if not (why and name in boots)}


def _why_alone(hands: Hands, patients: Mapping[str, _Patient], silent: Mapping[str, _Patient]) -> str:
    """Empty where another child of this fleet answers, or there is none that could."""
    if len(silent) < len(patients):
        return ""
    others = [name for name in sorted(hands.fleet.children) if name not in patients][:WITNESSES]
    found = hands.look_closely(others)[1] if others else []
    asked = [it for it in found if it.cause not in WITHOUT_SERVER]
    if not asked or any(it.cause not in SILENT for it in asked):
        return ""
    return f"{', '.join(it.child for it in asked)} {'does' if len(asked) == 1 else 'do'} not answer either"


def tries_today(hands: Hands, planned: Planned | None, name: str) -> int:
    """How often anything was tried for it within a day, by whomever."""
    child = planned.children.get(name) if planned is not None else None
    server = child.server if child is not None else None
    return 0 if server is None else sum(tries_of(server, hands.clock.now()).values())


def _spent(hands: Hands, planned: Planned | None, name: str, *, forgets: bool) -> frozenset[Rung]:
    child = planned.children.get(name) if planned is not None else None
    return frozenset() if forgets or child is None else spent(child.server, hands.clock.now())
