"""What a watch does by itself where the file lets it: puts drift back, and brings back who gives no answer.

It acts for a child in the second pass that finds it so. It does nothing for who was stopped by hand, is
silenced or excused; nothing where the fleet itself is in trouble; and nothing where several have one cause at once,
which is rather their region, or a provider: to start all of them anew helps nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final, Protocol

from reconciler.diagnosis.ladder import ladder
from reconciler.errors import FleetError
from reconciler.model import (
    ANSWERS,
    Action,
    Book,
    Cause,
    ChildSpec,
    DriftPolicy,
    Fleet,
    Kind,
    Outcome,
    OutcomeCode,
    Pass,
    ReasonCode,
    Rescue,
    Row,
    SelfHelp,
    Trouble,
)
from reconciler.planning import Planned
from reconciler.resuscitating import Wish, climb
from reconciler.ways_back import Hands

AFTER: Final = 2  # passes that find it so, this one among them
PARALLEL: Final = 4
SEVERAL: Final = 3
_BY_HAND: Final = frozenset({Cause.STOPPED})


class Fixing(Hands, Protocol):
    """What is needed besides: the plan of the file."""

    def plan(self, names: Iterable[str]) -> Planned: ...


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done, a line each: who was brought back or was not, and whose drift was put back."""

    lines: tuple[str, ...] = ()
    rescues: Mapping[str, Rescue] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()

    def seen_in(self, found: Pass, *, again: bool = False) -> Pass:
        """What is mended by now counts there neither way; who is still ill says what was tried, and is told at once.

        `again`: also where that was told while it was being mended.
        """
        rows = (_after(row, self.rescues.get(row.child), self.fixed, again) for row in found.rows)
        return replace(found, rows=tuple(rows))


def due(found: Pass, book: Book, fleet: Fleet) -> dict[str, SelfHelp]:
    """For whom a watch may do something now, and how much. Pure."""
    if found.is_blind:
        return {}
    causes = Counter(row.troubles[0].cause for row in found.rows if row.answers is False)
    some = dict[str, SelfHelp]()
    for row in found.rows:
        spec = fleet.children.get(row.child)
        may = spec.monitoring.resuscitate if spec is not None else None
        if may is None or row.answers is not False or row.sighting.excuse or _is_quiet(row, found):
            continue
        cause, before = row.troubles[0].cause, book.states.get((row.child, ANSWERS))
        is_lasting = before is not None and before.failures + 1 >= AFTER
        has_rungs = bool(ladder(row.diagnosis, may.up_to).rungs)
        if is_lasting and has_rungs and cause not in _BY_HAND and causes[cause] < SEVERAL:
            some[row.child] = may
    return some


def to_fix(found: Pass, book: Book, fleet: Fleet) -> list[str]:
    """Whose drift a watch may put back now: all of it, for an apply leaves none. Pure."""
    if found.is_blind:
        return []
    some = []
    for row in found.rows:
        spec, before = fleet.children.get(row.child), book.states.get((row.child, Cause.DRIFTED))
        if spec is None or row.sighting.excuse or _is_quiet(row, found):
            continue
        is_lasting = before is not None and before.failures + 1 >= AFTER
        if is_lasting and row.drift and all(spec.monitoring.policy_of(it) is DriftPolicy.FIX for it in row.drift):
            some.append(row.child)
    return some


def to_adopt(found: Pass, book: Book, fleet: Fleet) -> list[str]:
    """Whose configuration has drift that goes into the fleet file. Pure."""
    some = []
    for row in () if found.is_blind else found.rows:
        spec, before = fleet.children.get(row.child), book.states.get((row.child, Cause.DRIFTED))
        is_lasting = before is not None and before.failures + 1 >= AFTER
        if spec is not None and is_lasting and not row.sighting.excuse and not _is_quiet(row, found):
            some += [row.child] if any(_goes_into_the_file(spec, path) for path in row.drift) else []
    return some


def spared(found: Pass, names: Collection[str]) -> Pass:
    """Of who is just being mended a pass counts neither way that there is something to mend. Pure."""
    both = (ANSWERS, Cause.DRIFTED)
    rows = (_uncounted(row, *both) if row.child in names else row for row in found.rows)
    return replace(found, rows=tuple(rows))


def held_back(found: Pass, names: Collection[str], book: Book, fleet: Fleet) -> Pass:
    """Of whom this pass is to mend it tells nobody before it has tried that; it counts, whatever ends the pass. Pure.

    So many passes that it would have told by then are enough: then it tells first.
    """
    rows = (_held(row, book, fleet) if row.child in names else row for row in found.rows)
    return replace(found, rows=tuple(rows))


def _held(row: Row, book: Book, fleet: Fleet) -> Row:
    spec = fleet.children.get(row.child)
    most = max(AFTER, spec.monitoring.fire_after if spec is not None else 0)
    before = {key: book.states.get((row.child, key)) for key in (ANSWERS, Cause.DRIFTED)}
    held = frozenset(key for key, it in before.items() if it is None or it.failures + 1 <= most)
    return replace(row, sighting=replace(row.sighting, held=held))


