"""Versions that the whole fleet keeps away from, because one child had to be brought back from them.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value holds 63 characters of
few kinds: when, who, and at which step; why is on that child's host and in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from reconciler.model import LABEL_PREFIX, Firewall, Fleet, Hold
from reconciler.ports import Ports
from reconciler.steps.marks import marks
from reconciler.steps.marks import set_mark as set_label

_MARK: Final = LABEL_PREFIX + "quarantine-"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_LONGEST: Final = 63


def quarantined(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Hold]:
    """By version, why and since when. Pure."""
    return {version: _read(version, value) for version, value in marks(fleet, firewalls, _MARK).items()}


def mark_of(now: datetime, child: str, step: str) -> str:
    """What a label says of a failed version: since when, on whom, and at which step. Nothing that a host has said."""
    return f"{now:{_TIME}}.{child}.{re.sub('[^A-Za-z0-9]+', '-', step)}"[:_LONGEST].rstrip("-.")


def set_mark(fleet: Fleet, ports: Ports, version: str, value: str | None) -> str | None:
    """From now on nobody is brought to this version; with None, everybody may be. Returns the mark of before.

    Raises CloudError.
    """
    return set_label(fleet, ports, _MARK + version, value)


def clear_quarantine(fleet: Fleet, ports: Ports, version: str) -> bool:
    """Whether it was quarantined; it is not any more. Raises CloudError."""
    return set_mark(fleet, ports, version, None) is not None


def _read(version: str, value: str) -> Hold:
    """Of what a person has written there, what can be read."""
    at, _, rest = value.partition(".")
    child, _, reason = rest.partition(".")
    try:
        since = datetime.strptime(at, _TIME).replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        return Hold(version, value, "")
    return Hold(version, f"{child}: failed at {reason.replace('-', ' ')}" if reason else child, since)
