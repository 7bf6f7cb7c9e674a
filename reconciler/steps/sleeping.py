"""Children that sleep: they have no server, cost nothing, and get their memory back when they are woken.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value is the id of the backup
that the child wakes from; then `s`, and from the moment on that it shall wake `w`, so whatever interrupts that, the
next apply goes on with it; and then the child whose backup it is, if it is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from reconciler.commands.switching import is_checkpoint_id
from reconciler.errors import Refused
from reconciler.fleet import former_names
from reconciler.ids import moment_of
from reconciler.model import LABEL_PREFIX, Child, Firewall, Fleet, Sleep
from reconciler.ports import Ports
from reconciler.steps.marks import marks, set_marks
from reconciler.steps.work import Work

LONGEST: Final = 63  # of a label's name behind its prefix, and of its value
_MARK: Final = LABEL_PREFIX + "asleep-"
_SLEEPING: Final = "s"
_WAKING: Final = "w"


def asleep_by_name(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Sleep]:
    """Who sleeps, by the very names that are noted. Pure.

    What a person has written there and is no backup's id still keeps the child asleep.
    """
    return {name: _read(name, value) for name, value in marks(fleet, firewalls, _MARK).items()}


def sleep_of(child: Child, fleet: Fleet, noted: Mapping[str, Sleep]) -> Sleep | None:
    """What of these notes is this child's, as far as they and its server tell. Pure.

    That of a former name is, as long as there is no server that was made under a later one: who was made anew then has
    a memory of its own, and nothing to do with who sleeps under the old name. Nor does a note put anybody to sleep
    whose server was made after the copy: it has woken, and another runner has written back what it knew before.
    """
    if child.name in noted:
        return None if _has_woken(child, noted[child.name]) else noted[child.name]
    old = next((old for old in former_names(fleet, child.name) if old in noted), None)
    if old is None or child.obstacle is not None:
        return None
    server, sleep = child.server, noted[old]
    if server is None:
        return sleep
    is_its_own = server.child in (old, *former_names(fleet, old)) and not _has_woken(child, sleep)
    return sleep if is_its_own and (child.is_unfinished or not sleep.is_waking) else None


def _has_woken(child: Child, sleep: Sleep) -> bool:
    if child.server is None or child.is_unfinished or sleep.is_waking:
        return False
    copied = moment_of(sleep.backup)
    return copied is not None and child.server.created.replace(microsecond=0) > copied


def check_name(name: str) -> None:
    """Raises Refused where a child's name is too long to be noted."""
    if is_too_long(name):
        summary = f"{name} cannot sleep: its name is longer than a label at the cloud"
        raise Refused(summary, "give it a shorter name: `moved` in the fleet file")


def mark_of(sleep: Sleep, name: str) -> str:
    """What the label of `name` says. Raises Refused where that is too long."""
    value = _value(sleep, name)
    if not is_too_long(name) and len(value) <= LONGEST:
        return value
    what = "its name" if is_too_long(name) else f"the name of {sleep.source}, whose backup that is,"
    if sleep.noted_as in ("", name):
        first = f"fleet {'wake' if sleep.noted_as else 'apply'} {name}"
        advice = f"make it first: {first}; then give it that memory: fleet restore {sleep.source} --to {name}"
    else:
        advice = f"call it {sleep.noted_as} again in the fleet file; fleet wake {sleep.noted_as}; and rename it then"
    raise Refused(f"{name} cannot wake with that: {what} is longer than a label at the cloud", advice)


def note_sleep(fleet: Fleet, ports: Ports, name: str, sleep: Sleep | None, before: str = "") -> None:
    """From now on this child sleeps, or wakes, or does neither; and what its former name `before` has noted is gone.

    The caller holds the lock. Raises CloudError.
    """
    former = {_MARK + before: None} if before else {}
    set_marks(fleet, ports, {**former, _MARK + name: None if sleep is None else mark_of(sleep, name)})


def follow_moves(fleet: Fleet, ports: Ports, asleep: Mapping[str, Sleep]) -> dict[str, str]:
    """Who of these sleeps by the note of a former name sleeps by its own; by new name, the old.

    So it sleeps on when the file says no more that it has moved. Whose note would be too long stays where it is. The
    caller holds the lock. Raises CloudError.
    """
    followed = dict[str, str]()
    for name, sleep in asleep.items():
        is_short = not is_too_long(name) and len(_value(sleep, name)) <= LONGEST
        if sleep.noted_as not in ("", name) and sleep.backup and is_short:
            note_sleep(fleet, ports, name, sleep, before=sleep.noted_as)
            followed[name] = sleep.noted_as
    return followed


def is_too_long(name: str) -> bool:
    return len("asleep-") + len(name) > LONGEST


def _value(sleep: Sleep, name: str) -> str:
    words = [sleep.backup, _WAKING if sleep.is_waking else _SLEEPING, sleep.source]
    return ".".join(words[: 3 if sleep.source != name else 2])


def set_sleep(work: Work, sleep: Sleep | None) -> None:
    """The same from a step, while others set labels too."""
    with work.trees.marking:
        note_sleep(work.fleet, work.ports, work.name, sleep, before=work.asleep.noted_as if work.asleep else "")
    work.asleep = None if sleep is None else replace(sleep, noted_as=work.name)


def note_by_own_name(work: Work) -> None:
    """What is noted by a former name of who is on its way to wake. Raises CloudError, Refused where it is too long."""
    if work.asleep is not None and work.asleep.noted_as not in ("", work.name):
        set_sleep(work, work.asleep)


def _read(name: str, value: str) -> Sleep:
    backup, _, rest = value.partition(".")
    state, _, source = rest.partition(".")
    if not is_checkpoint_id(backup) or state not in (_SLEEPING, _WAKING):
        return Sleep("", name, noted_as=name)
    return Sleep(backup, source or name, is_waking=state == _WAKING, noted_as=name)
