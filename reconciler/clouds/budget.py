"""Our own count of the project's request budget, so that we slow down before the API refuses us.

The API's budget is a token bucket: 3600 requests an hour, refilled evenly, shared by everybody who uses the project.
GET /actions has another bucket, so there is one Budget for each. Must not know any HTTP library.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from reconciler.ports import Clock

_LIMIT = 3600  # until the first answer says otherwise
_HOUR = 3600.0


class Budget:
    """Thread-safe. Hold `request` around one, `note` its answer's headers, `drain` when it was refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = _LIMIT
        self._level = float(_LIMIT)
        self._at = clock.monotonic()
        self._under_way = 0
        self._is_known = False  # whether any answer has told

    @contextmanager
    def request(self) -> Iterator[None]:
        """Spend one request; sleeps first until there is one to spend."""
        with self._lock:
            self._refill()
            self._level -= 1
            self._under_way += 1
            missing = -self._level  # those who come later find less and wait longer
        try:
            if missing > 0:
                self._clock.sleep(missing / self._rate)
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def note(self, headers: Mapping[str, str]) -> None:
        """What an answer says is the truth, less the other requests under way."""
        limit, remaining = _number(headers, "RateLimit-Limit"), _number(headers, "RateLimit-Remaining")
        if not limit or remaining is None:
            return
        with self._lock:
            self._refill()
            self._limit, self._is_known = limit, True
            self._level = float(remaining - (self._under_way - 1))

    def left(self) -> int | None:
        """What is left now; None as long as no answer has told."""
        with self._lock:
            self._refill()
            return max(0, int(self._level)) if self._is_known else None

    def drain(self) -> None:
        """The API says that nothing is left."""
        with self._lock:
            self._refill()
            self._level = min(self._level, 0.0)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._level = min(float(self._limit), self._level + (now - self._at) * self._rate)
        self._at = now

    @property
    def _rate(self) -> float:
        return self._limit / _HOUR


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None
