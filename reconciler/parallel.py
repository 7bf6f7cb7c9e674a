"""Runs a function over many values at once, in threads, and lets an interrupt through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
