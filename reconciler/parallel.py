"""Runs a function over many values at once, in threads, and lets an interrupt through.

Threads that an interrupt leaves behind go on: what they must not do any more then is behind a Gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from types import TracebackType
from typing import TypeVar

from reconciler.errors import Refused

Value = TypeVar("Value")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Value], Result], values: Iterable[Value], workers: int) -> list[Result]:
    """`work` of each value, in the order of the values. The first error is raised when the others have ended.

    An interrupt (KeyboardInterrupt, SIGTERM) does not wait for the threads: whoever gets it ends the process.
    """
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        results = list(pool.map(work, values))
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return results


class Gate:
    """`with gate:` is open to any number of threads at once, until somebody shuts it for good."""

    def __init__(self) -> None:
        self._inside, self._is_shut, self._changed = 0, False, Condition()

    def __enter__(self) -> None:
        """Raises Refused when it is shut."""
        with self._changed:
            if self._is_shut:
                raise Refused("not begun, the run was interrupted", "run it again")
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def shut(self) -> None:
        """Nobody gets in any more; whoever is inside has come out when this returns."""
        with self._changed:
            self._is_shut = True
            self._changed.wait_for(lambda: self._inside == 0)
