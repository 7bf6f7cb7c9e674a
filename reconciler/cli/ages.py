"""How long ago, as people write it on a command line."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age_of(text: str) -> timedelta | None:
    """30m, 1h, 7d: a number and the letter of its unit; None for anything else."""
    found = _AGO.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
