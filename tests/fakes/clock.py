"""A Clock that moves only when somebody sleeps, and whose tokens count up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeClock:
    """`slept` is every pause in its order, `meanwhile` what happens in one of them, by its number from 1.

    One clock may serve many runs: tokens never come twice.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.meanwhile: dict[int, Callable[[], None]] = {}
        self._elapsed = 0.0
        self._tokens = 0
        self.behind = 0.0  # seconds by which what it says of the time is wrong
        self.late = 0.0  # seconds by which every pause lasts longer than it was asked for
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed - self.behind)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._elapsed += seconds + self.late
            happens = self.meanwhile.pop(len(self.slept), None)
        if happens is not None:
            happens()

    def copy(self) -> FakeClock:
        """One that goes on from here by itself."""
        twin = FakeClock()
        twin._elapsed, twin._tokens = self._elapsed, self._tokens
        return twin

    def token(self) -> str:
        with self._lock:
            self._tokens += 1
            return f"{self._tokens:016x}"
