"""From what passes see to what an operator is told: once per outage, with its cause. Pure.

A state per child and key counts failures and successes, fires, is told of, is resolved. What nobody can tell counts
for neither; what lies above an outage is not judged at all. Many children with one cause are one notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from reconciler.model import (
    ANSWERS,
    AlertRules,
    AlertState,
    Book,
    Cause,
    Notice,
    Quiet,
    Sighting,
    Trouble,
    Word,
)

Key = tuple[str, str]
RulesOf = Callable[[str], AlertRules]
# Who fires so much later than a group for the same cause belongs to it: hosts are not looked at in one instant.
STRAGGLERS: Final = timedelta(minutes=15)


def advance(
    book: Book,
    sightings: Sequence[Sighting],
    everyone: Collection[str],
    rules_of: RulesOf,
    quiets: Sequence[Quiet],
    now: datetime,
    *,
    tells: bool = True,
    is_late: bool = False,
) -> tuple[Book, tuple[Notice, ...]]:
    """What is remembered after this pass, and what is to be said.

    `everyone` are the children that there are, seen in this pass or not: an alert of anybody else is over. The empty
    name stands for what all children need. A pass that tells nobody counts all the same, and leaves what there is to be
    said to the next that does. `is_late`: these sightings have counted, and this is what became of what they held back.
    """
    states = dict(book.states)
    for sighting in sightings:
        rules = rules_of(sighting.child)
        states.update(_let_go(states, sighting, rules) if is_late else _counted(states, sighting, rules, now))
    for key, state in states.items():
        if state.trouble.child and state.trouble.child not in everyone:
            states[key] = _resolved(state, now)
    states = _fired(states, rules_of, {(it.child, key) for it in sightings for key in it.at_once}, now)
    notices = list[Notice]()
    seen = {it.child for it in sightings if not it.excuse}
    again = {(it.child, key) for it in sightings for key in it.again}
    if tells:
        notices += _begun(states, quiets, rules_of(""), now)
        notices += _repeated(states, quiets, rules_of, now, seen, again)
        notices += _ended(states, quiets, rules_of, now)
    return Book({key: state for key, state in states.items() if _is_kept(state, rules_of, now)}), tuple(notices)


# --- counting -------------------------------------------------------------------------------------------------------


def _counted(
    states: dict[Key, AlertState], sighting: Sighting, rules: AlertRules, now: datetime
) -> Iterator[tuple[Key, AlertState]]:
    troubles = {it.key: it for it in reversed(sighting.troubles)}  # of several the first
    muted = {key for key, it in troubles.items() if key in sighting.muted or it.level not in rules.levels}
    is_out = ANSWERS in troubles and ANSWERS not in muted
    known = {key for child, key in states if child == sighting.child}
    for key in sorted(known | set(troubles)):
        if sighting.excuse or key in sighting.unknown or (is_out and key != ANSWERS):
            continue
        before, is_muted = states.get((sighting.child, key)), key in muted
        if key in troubles:  # also where nobody wants to hear of it any more: it is not over by that
            failed = _failed(before, troubles[key], sighting, now)
            yield (sighting.child, key), replace(failed, is_muted=is_muted or key in sighting.held)
        elif before is not None:
            yield (sighting.child, key), _well(before, rules, now)


def _let_go(states: dict[Key, AlertState], sighting: Sighting, rules: AlertRules) -> Iterator[tuple[Key, AlertState]]:
    """What was held back and is still wrong may be told of, with what is known of it by now. It has counted already."""
    for trouble in sighting.troubles:
        key = (sighting.child, trouble.key)
        before, is_muted = states.get(key), trouble.key in sighting.muted or trouble.level not in rules.levels
        is_judged = trouble.key in sighting.held and trouble.key not in sighting.unknown and not sighting.excuse
        if before is not None and is_judged:
            yield key, replace(before, trouble=trouble, is_muted=is_muted)


def _failed(before: AlertState | None, trouble: Trouble, sighting: Sighting, now: datetime) -> AlertState:
    if before is None:
        return AlertState(trouble, sighting.region, sighting.groups, now, failures=1)
    goes_on = before.fired is not None or before.failures > 0
    return replace(
        before,
        trouble=trouble,
        region=sighting.region,
        groups=sighting.groups,
        since=before.since if goes_on else now,
        failures=before.failures + 1,
        successes=0,
        over=None,
    )


def _well(before: AlertState, rules: AlertRules, now: datetime) -> AlertState:
    if before.fired is None:
        return replace(before, failures=0, over=before.over or now)
    counted = replace(before, successes=before.successes + 1)
    return _resolved(counted, now) if counted.successes >= rules.clear_after else counted


def _resolved(state: AlertState, now: datetime) -> AlertState:
    return replace(state, failures=0, fired=None, over=state.over or now)


# --- firing ---------------------------------------------------------------------------------------------------------


def _fired(
    states: dict[Key, AlertState], rules_of: RulesOf, at_once: Collection[Key], now: datetime
) -> dict[Key, AlertState]:
    """Who has failed often enough fires; and of a group that does, who is one short: they are looked at in turn."""
    lacks = {key: _lacks(it, 1 if key in at_once else rules_of(key[0]).fire_after) for key, it in states.items()}
    due = [key for key, count in lacks.items() if count <= 0]
    nearly = [key for key, count in lacks.items() if count == 1 and states[key].failures > 0 and key[0]]
    by_cause = defaultdict[Cause, list[Key]](list)
    for key in due:
        by_cause[states[key].trouble.cause].append(key)
    for cause, keys in by_cause.items():
        others = [key for key in nearly if states[key].trouble.cause is cause]
        if len(keys) + len(others) >= rules_of("").group_from:
            due += others
    return {**states, **{key: _firing(states[key], rules_of(key[0]), now) for key in due}}


def _lacks(state: AlertState, fire_after: int) -> int:
    """How many failures are missing until it fires; of what has fired already more than there can be."""
    if state.fired is not None or state.failures == 0 or state.is_muted:
        return 1_000_000
    return fire_after - state.failures


def _firing(state: AlertState, rules: AlertRules, now: datetime) -> AlertState:
    starts = (*(start for start in state.starts if now - start < rules.flap_within), now)
    return replace(state, fired=now, starts=starts, is_flapping=state.is_flapping or len(starts) >= rules.flaps)


# --- telling --------------------------------------------------------------------------------------------------------


def _begun(
    states: dict[Key, AlertState], quiets: Sequence[Quiet], fleet: AlertRules, now: datetime
) -> Iterator[Notice]:
    """Of whom nobody has heard yet: one by one, or together where one cause has many. It keeps `states` up to date."""
    unheard = [key for key, it in states.items() if it.fired and it.told is None and not it.is_muted]
    news = [key for key in unheard if not _is_quiet(states[key], quiets, now)]
    by_cause = defaultdict[Cause, list[Key]](list)
    for key in sorted(news):
        by_cause[states[key].trouble.cause].append(key)
    for cause, keys in sorted(by_cause.items()):
        for key in keys:
            if running := _running_group(states, states[key], now):
                states[key] = replace(states[key], told=running.told, together=running.together)
        keys = [key for key in keys if states[key].told is None]
        is_group = len([key for key in keys if key[0]]) >= fleet.group_from
        name = f"{cause} {now.isoformat()}" if is_group else ""
        for key in keys:
            states[key] = replace(states[key], told=now, together=name)
        for told in [keys] if is_group else [[key] for key in keys]:  # none, where all belong to one of before
            yield Notice(_word(states, told), tuple(states[key] for key in told))


def _word(states: dict[Key, AlertState], keys: Sequence[Key]) -> Word:
    return Word.FLAPPING if all(states[key].is_flapping for key in keys) else Word.FIRING


def _running_group(states: dict[Key, AlertState], late: AlertState, now: datetime) -> AlertState | None:
    """One of a group that was told of a moment ago, for this cause; from where this one is, to whom hears of this."""
    for it in states.values():
        named, _, at = it.together.partition(" ")
        is_like = named == late.trouble.cause and (it.region, it.groups) == (late.region, late.groups)
        if is_like and it.is_telling and now - datetime.fromisoformat(at) <= STRAGGLERS:
            return it
    return None


def _repeated(
    states: dict[Key, AlertState],
    quiets: Sequence[Quiet],
    rules_of: RulesOf,
    now: datetime,
    seen: Collection[str],
    again: Collection[Key],
) -> Iterator[Notice]:
    """What lasts, now and then; and at once what there is more to say `again` of, unless that was told just now.

    Of who was not `seen`, or is excused, nobody knows.
    """
    by_group = defaultdict[str, list[Key]](list)
    for key, it in sorted(states.items()):
        is_telling = it.fired is not None and it.told is not None and it.told < now and not it.is_muted
        is_due = it.told is not None and (key in again or now - it.told >= rules_of(key[0]).repeat)
        if is_telling and is_due and key[0] in seen and not _is_quiet(it, quiets, now):
            by_group[it.together or "\0".join(key)].append(key)
    for keys in by_group.values():
        for key in keys:
            states[key] = replace(states[key], told=now)
        yield Notice(Word.REPEATED, tuple(states[key] for key in keys))


def _ended(
    states: dict[Key, AlertState], quiets: Sequence[Quiet], rules_of: RulesOf, now: datetime
) -> Iterator[Notice]:
    """What was told of and is over: of a group when all of it is, of what came and went when it has not for a while.

    What a person wants to hear nothing of now waits until then.
    """
    ended = {
        key: it
        for key, it in states.items()
        if it.fired is None and it.told is not None and it.over is not None and not _is_quiet(it, quiets, now)
    }
    by_group = defaultdict[str, list[Key]](list)
    for key, it in sorted(ended.items()):
        if it.is_flapping and now - (it.over or now) < rules_of(key[0]).flap_within:
            continue
        by_group[it.together or "\0".join(key)].append(key)
    for group, keys in by_group.items():
        if any(it.together == group and it.fired is not None and not it.is_muted for it in states.values()):
            continue
        for key in keys:
            states[key] = replace(states[key], told=None, together="", is_flapping=False)
        yield Notice(Word.RESOLVED, tuple(ended[key] for key in keys))


def _is_quiet(state: AlertState, quiets: Iterable[Quiet], now: datetime) -> bool:
    return any(
        now < it.until and fnmatchcase(state.trouble.child, it.child) and it.cause in ("", state.trouble.cause)
        for it in quiets
    )


def _is_kept(state: AlertState, rules_of: RulesOf, now: datetime) -> bool:
    """What is over and told is kept only for how often it has fired lately."""
    if state.fired is not None or state.failures > 0 or state.told is not None:
        return True
    within = rules_of(state.trouble.child).flap_within
    return any(now - start < within for start in state.starts)
