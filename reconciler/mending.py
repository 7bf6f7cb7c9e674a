"""What a watch mends, beside its passes: they go on meanwhile, so who is well is looked at all the while.

One round at a time. It must not hide an outage for long: whom a round has not brought back by then is told of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final

from reconciler.model import Book, Pass
from reconciler.ports import Clock
from reconciler.stepping import known
from reconciler.tending import Tended, not_tried, spared

# Seconds in which a round's own children count for nothing: with passes a minute apart, which tell of an outage in the
# third that counts, that is within four minutes.
SPARED: Final = 100.0


class Mender:
    """Used by one thread; a round is one more. `clock` tells how long a round takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._round: _Round | None = None
        # For whom nothing could be tried the last time: somebody else has the lock, or no try is left.
        self._idle = frozenset[str]()

    @property
    def at_work_on(self) -> frozenset[str]:
        """The children of a round that is under way."""
        return self._round.names if self._round is not None and self._round.is_alive() else frozenset()

    def after(
        self, found: Pass, book: Book, due: Collection[str], tend: Callable[[Pass, Book, Collection[str]], Tended]
    ) -> tuple[Pass, tuple[str, ...]]:
        """The pass with what rounds have to do with it, and what is to be said of that.

        Begins a round for those that are `due`, unless there is one: `tend` is told which.
        """
        lines: tuple[str, ...] = ()
        self._idle &= frozenset(due)  # who is well by now, or a person's, and falls ill again is tried anew
        if self._round is not None and not self._round.is_alive():
            found, lines = self._ended(self._round, found)
            due = set(due) - self._round.names
            self._round = None
        if self._round is not None:
            is_recent = self._clock.monotonic() - self._round.began < SPARED
            return spared(found, self._round.names - self._idle) if is_recent else found, lines
        if not due:
            return found, lines
        before, names = found, frozenset(due)
        self._round = _Round(names, lambda: tend(before, book, names), self._clock.monotonic())
        self._round.start()
        if not (fresh := self._round.names - self._idle):
            return found, lines
        said = f"{', '.join(sorted(fresh))}: being mended, and passes go on meanwhile"
        return spared(found, fresh), (*lines, said)

    def _ended(self, ended: _Round, found: Pass) -> tuple[Pass, tuple[str, ...]]:
        tended = ended.result()
        tried = {name for name, it in tended.rescues.items() if it.tries or it.is_well}
        self._idle = self._idle - ended.names | ended.names - tried - tended.fixed
        return tended.seen_in(found, again=True), tended.lines

    def close(self, say: Callable[[str], None]) -> None:
        """Waits for the round that is under way: half of one helps nobody. An interrupt ends the wait."""
        if names := self.at_work_on:
            say(f"Waiting for what is being mended to end: {', '.join(sorted(names))}; Ctrl-C leaves it as it is.")
        if self._round is not None:
            self._round.join()
            for line in self._round.result().lines:
                say(line)


class _Round(threading.Thread):
    def __init__(self, names: frozenset[str], work: Callable[[], Tended], began: float) -> None:
        super().__init__(name="mending", daemon=True)  # who has waited for it long enough may end the process
        self.names, self.began, self._work = names, began, work
        self._tended = Tended()

    def run(self) -> None:
        try:
            self._tended = self._work()
        except Exception as error:  # the passes go on, and what they find is told
            self._tended = Tended((not_tried(known(error), self.names),))

    def result(self) -> Tended:
        """What came of it, when it has ended."""
        return self._tended
