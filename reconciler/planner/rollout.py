"""Another version for many children: first for the canaries, then batch by batch. Pure.

The engine begins a batch when the one before has ended; what fails in one keeps the later ones from being tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from reconciler.actions.conditions import shall_run
from reconciler.model import Action, Child, Diagnostic, Kind, Percent, Rollout, Severity, Situation
from reconciler.planner.stock import few
from reconciler.steps.gateway import unproven
from reconciler.steps.versions import is_held, pinned, present

LATELY: Final = timedelta(days=1)


def in_batches(rollout: Rollout, actions: Iterable[Action], children: Mapping[str, Child]) -> list[Action]:
    """The same in the order of their doing: by wave, then batch, then name. What changes no version has the batch 0."""
    actions = sorted(actions, key=lambda action: (action.wave, action.child))
    moving = [action.child for action in actions if is_switch(action, children[action.child])]
    number = {name: index for index, batch in enumerate(_batches(rollout, moving), 1) for name in batch}
    placed = [replace(action, batch=number.get(action.child, 0)) for action in actions]
    return sorted(placed, key=lambda action: (action.wave, action.batch, action.child))


def is_switch(action: Action, child: Child) -> bool:
    """Whether a gateway that has run goes over to another version, and no person has asked for that one alone."""
    if action.kind is not Kind.UPDATE or action.rollback or child.facts is None or child.spec is None:
        return False
    return present(child.facts) not in (None, pinned(child.spec, child.facts).version)


def waiting_for_canaries(
    rollout: Rollout, actions: Iterable[Action], children: Mapping[str, Child], situation: Situation
) -> dict[str, Diagnostic]:
    """By child, why it is not brought to another version now: one that goes there first cannot go, and is not there."""
    moving = {action.child for action in actions if is_switch(action, children[action.child])}
    sick = _behind_the_sick(rollout, moving, children, situation)
    if isinstance(rollout.canaries, int):
        return sick
    canaries = {name: child for name, child in children.items() if _is_canary(rollout.canaries, name)}
    is_whole = rollout.canaries and not situation.options.partial  # else nobody can tell who there is
    if is_whole and not any(child.spec is not None and shall_run(child, situation) for child in canaries.values()):
        return sick | {name: _without_canary(children[name], rollout.canaries) for name in sorted(moving)}
    going, missing = moving - sick.keys(), dict[str, list[str]]()
    for name, child in canaries.items():
        if name not in going and _is_awaited(child, situation):
            assert child.spec is not None
            missing.setdefault(child.spec.version, []).append(name)
    found = dict[str, Diagnostic]()
    for name in sorted(moving):
        spec = children[name].spec
        if spec is not None and spec.version in missing and not _is_canary(rollout.canaries, name):
            found[name] = _waits(name, spec.version, missing[spec.version], (spec.file, spec.line))
    return sick | found


def _behind_the_sick(
    rollout: Rollout, moving: Collection[str], children: Mapping[str, Child], situation: Situation
) -> dict[str, Diagnostic]:
    """By child, why it is not brought to another version now: who has gone there before it is not healthy.

    So a rollout that was cut off in a soak goes on from what that would have found.
    """
    sick = dict[str, list[str]]()
    for name, child in children.items():
        if child.facts is None or child.spec is None or name in moving or not _has_come_lately(child, situation):
            continue
        version = present(child.facts)
        if version == child.spec.version and unproven(child.facts.gateway, version):
            sick.setdefault(version, []).append(name)
    found = dict[str, Diagnostic]()
    for name in sorted(set(moving) - situation.options.retry):
        spec = children[name].spec
        ill = sick.get(spec.version, []) if spec is not None else []
        if spec is not None and len(ill) >= rollout.max_failures:
            found[name] = Diagnostic(
                Severity.WARNING,
                f"{name} waits with all that it needs: {few(ill)} went over to {spec.version} and "
                f"{'is' if len(ill) == 1 else 'are'} not healthy",
                f"see why: fleet diagnose {ill[0]}; to go on all the same: fleet apply --retry {name}",
                name,
                spec.file,
                spec.line,
            )
    return found


def _has_come_lately(child: Child, situation: Situation) -> bool:
    """Its last apply ended within a day: what befalls it later is no news of its version."""
    applied = child.facts.applied if child.facts else None
    if applied is None or not shall_run(child, situation):
        return False
    try:
        return situation.now - datetime.fromisoformat(applied.at) <= LATELY
    except (ValueError, TypeError):
        return False


def _is_awaited(child: Child, situation: Situation) -> bool:
    """It has a gateway that shall be at the version of the file, and nobody has seen it there.

    Of what has failed its proof there, or is kept from the whole fleet, the number of failures decides; of one that has
    failed at something else nobody knows yet how that version does.
    """
    if child.spec is None or child.is_unfinished or not shall_run(child, situation):
        return False
    if child.server is None:
        return child.obstacle is not None  # it waits for a person; who is only made anew is at that version then
    if child.facts is not None and is_held(child.spec, child.facts):
        held = child.facts.held
        return held is not None and not held.is_suspect and child.spec.version not in situation.quarantined
    return child.facts is None or present(child.facts) != pinned(child.spec, child.facts).version


def _waits(name: str, version: str, canaries: list[str], at: tuple[str, int]) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name} waits with all that it needs: {few(canaries)} of the canaries shall run on {version} first",
        "see what keeps them from it: `fleet plan` says so; or name other `canaries` in `rollout`",
        name,
        *at,
    )


def _without_canary(child: Child, patterns: tuple[str, ...]) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{child.name} waits with all that it needs: no child that shall run is one of the canaries "
        f"{few(list(patterns))}",
        "name others in `rollout: {canaries: …}`, or say how many go first: `canaries: 1`",
        child.name,
        *((child.spec.file, child.spec.line) if child.spec else ()),
    )


def _batches(rollout: Rollout, names: list[str]) -> Iterable[list[str]]:
    canaries = _canaries(rollout, names)
    others = [name for name in names if name not in canaries]
    size = rollout.batch.of(len(names)) if isinstance(rollout.batch, Percent) else rollout.batch
    size = max(size, 1)
    if canaries:
        yield canaries
    yield from (others[start : start + size] for start in range(0, len(others), size))


def _canaries(rollout: Rollout, names: list[str]) -> list[str]:
    """Those that the file names, or the first so many."""
    if isinstance(rollout.canaries, int):
        return names[: rollout.canaries]
    return [name for name in names if _is_canary(rollout.canaries, name)]


def _is_canary(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
