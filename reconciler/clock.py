"""The machine's clock and randomness: the only module that asks for either."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime


class SystemClock:
    """The Clock port on this machine."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def token(self) -> str:
        return secrets.token_hex(8)


def random_bytes(count: int) -> bytes:
    """Fit for keys: from the kernel."""
    return secrets.token_bytes(count)