def fix(hands: Fixing, names: Sequence[str]) -> Tended:
    """The drift of these is put back. What an apply would do besides is a person's. The caller holds the lock.

    Who was mended three times in a day is left alone by the plan itself.
    """
    try:
        lines, mended = _fix(hands, names)
    except FleetError as error:
        return Tended((f"{', '.join(names)}: drift stays: {error.summary}",))
    return Tended(tuple(lines), fixed=frozenset(mended))


def _fix(hands: Fixing, names: Sequence[str]) -> tuple[list[str], set[str]]:
    """What came of it, a line each, and whose is put back."""
    planned = hands.plan(names)
    mending = tuple(it for it in planned.plan.actions if it.child in names and _mends_drift(it))
    lines = [
        f"{name}: drift stays: {_why_not(planned, name)}" for name in sorted({*names} - {it.child for it in mending})
    ]
    if not mending:
        return lines, set()
    ended = hands.apply(replace(planned, plan=replace(planned.plan, actions=mending, shared=())), PARALLEL)
    done = {it.action.child for it in ended if it.code is OutcomeCode.DONE}
    return [*lines, *map(_fixed, ended)], done


def tend(hands: Hands, ill: Mapping[str, SelfHelp], book: Book) -> Tended:
    """Those are brought back that may be. The caller holds the lock; what goes wrong is said, and raises nothing."""
    lines, ended = list[str](), dict[str, Rescue]()
    for may, names in _alike(ill).items():
        wish = Wish(may.up_to, lambda child, rung, notes: False, lambda tried, now: None, budget=may.budget)
        try:
            ended |= {it.child: it for it in climb(hands, hands.look_closely(names), wish)}
        except FleetError as error:
            lines.append(f"{', '.join(names)}: nothing could be tried: {error.summary}")
    heard = {child for (child, key), it in book.states.items() if key == ANSWERS and it.told is not None}
    lines += [_said(it) for name, it in sorted(ended.items()) if it.tries or it.is_well or name not in heard]
    return Tended(tuple(lines), ended)


def not_tried(error: FleetError, names: Iterable[str]) -> str:
    """Why nothing was done."""
    advice = f" ({' '.join(error.advice.split())})" if error.advice else ""
    return f"nothing more is tried for {', '.join(sorted(names))} this time: {error.summary}{advice}"


def _goes_into_the_file(spec: ChildSpec, path: str) -> bool:
    return path.startswith("config.") and spec.monitoring.policy_of(path) is DriftPolicy.ADOPT


def _mends_drift(action: Action) -> bool:
    return action.kind is Kind.UPDATE and action.reason.code is ReasonCode.DRIFTED


def _why_not(planned: Planned, name: str) -> str:
    action = next((it for it in planned.plan.actions if it.child == name), None)
    if action is not None:
        return f"an apply would do more than that ({action.reason.text}): fleet plan {name}"
    return next((it.summary for it in planned.plan.diagnostics if it.address == name), "there is none any more")


def _fixed(it: Outcome) -> str:
    paths = ", ".join(change.path for change in it.action.reason.changes)
    if it.code is OutcomeCode.DONE:
        return f"{it.action.child}: put back: {paths}"
    return f"{it.action.child}: drift could not be put back: {it.error}"


def _alike(some: Mapping[str, SelfHelp]) -> dict[SelfHelp, Sequence[str]]:
    groups = dict[SelfHelp, list[str]]()
    for name, may in sorted(some.items()):
        groups.setdefault(may, []).append(name)
    return dict(groups)


def _is_quiet(row: Row, found: Pass) -> bool:
    """Somebody who wants to hear nothing of it may be at work there."""
    return any(found.at < it.until and fnmatchcase(row.child, it.child) and not it.cause for it in found.quiets)


def _said(it: Rescue) -> str:
    tried = ", ".join(f"{one.rung}{' (failed)' if one.problem else ''}" for one in it.tries) or "nothing"
    if it.is_well:
        return f"{it.child}: {it.found.cause}: {'well again' if it.tries else 'well by itself'}; tried: {tried}"
    return f"{it.child}: {it.now.cause}: still without an answer; tried: {tried}; {it.rest}"


def _after(row: Row, ended: Rescue | None, fixed: Collection[str], is_again: bool) -> Row:
    if row.child in fixed:
        row = _uncounted(row, Cause.DRIFTED)
    if ended is None or ANSWERS not in {it.key for it in row.troubles}:
        return row
    if ended.is_well:
        return _uncounted(row, ANSWERS)
    tried = ", ".join(it.rung for it in ended.tries) or "nothing"
    more = f"; by itself: {tried}; {ended.rest}"

    def told(troubles: tuple[Trouble, ...]) -> tuple[Trouble, ...]:
        return tuple(replace(it, text=it.text + more) if it.key == ANSWERS else it for it in troubles)

    again = frozenset({ANSWERS} if ended.tries and is_again else ())
    at_once = frozenset({ANSWERS})  # it was tried to bring it back, and that is over
    sighting = replace(row.sighting, troubles=told(row.sighting.troubles), again=again, at_once=at_once)
    return replace(row, troubles=told(row.troubles), sighting=sighting)


def _uncounted(row: Row, *keys: str) -> Row:
    """This pass counts neither for nor against that."""
    return replace(row, sighting=replace(row.sighting, unknown=row.sighting.unknown | {*keys}))
