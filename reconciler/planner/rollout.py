"""Another version for many children: first for the canaries, then batch by batch. Pure.

The engine begins a batch when the one before has ended; what fails in one keeps the later ones from being tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from reconciler.model import Action, Child, Percent, Rollout
from reconciler.steps.versions import present


def in_batches(rollout: Rollout, actions: Iterable[Action], children: Mapping[str, Child]) -> list[Action]:
    """The same in the order of their doing: by wave, then batch, then name. What changes no version has the batch 0."""
    actions = sorted(actions, key=lambda action: (action.wave, action.child))
    moving = [action.child for action in actions if is_switch(action, children[action.child])]
    number = {name: index for index, batch in enumerate(_batches(rollout, moving), 1) for name in batch}
    placed = [replace(action, batch=number.get(action.child, 0)) for action in actions]
    return sorted(placed, key=lambda action: (action.wave, action.batch, action.child))


def is_switch(action: Action, child: Child) -> bool:
    """Whether a gateway that has run goes over to another version, and no person has asked for that one alone."""
    if action.rollback or child.facts is None or child.facts.applied is None or present(child.facts) is None:
        return False
    return any(change.path == "release.version" for change in action.reason.changes)


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
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in rollout.canaries)]
