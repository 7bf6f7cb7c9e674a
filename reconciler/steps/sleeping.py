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
    found = asleep_by_name(fleet, firewalls)
    moved = {name: old for name in fleet.moved for old in former_names(fleet, name) if old in found}
    return {**{name: found[old] for name, old in moved.items()}, **found}


def asleep_by_name(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Sleep]:
    """The same, by the very names that are noted. Pure."""
    return {name: _read(name, value) for name, value in marks(fleet, firewalls, _MARK).items()}


def check_name(name: str) -> None:
    """Raises Refused where a child's name is too long to be noted."""
    if len("asleep-") + len(name) > LONGEST:
        summary = f"{name} can neither sleep nor wake: its name is longer than a label at the cloud"
        raise Refused(summary, "give it a shorter name")


def mark_of(sleep: Sleep, name: str) -> str:
    """What the label of `name` says. Raises Refused where that is too long."""
    words = [sleep.backup, _WAKING if sleep.is_waking else _SLEEPING, sleep.source]
    value = ".".join(words[: 3 if sleep.source != name else 2])
    if len(value) > LONGEST:
        summary = f"{name} cannot wake with a backup of {sleep.source}: that name is longer than a label at the cloud"
        raise Refused(summary, f"wake {sleep.source} by that name, and rename it then")
    return value


def note_sleep(fleet: Fleet, ports: Ports, name: str, sleep: Sleep | None) -> None:
    """From now on this child sleeps, or wakes, or does neither. The caller holds the lock. Raises CloudError."""
    set_mark(fleet, ports, _MARK + name, None if sleep is None else mark_of(sleep, name))
    for old in former_names(fleet, name):
        set_mark(fleet, ports, _MARK + old, None)


def follow_moves(fleet: Fleet, ports: Ports, names: Iterable[str]) -> dict[str, str]:
    """Who of these sleeps under a former name sleeps under its new one; by new name, the old.

    So it sleeps on when the file says no more that it has moved. Whose note would be too long stays where it is. The
    caller holds the lock, and none of these has a server. Raises CloudError.
    """
    noted = asleep_by_name(fleet, fleet_firewalls(fleet, ports)) if fleet.moved else {}
    followed = dict[str, str]()
    for name in names:
        old = next((old for old in former_names(fleet, name) if old in noted), None)
        if old is None or name in noted or not _is_short(name, noted[old]):
            continue
        note_sleep(fleet, ports, name, noted[old])
        followed[name] = old
    return followed


def _is_short(name: str, sleep: Sleep) -> bool:
    try:
        check_name(name)
        mark_of(sleep, name)
    except Refused:
        return False
    return bool(sleep.backup)


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
