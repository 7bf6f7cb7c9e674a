"""Versions that the whole fleet keeps away from, because one child had to be brought back from them.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value holds 63 characters of
few kinds: when, who, and at which step; why is on that child's host and in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from reconciler.ids import ID_FORMAT, moment_of
from reconciler.model import LABEL_PREFIX, Child, Firewall, Fleet, Hold
from reconciler.ports import Ports
from reconciler.steps.marks import marks, set_marks
from reconciler.steps.marks import set_mark as set_label

_MARK: Final = LABEL_PREFIX + "quarantine-"
_CLEARED: Final = LABEL_PREFIX + "cleared-"
_LONGEST: Final = 63


def quarantined(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Hold]:
    """By version, why and since when. Pure."""
    return {version: _read(version, value) for version, value in marks(fleet, firewalls, _MARK).items()}


def held_by_hosts(children: Iterable[Child]) -> dict[str, dict[str, Hold]]:
    """By version and child, what hosts hold because it did not get healthy there, in whichever run. Pure."""
    found = dict[str, dict[str, Hold]]()
    for child in children:
        for held in child.facts.noted if child.facts else ():
            if held.is_suspect:
                found.setdefault(held.version, {})[child.name] = held
    return found


def known_to_hosts(fleet: Fleet, firewalls: Iterable[Firewall], children: Iterable[Child]) -> dict[str, Hold]:
    """Versions with which too many have failed, as their hosts say, and which nobody has cleared since. Pure.

    The fleet's own note of that may be gone with its firewall, or could not be written when they failed.
    """
    cleared = {version: moment_of(at) for version, at in marks(fleet, firewalls, _CLEARED).items()}
    found = dict[str, Hold]()
    for version, held in held_by_hosts(children).items():
        since = cleared.get(version)
        names = [name for name, hold in sorted(held.items()) if since is None or not _is_before(hold.at, since)]
        if len(names) >= fleet.rollout.max_failures:
            first = held[names[0]]
            found[version] = Hold(version, f"{names[0]}: {first.reason}", first.at, is_suspect=True)
    return found


def mark_of(now: datetime, child: str, step: str) -> str:
    """What a label says of a failed version: since when, on whom, and at which step. Nothing that a host has said."""
    at, why = f"{now:{ID_FORMAT}}", re.sub("[^A-Za-z0-9]+", "-", step)
    return f"{at}.{child[: max(1, _LONGEST - len(at) - len(why) - 2)]}.{why}"[:_LONGEST].rstrip("-.")


def set_mark(fleet: Fleet, ports: Ports, version: str, value: str | None) -> str | None:
    """From now on nobody is brought to this version; with None, everybody may be. Returns the mark of before.

    Raises CloudError.
    """
    return set_label(fleet, ports, _MARK + version, value)


def clear_quarantine(fleet: Fleet, ports: Ports, version: str) -> bool:
    """Whether that was noted; it is not any more, and what hosts hold of before counts no more. Raises CloudError."""
    now = f"{ports.clock.now():{ID_FORMAT}}"
    return _MARK + version in set_marks(fleet, ports, {_MARK + version: None, _CLEARED + version: now})


def _is_before(at: str, moment: datetime) -> bool:
    """Or in the same second."""
    try:
        return datetime.fromisoformat(at) < moment + timedelta(seconds=1)
    except (ValueError, TypeError):
        return True


def _read(version: str, value: str) -> Hold:
    """Of what a person has written there, what can be read."""
    at, _, rest = value.partition(".")
    child, _, reason = rest.partition(".")
    moment = moment_of(at)
    if moment is None:
        return Hold(version, value, "")
    since = moment.isoformat(timespec="seconds")
    return Hold(version, f"{child}: failed at {reason.replace('-', ' ')}" if reason else child, since)
