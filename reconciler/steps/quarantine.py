"""Versions that the whole fleet keeps away from, because one child had to be brought back from them.

Kept as labels of the fleet's default firewall, where another runner sees them. A label's value holds 63 characters of
few kinds: when, who, and the beginning of why; all of it is on that child's host and in the journal.
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


def ensure_quarantined(fleet: Fleet, ports: Ports, version: str, child: str, reason: str) -> Hold:
    """From now on nobody is brought to this version. Raises CloudError."""
    value = f"{ports.clock.now():{_TIME}}.{child}.{re.sub('[^A-Za-z0-9]+', '-', reason)}"[:_LONGEST].rstrip("-.")
    firewall = _default(fleet, ports)
    ports.cloud.label_firewall(firewall.id, {**firewall.labels, _MARK + version: value})
    return _read(version, value)


def clear_quarantine(fleet: Fleet, ports: Ports, version: str) -> bool:
    """Whether it was quarantined; it is not any more. Raises CloudError."""
    firewall = _default(fleet, ports)
    labels = {name: value for name, value in firewall.labels.items() if name != _MARK + version}
    if len(labels) == len(firewall.labels):
        return False
    ports.cloud.label_firewall(firewall.id, labels)
    return True


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
    cut = " ..." if len(value) > _LONGEST - 2 else ""  # a hyphen at its end was taken away
    return Hold(version, f"{child}: {reason.replace('-', ' ')}{cut}" if reason else child, since)
