"""Which memory a gateway is given: by waking, by a restore; and who would be made without one, and has backups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler import memory_notices as notices
from reconciler.errors import FleetError, Refused
from reconciler.fleet import former_names
from reconciler.ids import moment_of
from reconciler.keeper import Keeper
from reconciler.manifests import Known
from reconciler.model import (
    LATEST,
    Backup,
    Checkpoint,
    Child,
    Diagnostic,
    Fleet,
    Kind,
    Plan,
    Purpose,
    Rollback,
    ServerStatus,
    Severity,
    Sleep,
)
from reconciler.steps.backups import Memory, checkpoint_of
from reconciler.steps.sleeping import is_too_long
from reconciler.steps.versions import is_higher


def without_outlived(
    children: Mapping[str, Child], fleet: Fleet, keeper: Keeper, told: Collection[str] = ()
) -> dict[str, Child]:
    """The same children; none sleeps by the note of a former name that has had another memory since.

    Which of both such a child shall have, no rule can tell: unless a person has `told`, it is not made. Nor is its note
    moved while nobody can see whether there is another.
    """
    heirs = [name for name, child in children.items() if _has_anothers_note(child)]
    newest, problems = keeper.newest(heirs) if heirs else ({}, {})
    found = dict(children)
    for name in heirs:
        child, last = children[name], newest.get(name)
        if name in problems:
            found[name] = replace(child, obstacle=notices.unknown(name, problems[name], is_known=True))
        elif last is not None and is_outlived(child, fleet, last):
            hindrance = notices.outlived(child, last) if last.is_ours else notices.unread(name, last)
            found[name] = replace(child, asleep=None, obstacle=None if name in told else hindrance)
    return found


def _has_anothers_note(child: Child) -> bool:
    """As long as its own server is there, that has all that it ever knew."""
    is_there = child.server is not None and not child.is_unfinished
    return child.asleep is not None and child.asleep.noted_as != child.name and not is_there


def is_outlived(child: Child, fleet: Fleet, newest: Known | None) -> bool:
    """Whether there is a later backup of what it is called since it was put to sleep under a former name. Pure."""
    sleep = child.asleep
    if sleep is None or newest is None or sleep.noted_as == "" or not _has_anothers_note(child):
        return False
    if newest.is_nothing:
        return False
    return newest.id > sleep.backup and newest.child not in (sleep.noted_as, *former_names(fleet, sleep.noted_as))


def is_later(newest: Known, sleep: Sleep) -> bool:
    """Whether it was copied since that copy, as far as anybody can tell. Pure."""
    return newest.id > sleep.backup > "" and not newest.is_nothing


def sleeps_with(newest: Known) -> bool:
    """Whether it went to sleep with its newest backup, and nobody has given that up; or nobody can tell. Pure."""
    return not newest.is_given_up and (newest.purpose is Purpose.SLEEP or not newest.is_ours)


def was_lost(child: Child, newest: Known, copied: Mapping[str, str]) -> bool:
    """Whether a child without a server has lost it: nobody has taken a last copy before it went. Pure.

    Or one was taken, and its server was there afterwards as far as this working directory knows. `copied`: by child,
    the last copy that is kept where those go whose place the file does not say any more. Not where a person has given
    that memory up; and a name that cannot be noted is made first, and given its memory then.
    """
    if not newest.is_ours or newest.is_given_up or newest.purpose is Purpose.SLEEP:
        return False
    is_by_us = newest.purpose is Purpose.LAST and not _was_there_after(child, newest.id)
    is_elsewhere = (last := copied.get(child.name, "")) > newest.id and not _was_there_after(child, last)
    is_nameable = not is_too_long(child.name) and not is_too_long(newest.child)
    return child.server is None and not is_by_us and not is_elsewhere and is_nameable


def _was_there_after(child: Child, copy: str) -> bool:
    """An apply on its server has ended since, as far as this working directory knows."""
    made = moment_of(copy)
    try:
        return made is not None and child.record is not None and datetime.fromisoformat(child.record.at) > made
    except (ValueError, TypeError):
        return False


def is_awake(child: Child) -> bool:
    """Its server was never deleted: it answers, or is off. Of others nobody knows: it may be on its way out. Pure."""
    is_off = child.server is not None and child.server.status is ServerStatus.OFF
    return (is_off or child.facts is not None) and not child.is_unfinished


def _wakes_by_note(child: Child) -> bool:
    return child.asleep is not None and child.asleep.is_waking and child.server is None


def awaking(
    children: Mapping[str, Child], waking: Mapping[str, Sleep], given: Mapping[str, Memory], keeper: Keeper
) -> tuple[dict[str, Child], dict[str, Memory]]:
    """The same children where some wake, with the versions of their backups; and what these will be given.

    A child whose backup cannot be had is not to be made: that is an obstacle for it alone. Nor is one by an earlier
    command where there is a later backup of its own: that waking ended otherwise, and a person has to say which.
    """
    found, memories = dict(children), dict(given)
    earlier = [name for name, child in children.items() if _wakes_by_note(child) and name not in waking]
    newest = keeper.newest(earlier)[0] if earlier else {}
    for name, child in children.items():
        asleep, spec = child.asleep, child.spec
        if name in waking:
            asleep = replace(waking[name], noted_as=asleep.noted_as if asleep else "")
        if asleep is None or not asleep.is_waking or spec is None:
            continue
        found[name] = child = replace(child, asleep=asleep)
        if child.server is not None and (child.retired or not child.is_unfinished):
            memories.pop(name, None)  # it has got it already, or what was handed over to it
            continue
        last = newest.get(name)
        if last is not None and is_later(last, asleep) and asleep.source in keeper.names_of(name):
            found[name] = replace(child, obstacle=notices.later(child, asleep, last))
            continue
        try:
            memory = memories.get(name) or keeper.memory(asleep.source, keeper.find(asleep.source, asleep.backup))
        except FleetError as error:
            found[name] = replace(child, obstacle=notices.not_awake(child, error))
        else:
            memories[name] = memory
            found[name] = replace(child, spec=replace(spec, version=memory.backup.version))
    return found, memories


def remembered(
    children: Mapping[str, Child], given: Mapping[str, Memory], keeper: Keeper, now: datetime
) -> tuple[dict[str, Child], dict[str, Diagnostic]]:
    """The same children, and what is to be said of those that would be made without a memory, and have backups.

    Who went to sleep with its newest one, or has lost its server, is not made a server without it, whatever became of
    the fleet's note of that; nor is who was there before and whose backups nobody can see. Of others that is only said.
    """
    empty = {name: child for name, child in children.items() if name not in given and _may_be_empty(child, now)}
    if not empty:
        return dict(children), {}
    newest, problems = keeper.newest(empty)
    strange = {name: found for name, found in newest.items() if not (found.is_ours or found.is_nothing)}
    unread = {name: notices.unread(name, found) for name, found in strange.items()}
    gone = keeper.last_copies(newest)
    waiting = {
        name: found for name, found in newest.items() if sleeps_with(found) or was_lost(empty[name], found, gone)
    }
    # Where there is a server, it may have been given its memory, and only the end of its apply not noted yet.
    hindered = {name: notices.waiting(name, found) for name, found in waiting.items()} | unread
    hindered = {name: found for name, found in hindered.items() if empty[name].server is None}
    copied = keeper.copied_here() if problems else frozenset[str]()
    known = {name for name in problems if empty[name].record is not None or name in copied}
    unknown = {name: notices.unknown(name, problem, is_known=name in known) for name, problem in problems.items()}
    hindered |= {name: found for name, found in unknown.items() if found.severity is Severity.ERROR}
    told = {name: notices.without_memory(empty[name], found.id) for name, found in newest.items()}
    missing = empty.keys() - newest.keys() - problems.keys()
    lost = keeper.copied_here() & missing if missing else frozenset[str]()
    told |= {name: notices.copies_gone(name) for name in lost}
    return (
        {**children, **{name: replace(empty[name], obstacle=found) for name, found in hindered.items()}},
        {**told, **unknown},
    )


def made_empty(plan: Plan, told: Mapping[str, Diagnostic]) -> list[Diagnostic]:
    """Of what is to be said, what this plan comes to."""
    created = sorted(action.child for action in plan.actions if action.kind is Kind.CREATE)
    return [told[name] for name in created if name in told]


def strayed(children: Mapping[str, Child], others: Mapping[str, Sleep], keeper: Keeper) -> list[Diagnostic]:
    """Who sleeps, and has no backup where the file keeps them now: that is said long before anybody shall wake.

    `others` sleep, and are nobody in the fleet file.
    """
    sleepers = {name: sleep for name, sleep in others.items() if sleep.backup} | {
        name: child.asleep
        for name, child in children.items()
        if child.asleep is not None and child.asleep.backup and child.server is None and child.obstacle is None
    }
    last, problems = keeper.last({sleep.source for sleep in sleepers.values()}) if sleepers else ({}, {})
    found = []
    for name, sleep in sorted(sleepers.items()):
        if sleep.source in problems:
            found.append(notices.not_seen(name, sleep, problems[sleep.source]))
        elif last.get(sleep.source, "") < sleep.backup:
            found.append(notices.strayed(name, sleep))
    return found


def undeclared(asleep: Mapping[str, Sleep], fleet: Fleet, children: Mapping[str, Child]) -> list[Diagnostic]:
    """Who sleeps, by the names that are noted, and is nobody in the fleet file; `children` are all there are."""
    now_called = {old: name for name in fleet.children for old in former_names(fleet, name)}
    found = []
    for name, sleep in sorted(asleep.items()):
        now = children.get(now_called.get(name, ""))
        sleeps_on = now is not None and now.asleep is not None and now.asleep.noted_as == name
        is_unclear = now is not None and now.obstacle is not None
        if name not in fleet.children and not (sleeps_on or is_unclear):
            found.append(notices.undeclared_sleeper(name, sleep, now.name if now else None))
    return found


def _may_be_empty(child: Child, now: datetime) -> bool:
    """It shall have a server, and has none, or one that may never have been given a memory."""
    server, spec = child.server, child.spec
    if spec is None or not spec.enabled or child.asleep is not None or child.obstacle is not None:
        return False
    if spec.expires is not None and spec.expires <= now:
        return False
    if server is None or (server.is_successor and not server.is_told and not child.retired):
        return True
    return child.is_unfinished and not child.retired


def restore_of(child: Child, backup: Backup) -> Rollback:
    """A backup stands for the checkpoint that it will be on the host. Raises Refused.

    The next apply goes on from there to the version in the file; where that is lower, it would go back to an older
    state, so it is held.
    """
    if child.spec is None or child.server is None:
        raise Refused(f"{child.name} has no server that the fleet file declares", "declare it, and apply first")
    if child.asleep is not None and not child.asleep.is_waking:
        raise Refused(
            f"{child.name} is asleep, and the server that it had is not deleted yet",
            f"end that first: fleet apply {child.name}; then it gets a new one by: fleet restore {child.name}",
        )
    if child.is_unfinished and child.facts is None:
        raise Refused(
            f"{child.name} cannot be given a backup: its first apply has not finished",
            f"go on with it: fleet apply {child.name}; or with another backup: fleet wake {child.name} --from ID",
        )
    if child.facts is None:
        raise Refused(f"{child.name} does not answer: {child.why_unknown}", f"fleet diagnose {child.name}")
    there = checkpoint_of(backup, child.facts.checkpoints)
    checkpoint = Checkpoint(there, backup.version, backup.at, backup.size, backup.digest)
    is_down = child.spec.version != LATEST and is_higher(backup.version, child.spec.version)
    return Rollback(checkpoint, child.spec.version if is_down else backup.version, backup.child)
