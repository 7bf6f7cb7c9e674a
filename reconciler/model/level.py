"""How much is at stake."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How much is at stake."""

    CRITICAL = "critical"  # a user gets no answer
    WARNING = "warning"  # soon none, or something that a person should mend
