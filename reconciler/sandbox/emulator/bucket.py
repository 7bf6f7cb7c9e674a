"""The real API's token buckets: an hour's budget may be spent at once and comes back evenly."""

from __future__ import annotations

from collections.abc import Callable


class Bucket:
    """`limit()` requests, refilled at limit/3600 a second times `speed()`. `now` gives epoch seconds.

    Limit and speed are asked for each time: they may change while the bucket is in use.
    """

    def __init__(
        self, limit: Callable[[], int], now: Callable[[], float], speed: Callable[[], float] = lambda: 1.0
    ) -> None:
        self._limit = limit
        self._now = now
        self._speed = speed
        self._level = float(limit())
        self._at = now()

    @property
    def limit(self) -> int:
        return self._limit()

    def take(self) -> bool:
        """Spend one request, or say that there is none left."""
        now = self._now()
        self._level = min(float(self.limit), self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def drain(self) -> None:
        """Somebody else in the project has spent it all."""
        self._level, self._at = 0.0, self._now()

    def headers(self) -> dict[str, str]:
        """`RateLimit-Reset` is when the bucket is full again, not when the next request is allowed."""
        full_at = self._at + max(0.0, self.limit - self._level) / self._rate
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(int(self._level)),
            "RateLimit-Reset": str(int(full_at)),
        }

    @property
    def _rate(self) -> float:
        return self.limit / 3600 * self._speed()
