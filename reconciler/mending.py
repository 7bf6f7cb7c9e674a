"""What a watch mends, beside its passes: they go on meanwhile, so who is well is looked at all the while.

One round at a time. It must not hide an outage for long: whom a round has not brought back by then is told of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final

from reconciler.model import Book, Pass
from reconciler.ports import Clock
from reconciler.tending import Tended, spared

# Seconds in which a round's own children count for nothing: with passes a minute apart, which tell of an outage in the
# third that counts, that is within four minutes.
SPARED: Final = 100.0


class Mender:
    """Used by one thread; a round is one more. `clock` tells how long a round takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._round: _Round | None = None
        self._was_idle = False  # the round before could try nothing: somebody else has the lock, or no try is left

    @property
    def at_work_on(self) -> frozenset[str]:
        """The children of a round that is under way."""
        return self._round.names if self._round is not None and self._round.is_alive() else frozenset()

    def after(
        self, found: Pass, book: Book, due: Collection[str], tend: Callable[[Pass, Book], Tended]
    ) -> tuple[Pass, tuple[str, ...]]:
        """The pass with what rounds have to do with it, and what is to be said of that.

        Begins a round for those that are `due`, unless there is one. Raises what a round has raised.
        """
        if self._round is None:
            if not due:
                return found, ()
            self._round = _Round(frozenset(due), lambda: tend(found, book), self._clock.monotonic())
            self._round.start()
            if self._was_idle:
                return found, ()
            return spared(found, due), (f"{', '.join(sorted(due))}: being mended, and passes go on meanwhile",)
        if self._round.is_alive():
            is_recent = self._clock.monotonic() - self._round.began < SPARED
            return spared(found, self._round.names) if is_recent and not self._was_idle else found, ()
        ended, self._round = self._round, None
        tended = ended.result()
        self._was_idle = not tended.fixed and not any(it.tries or it.is_well for it in tended.rescues.values())
        return tended.seen_in(found, again=True), tended.lines

    def close(self, say: Callable[[str], None]) -> None:
        """Waits for the round that is under way: half of one helps nobody. An interrupt ends the wait."""
        if names := self.at_work_on:
            say(f"Waiting for what is being mended to end: {', '.join(sorted(names))}; Ctrl-C leaves it as it is.")
            assert self._round is not None
            self._round.join()


class _Round(threading.Thread):
    def __init__(self, names: frozenset[str], work: Callable[[], Tended], began: float) -> None:
        super().__init__(name="mending", daemon=True)  # who has waited for it long enough may end the process
        self.names, self.began, self._work = names, began, work
        self._tended = Tended()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._tended = self._work()
        except BaseException as error:
            self._error = error

    def result(self) -> Tended:
        if self._error is not None:
            raise self._error
        return self._tended
