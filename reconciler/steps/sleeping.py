"""Children that sleep: they have no server, cost nothing, and get their memory back when they are woken.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value is the id of the backup
that the child wakes from; then `s`, and from the moment on that it shall wake `w`, so whatever interrupts that, the
next apply goes on with it; and then the child whose backup it is, if it is another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.commands.switching import is_checkpoint_id
from reconciler.errors import Refused
from reconciler.fleet import former_names
from reconciler.model import LABEL_PREFIX, Firewall, Fleet, Sleep
from reconciler.ports import Ports
from reconciler.steps.marks import marks, set_mark
from reconciler.steps.runs import fleet_firewalls
from reconciler.steps.work import Work

LONGEST: Final = 63  # of a label's name behind its prefix, and of its value
_MARK: Final = LABEL_PREFIX + "asleep-"
_SLEEPING: Final = "s"
_WAKING: Final = "w"


def sleepers(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Sleep]:
    """By child, also by the name that it got since. What a person has written there and is no backup's id still keeps

    the child asleep. Pure.
    """
    found = {name: _read(name, value) for name, value in marks(fleet, firewalls, _MARK).items()}
    moved = {name: old for name in fleet.moved for old in former_names(fleet, name) if old in found}
    return {**{name: found[old] for name, old in moved.items()}, **found}


def check_name(name: str) -> None:
    """Raises Refused where a child's name is too long to be noted."""
    if len("asleep-") + len(name) > LONGEST:
        raise Refused(f"{name} cannot sleep: its name is longer than a label at the cloud", "give it a shorter name")


def mark_of(sleep: Sleep, name: str) -> str:
    """What the label of `name` says. Raises Refused where that is too long."""
    words = [sleep.backup, _WAKING if sleep.is_waking else _SLEEPING, sleep.source]
    value = ".".join(words[: 3 if sleep.source != name else 2])
    if len(value) > LONGEST:
        raise Refused(f"the name of {sleep.source} is longer than a label at the cloud", f"apply {name}, then restore")
    return value


def note_sleep(fleet: Fleet, ports: Ports, name: str, sleep: Sleep | None) -> None:
    """From now on this child sleeps, or wakes, or does neither. The caller holds the lock. Raises CloudError."""
    set_mark(fleet, ports, _MARK + name, None if sleep is None else mark_of(sleep, name))
    for old in former_names(fleet, name):
        set_mark(fleet, ports, _MARK + old, None)


def follow_moves(fleet: Fleet, ports: Ports) -> dict[str, str]:
    """Who sleeps under a former name sleeps under its new one; by new name, the old.

    So it sleeps on when the file says no more that it has moved. The caller holds the lock. Raises CloudError.
    """
    marked = marks(fleet, fleet_firewalls(fleet, ports), _MARK) if fleet.moved else {}
    moved = {name: old for name in fleet.moved for old in reversed(former_names(fleet, name)) if old in marked}
    for name, old in moved.items():
        if name not in marked:
            note_sleep(fleet, ports, name, _read(old, marked[old]))
    return {name: old for name, old in moved.items() if name not in marked}


def set_sleep(work: Work, sleep: Sleep | None) -> None:
    """The same from a step, while others set labels too."""
    with work.trees.marking:
        note_sleep(work.fleet, work.ports, work.name, sleep)


def _read(name: str, value: str) -> Sleep:
    backup, _, rest = value.partition(".")
    state, _, source = rest.partition(".")
    if not is_checkpoint_id(backup) or state not in (_SLEEPING, _WAKING):
        return Sleep("", name)
    return Sleep(backup, source or name, is_waking=state == _WAKING)
