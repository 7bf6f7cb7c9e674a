"""Spans of time as fleet files write them. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """12h, 1d: a number and the letter of its unit."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
