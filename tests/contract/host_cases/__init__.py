"""The Host contract: every case, in the order in which a single machine can go through them."""

from __future__ import annotations

from typing import Final

from tests.contract.host_cases import (
    accounts,
    backups,
    disk,
    gateway,
    importing,
    releases,
    ssh,
    switching,
    system,
    units,
)
from tests.contract.host_cases.case import Case

_ALL: Final = (
    *accounts.CASES,
    *ssh.CASES,
    *system.CASES,
    *gateway.CASES,
    *disk.CASES,
    *units.CASES,
    *importing.CASES,
    *releases.CASES,
    *switching.CASES,
    *backups.CASES,
)
CASES: Final[tuple[Case, ...]] = tuple(sorted(_ALL, key=lambda case: not case.is_fresh))
