"""What a person wants to hear nothing of for a while, as labels of the fleet's default firewall: any runner sees them.

One for each child, or for the whole fleet. The value is until when, and of which cause if not of all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from reconciler.ids import ID_FORMAT, moment_of
from reconciler.model import LABEL_PREFIX, Firewall, Fleet, Quiet
from reconciler.ports import Ports
from reconciler.steps.marks import marks, set_marks

EVERYBODY: Final = "*"
_ALL: Final = LABEL_PREFIX + "silence"
_MARK: Final = LABEL_PREFIX + "s-"  # a label's name has 63 characters at most, and a child's up to 61


def silences(fleet: Fleet, firewalls: Iterable[Firewall]) -> list[Quiet]:
    """Those that are noted, over or not, by child. Pure. What nobody can read silences nothing."""
    firewalls = list(firewalls)
    found = [(name, value) for name, value in marks(fleet, firewalls, _MARK).items()]
    found += [(EVERYBODY, value) for name, value in marks(fleet, firewalls, _ALL).items() if not name]
    return [quiet for name, value in sorted(found) if (quiet := _read(name, value))]


def silence(fleet: Fleet, ports: Ports, names: Iterable[str], until: datetime, cause: str) -> None:
    """From now on nothing is told of these until then. Raises CloudError."""
    value = f"{until.astimezone(UTC):{ID_FORMAT}}{f'.{cause}' if cause else ''}"
    set_marks(fleet, ports, {_label(name): value for name in names})


def speak(fleet: Fleet, ports: Ports, names: Iterable[str]) -> list[str]:
    """All is told again of these; which of them were silenced. Raises CloudError."""
    labels = {name: _label(name) for name in names}
    before = set_marks(fleet, ports, dict.fromkeys(labels.values()))
    return [name for name, label in labels.items() if label in before]


def _label(name: str) -> str:
    return _ALL if name == EVERYBODY else _MARK + name


def _read(name: str, value: str) -> Quiet | None:
    at, _, cause = value.partition(".")
    until = moment_of(at)
    return Quiet(name, until, cause) if until is not None else None
