"""Versions that the whole fleet keeps away from, because one child had to be brought back from them.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value holds 63 characters of
few kinds: when, who, and at which step; why is on that child's host and in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from reconciler.errors import NotFound
from reconciler.model import LABEL_PREFIX, Firewall, Fleet, Hold
from reconciler.ports import Ports
from reconciler.steps.runs import fleet_firewalls

_MARK: Final = LABEL_PREFIX + "quarantine-"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_LONGEST: Final = 63


def quarantined(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[str, Hold]:
    """By version, why and since when. Pure."""
    labels = (label for firewall in firewalls if firewall.name == fleet.name for label in firewall.labels.items())
    found = {name.removeprefix(_MARK): value for name, value in labels if name.startswith(_MARK)}
    return {version: _read(version, value) for version, value in sorted(found.items())}


def mark_of(now: datetime, child: str, step: str) -> str:
    """What a label says of a failed version: since when, on whom, and at which step. Nothing that a host has said."""
    return f"{now:{_TIME}}.{child}.{re.sub('[^A-Za-z0-9]+', '-', step)}"[:_LONGEST].rstrip("-.")


def set_mark(fleet: Fleet, ports: Ports, version: str, value: str | None) -> str | None:
    """From now on nobody is brought to this version; with None, everybody may be. Returns the mark of before.

    Raises CloudError.
    """
    firewall = _default(fleet, ports)
    labels = {name: text for name, text in firewall.labels.items() if name != _MARK + version}
    if value is not None:
        labels[_MARK + version] = value
    if labels != firewall.labels:
        ports.cloud.label_firewall(firewall.id, labels)
    return firewall.labels.get(_MARK + version)


def clear_quarantine(fleet: Fleet, ports: Ports, version: str) -> bool:
    """Whether it was quarantined; it is not any more. Raises CloudError."""
    return set_mark(fleet, ports, version, None) is not None


def _default(fleet: Fleet, ports: Ports) -> Firewall:
    found = next((firewall for firewall in fleet_firewalls(fleet, ports) if firewall.name == fleet.name), None)
    if found is None:
        raise NotFound(f"firewall {fleet.name} is gone", "apply: that makes a new one, and only then can it be noted")
    return found


def _read(version: str, value: str) -> Hold:
    """Of what a person has written there, what can be read."""
    at, _, rest = value.partition(".")
    child, _, reason = rest.partition(".")
    try:
        since = datetime.strptime(at, _TIME).replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        return Hold(version, value, "")
    return Hold(version, f"{child}: failed at {reason.replace('-', ' ')}" if reason else child, since)
