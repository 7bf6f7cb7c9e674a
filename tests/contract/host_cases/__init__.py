"""The Host contract: every case, in the order in which a machine can go through them.

A lane is what one machine goes through. They are there because real machines wait longer than they work.
"""

from __future__ import annotations

from typing import Final

from tests.contract.host_cases import (
    accounts,
    backups,
    disk,
    gateway,
    importing,
    mending,
    releases,
    ssh,
    switching,
    system,
    units,
)
from tests.contract.host_cases.case import Case

LANES: Final[tuple[tuple[Case, ...], ...]] = (
    (*accounts.CASES, *ssh.CASES, *system.CASES),
    (*gateway.CASES, *disk.CASES, *units.CASES, *importing.CASES, *mending.CASES, *releases.CASES),
    switching.CASES,
    switching.PATIENT,
    backups.CASES,
)
CASES: Final[tuple[Case, ...]] = tuple(case for lane in LANES for case in lane)
