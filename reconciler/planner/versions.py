"""What a person should know about a child's version: why it stays, and what going to another one means. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.actions.conditions import shall_run
from reconciler.errors import Refused
from reconciler.model import (
    LATEST,
    Action,
    Checkpoint,
    Child,
    ChildSpec,
    Diagnostic,
    Hold,
    HostFacts,
    Kind,
    Rollback,
    Severity,
    Situation,
    Switch,
)
from reconciler.planner.stock import few
from reconciler.steps.versions import has_no_way_down, is_held, linked, pinned, present, way_down

QUARANTINE: Final = "quarantine"  # the address of what a quarantined version keeps back begins with it


def stays_at_version(child: Child, situation: Situation) -> Diagnostic | None:
    """The file wants a version that this child is not brought to."""
    spec, facts = child.spec, child.facts
    if spec is None or facts is None or not shall_run(child, situation):
        return None
    if is_held(spec, facts) and facts.held == situation.quarantined.get(spec.version):
        return replace(_diagnostic(child, child.name, ""), address=f"{QUARANTINE}.{spec.version}")
    if is_held(spec, facts):
        assert facts.held is not None
        return _diagnostic(
            child,
            f"{child.name} stays at {present(facts)}: {spec.version} is held back{_since(facts.held.at)}",
            f"{facts.held.reason}\n"
            f"to try it again: fleet apply --retry {child.name}; or name another version in the fleet file",
        )
    if has_no_way_down(spec, facts):
        return _diagnostic(
            child,
            f"{child.name} stays at {linked(facts)}: there is no way down to {spec.version}",
            f"no checkpoint of {spec.version} is on it, and an older release does not start on a newer one's state\n"
            f"{_there_are(facts)}; a backup of that version is put back by: fleet restore {child.name} --from ID",
        )
    return None


def is_quarantined(child: Child, situation: Situation) -> Diagnostic | None:
    """A server that is to be made has no other version to stay at; who wakes ran on that of its memory before."""
    held = situation.quarantined.get(child.spec.version) if child.spec else None
    if held is None or not shall_run(child, situation) or wakes(child) or child.name in situation.options.retry:
        return None
    if child.server is not None and child.name not in situation.options.without_copy:
        return None  # its new server gets its memory, and the version of that
    return _diagnostic(
        child,
        f"{child.name} is not made: OpenClaw {held.version} is quarantined{_since(held.at)}",
        f"{held.reason}\nname another version, or end it: fleet quarantine clear {held.version}",
        Severity.ERROR,
    )


def wakes(child: Child) -> bool:
    """Of one that shall run: it has no server yet, and gets its memory back with the version of then (memories.py)."""
    return child.asleep is not None and child.server is None


def about_waking(child: Child, situation: Situation) -> Iterator[str]:
    """A version that is quarantined does not keep a memory from whoever ran on it before."""
    held = situation.quarantined.get(child.spec.version) if child.spec else None
    if held is not None and wakes(child):
        yield f"it wakes on OpenClaw {held.version}, as it went to sleep, although that is quarantined{_since(held.at)}"


def gathered(diagnostics: Iterable[Diagnostic], quarantined: Mapping[str, Hold]) -> list[Diagnostic]:
    """The same, with one for each quarantined version in the place of those of all the children that it keeps back."""
    found = list(diagnostics)
    kept = [diagnostic for diagnostic in found if not diagnostic.address.startswith(f"{QUARANTINE}.")]
    waiting = {
        version: [it.summary for it in found if it.address == f"{QUARANTINE}.{version}"] for version in quarantined
    }
    return [*kept, *(_quarantine(hold, waiting[version]) for version, hold in quarantined.items())]


def _quarantine(hold: Hold, waiting: list[str]) -> Diagnostic:
    stays = f": {few(waiting)} {'stays' if len(waiting) == 1 else 'stay'} as before" if waiting else ""
    return Diagnostic(
        Severity.WARNING if waiting else Severity.NOTE,
        f"OpenClaw {hold.version} is quarantined{_since(hold.at)}{stays}",
        f"{hold.reason}\nonce you know why: fleet quarantine clear {hold.version}",
        f"{QUARANTINE}.{hold.version}",
    )


def about_switch(action: Action, child: Child, situation: Situation) -> Iterator[str]:
    """What going over to another version means for its user."""
    spec, facts = child.spec, child.facts
    if facts is not None and facts.switch is not None:
        yield _about_open_switch(facts, facts.switch, situation)
    is_other = any(change.path == "release.version" for change in action.reason.changes)
    if facts is not None and spec is not None and facts.switch is not None and action.kind is Kind.UPDATE:
        is_other = pinned(spec, facts).version != facts.switch.origin  # where it is now, it was not left to be
    if spec is None or facts is None or not (is_other or action.rollback):
        return
    target, now = pinned(spec, facts).version, facts.switch.origin if facts.switch else linked(facts)
    if now is None or facts.applied is None:
        return
    older = older_state(action, child)
    if older is not None:
        at, age = older.at[:16].replace("T", " "), _age(older.at, situation.now)
        if action.rollback and action.rollback.backup_of:
            yield f"it gets what {action.rollback.backup_of} remembered at {at} UTC, {age} ago"
            yield "what it remembers now stays on its host, as a checkpoint"
            given_up, then = action.rollback.instead_of, action.rollback.checkpoint.version
            if given_up not in (LATEST, then):
                yield f"it stays at {then} until the fleet file says so: {given_up} is held back from then on"
        else:
            yield f"it goes back to the checkpoint of {at} UTC, and does not know any more what came since ({age})"
    if action.without_copy and not action.rollback:
        yield "no backup of it is made first (--no-backup)"
    yield f"silent for about half a minute, twice; back to {now} with its memory if {target} fails its proof"


def _about_open_switch(facts: HostFacts, switch: Switch, situation: Situation) -> str:
    """Nobody knows whether it was any good, and its host does the same by itself."""
    cut_off = f"a change from {switch.origin} to {switch.target} was cut off, and is undone first"
    copied = _undone_for(facts, switch)
    if copied is None:
        return cut_off
    at = copied.at[:16].replace("T", " ")
    return f"{cut_off}: what it was told since {at} UTC ({_age(copied.at, situation.now)}) is set aside"


def about_version(action: Action, child: Child, situation: Situation) -> Iterator[str]:
    """What makes or starts a server leaves a gateway that has run at its version: another one is a step of its own."""
    is_moved = action.kind is Kind.REPLACE and not action.without_copy
    if (is_moved or action.kind is Kind.RESIZE) and child.spec and child.facts:
        target, now = pinned(child.spec, child.facts).version, present(child.facts)
        if now is not None and now != target:
            goes_on = "moves" if is_moved else "goes on"
            yield f"it {goes_on} with OpenClaw {now}; {_afterwards(child, target, situation, is_lifted=is_moved)}"
    if action.kind is Kind.CREATE and child.spec and child.spec.version == LATEST and situation.quarantined:
        kept_from = ", ".join(situation.quarantined)
        yield f"its host says which release is the newest: if that is quarantined, its apply fails ({kept_from})"
    noted = child.record.version if child.record else None
    is_blind = action.kind in (Kind.START, Kind.RESIZE) and child.facts is None
    if child.spec and is_blind and noted not in (None, child.spec.version) and child.spec.version != LATEST:
        yield f"it starts with OpenClaw {noted}; {_afterwards(child, child.spec.version, situation)}"


def _afterwards(child: Child, target: str, situation: Situation, *, is_lifted: bool = False) -> str:
    """What a person asks for now is not asked for by the next apply; but `is_lifted`, another server holds no more."""
    noted = {hold.version for hold in child.facts.noted if not hold.is_tried_again} if child.facts else set[str]()
    lifted = is_lifted and child.name in situation.options.retry
    if target in situation.quarantined or (target in noted and not lifted):
        return f"{target} is held back, so it stays there: to try that, fleet apply --retry {child.name} after this one"
    if child.facts is None:
        return f"the apply after this one brings it to {target}, if nothing on its host keeps it from that"
    return f"the apply after this one brings it to {target}"


def older_state(action: Action, child: Child) -> Checkpoint | None:
    """The state of then that this action leads back to, on its own host or, by a restore, soon on it."""
    if action.rollback:
        return action.rollback.checkpoint
    is_other = any(change.path == "release.version" for change in action.reason.changes)
    if child.spec is None or child.facts is None or not is_other:
        return None
    return way_down(pinned(child.spec, child.facts).version, child.facts)


def left_for(action: Action, child: Child) -> Checkpoint | None:
    """What the present state is left for: that, or what a change that was cut off is undone for."""
    facts = child.facts
    if facts is None or facts.switch is None:
        return older_state(action, child)
    return _undone_for(facts, facts.switch)


def _undone_for(facts: HostFacts, switch: Switch) -> Checkpoint | None:
    copied = (checkpoint for checkpoint in facts.checkpoints if checkpoint.id == switch.checkpoint)
    return next(copied, None) if switch.is_made else None


def rollback_of(child: Child, to: str | None) -> Rollback:
    """Where a person's wish leads: to the checkpoint with the id `to`, or the newest of another version.

    Where there is none of another version, to the newest; to what was left for another state only by its id. Raises
    Refused.
    """
    spec, facts = child.spec, child.facts
    if spec is None or child.server is None:
        raise Refused(f"{child.name} has no server that the fleet file declares", "there is nothing to roll back")
    if facts is None:
        why = f"nobody knows the checkpoints of {child.name}: {child.why_unknown}"
        raise Refused(why, f"fleet diagnose {child.name}")
    known = {checkpoint.id: checkpoint for checkpoint in facts.checkpoints}
    if to is None and (back := last_way_back(facts)) is not None:
        return Rollback(back, spec.version)
    if to is None or to not in known:
        there = f"it has: {', '.join(known)}" if known else "one is made at each change of version"
        if to is None and known:  # of what was left, or came from another child
            raise Refused(f"{child.name} has no checkpoint to go back to unless you name it", f"{there}: --to ID")
        raise Refused(f"{child.name} has {f'no checkpoint {to}' if to else 'no checkpoint'}", there)
    return Rollback(known[to], spec.version, known[to].of)


def last_way_back(facts: HostFacts, without: Collection[str] = ()) -> Checkpoint | None:
    """The newest of another version than it is at, else the newest; of what a person has left, or another's, none."""
    ways = [found for found in facts.checkpoints if found.is_way_back and found.id not in without]
    others = [found for found in ways if found.version != present(facts)]
    found = others or ways
    return found[-1] if found else None


def _there_are(facts: HostFacts) -> str:
    known = sorted({checkpoint.version for checkpoint in facts.checkpoints})
    return f"checkpoints are there of: {', '.join(known)}" if known else "there are no checkpoints on it"


def _since(at: str) -> str:
    return f" since {at[:16].replace('T', ' ')} UTC" if at else ""


def _age(at: str, now: datetime) -> str:
    try:
        passed = max(now - datetime.fromisoformat(at), timedelta())
    except ValueError:
        return "nobody knows how much"
    minutes = int(passed.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"


def _diagnostic(child: Child, summary: str, detail: str, severity: Severity = Severity.WARNING) -> Diagnostic:
    spec: ChildSpec | None = child.spec
    file, line = (spec.file, spec.line) if spec else ("", 0)
    return Diagnostic(severity, summary, detail, child.name, file, line)
