"""What the whole fleet knows, as labels of its default firewall: there another runner sees them, without our state/.

A firewall's labels are replaced as a whole, so in one process only one thread at a time may set any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from reconciler.errors import NotFound
from reconciler.model import Firewall, Fleet
from reconciler.ports import Ports
from reconciler.steps.runs import fleet_firewalls


def marks(fleet: Fleet, firewalls: Iterable[Firewall], prefix: str) -> dict[str, str]:
    """The values of the labels whose names begin so, by the rest of the name, in its order. Pure."""
    labels = (label for firewall in firewalls if firewall.name == fleet.name for label in firewall.labels.items())
    found = {name.removeprefix(prefix): value for name, value in labels if name.startswith(prefix)}
    return dict(sorted(found.items()))


def set_mark(fleet: Fleet, ports: Ports, name: str, value: str | None) -> str | None:
    """The label has this value; with None it is gone. Returns its value of before. Raises CloudError."""
    return set_marks(fleet, ports, {name: value}).get(name)


def set_marks(fleet: Fleet, ports: Ports, values: Mapping[str, str | None]) -> Mapping[str, str]:
    """The same of several labels, all at once or none. Returns the labels of before. Raises CloudError."""
    firewall = _found(fleet, ports)
    if firewall is None and not any(values.values()):
        return {}
    firewall = firewall or _missing(fleet)
    others = {name: text for name, text in firewall.labels.items() if name not in values}
    labels = others | {name: value for name, value in values.items() if value is not None}
    if labels != firewall.labels:
        ports.cloud.label_firewall(firewall.id, labels)
    return firewall.labels


def claim_mark(fleet: Fleet, ports: Ports, name: str, value: str) -> str:
    """The label's value: this one, unless somebody was quicker. Raises CloudError."""
    firewall = _found(fleet, ports) or _missing(fleet)
    if name not in firewall.labels:
        ports.cloud.label_firewall(firewall.id, {**firewall.labels, name: value})
    return firewall.labels.get(name, value)


def _found(fleet: Fleet, ports: Ports) -> Firewall | None:
    return next((firewall for firewall in fleet_firewalls(fleet, ports) if firewall.name == fleet.name), None)


def _missing(fleet: Fleet) -> NoReturn:
    raise NotFound(f"firewall {fleet.name} is gone", "apply: that makes a new one, and only then can it be noted")
