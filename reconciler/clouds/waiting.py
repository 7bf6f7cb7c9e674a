"""Waiting for actions of the cloud: all threads share one poller, which asks for many actions in one request.

One of those who wait does the asking for all, and hands over when its own actions have ended. Must not know any HTTP
library, nor what the actions are about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reconciler.errors import ActionFailed, CloudUnavailable, NotFound, RateLimited
from reconciler.ports import Clock

PAUSES = (1.0, 5.0)  # seconds before an asking, from and to
IDS_PER_REQUEST = 25  # the API's default page: it has no other documented limit for `id`


class Waiting:
    """Thread-safe. `ask` gives the rows of up to IDS_PER_REQUEST actions, without those that the API does not know."""

    def __init__(self, ask: Callable[[list[int]], Iterable[Any]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._changed = threading.Condition()
        self._running: dict[int, int] = {}  # action -> how many wait for it
        self._ended: dict[int, Any] = {}  # action -> its row, None when nobody knows it; as long as somebody waits
        self._is_asking = False
        self._pause = PAUSES[0]

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        """Until all have succeeded. Raises ActionFailed, NotFound, CloudUnavailable when time is up."""
        wanted = frozenset(action_ids)
        deadline = self._clock.monotonic() + timeout
        with self._registered(wanted):
            while pending := self._pending(wanted):
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    raise _not_in_time(len(pending), timeout)
                self._take_part(left)

    @contextmanager
    def _registered(self, wanted: Collection[int]) -> Iterator[None]:
        with self._changed:
            for number in wanted:
                self._running[number] = self._running.get(number, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                for number in wanted:
                    self._running[number] -= 1
                    if not self._running[number]:
                        del self._running[number]
                        self._ended.pop(number, None)
                if not self._running:
                    self._pause = PAUSES[0]

    def _pending(self, wanted: Collection[int]) -> list[int]:
        """Those that still run; raises for those that have ended badly."""
        with self._changed:
            ended = {number: self._ended[number] for number in wanted if number in self._ended}
        for number, row in ended.items():
            _check(number, row)
        return [number for number in wanted if number not in ended]

    def _take_part(self, left: float) -> None:
        """Ask for everybody, or wait for whoever does."""
        with self._changed:
            if self._is_asking:
                self._changed.wait()
                return
            self._is_asking = True
            pause, self._pause = self._pause, min(1.5 * self._pause, PAUSES[1])
        try:
            self._clock.sleep(min(pause, left))
            self._ask_for_all()
        finally:
            with self._changed:
                self._is_asking = False
                self._changed.notify_all()

    def _ask_for_all(self) -> None:
        with self._changed:
            numbers = sorted(number for number in self._running if number not in self._ended)
        for start in range(0, len(numbers), IDS_PER_REQUEST):
            some = numbers[start : start + IDS_PER_REQUEST]
            try:
                rows = {row["id"]: row for row in self._ask(some)}
            except (CloudUnavailable, RateLimited):
                return  # a hiccup: they go on all the same, and are asked for again
            self._keep(some, rows)

    def _keep(self, asked: Sequence[int], rows: Mapping[int, Any]) -> None:
        with self._changed:
            for number in asked:
                if number in self._running and rows.get(number, {}).get("status") != "running":
                    self._ended[number] = rows.get(number)


def _check(number: int, row: Any) -> None:
    if row is None:
        raise NotFound(f"Hetzner Cloud does not know action {number}", "See `fleet plan` for what it did.")
    if row["status"] != "error":
        return
    error = row.get("error") or {}
    text = f"{error.get('message', 'no reason given')} ({error.get('code', 'unknown')})"
    raise ActionFailed(
        f"Hetzner Cloud accepted {row['command']} (action {row['id']}), which then failed: {text}",
        "Run the same command again; if it fails again, Hetzner's support wants to know the action's number.",
    )


def _not_in_time(count: int, timeout: float) -> CloudUnavailable:
    return CloudUnavailable(
        f"Hetzner Cloud has not finished {count} action(s) within {timeout:.0f} s",
        "They go on without us: see `fleet plan` in a while.",
    )
