"""Connections that stay open from pass to pass, for who only looks: a question that met a broken line is asked again.

None is kept for long: who logs in anew sees what an open line hides, another host key or an sshd that lets nobody in.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from contextlib import AbstractContextManager
from typing import Final

from reconciler.errors import HostTimedOut
from reconciler.model import Command, Completed, HostAddress
from reconciler.ports import Clock, Dialer, Session

OLDEST: Final = 150.0  # seconds; what a new login would show is found within four minutes, passes a minute apart
SPARE: Final = 200  # open files for all else
MANY: Final = 65_536


def room_for_lines() -> int:
    """How many this process may keep open, after it has asked the system for as many open files as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY if hard == resource.RLIM_INFINITY else min(hard, MANY)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)


class KeptDialer:
    """Implements ports.Dialer by another one."""

    def __init__(self, dialer: Dialer, clock: Clock, most: int) -> None:
        """`most` lines are kept at a time."""
        self._dialer, self._clock, self._most = dialer, clock, most
        self._kept: dict[HostAddress, _Line] = {}
        self._lock = threading.Lock()

    def connect(self, address: HostAddress, timeout: float) -> Session:
        """An open line to there, or a new one; to close it gives it back."""
        with self._lock:
            line = self._kept.pop(address, None)
        if line is not None and line.is_good(self._clock.monotonic()):
            line.expect_within(timeout)
            return line
        if line is not None:
            line.hang_up()
        return _Line(self, address, timeout, self.dial(address, timeout), self._clock.monotonic())

    def dial(self, address: HostAddress, timeout: float) -> Session:
        return self._dialer.connect(address, timeout)

    def give_back(self, address: HostAddress, line: _Line) -> None:
        """For the next who asks; one too many, or one that is no good, is hung up."""
        with self._lock:
            if len(self._kept) >= self._most:
                self._forget_the_old()
            is_kept = (
                address not in self._kept and len(self._kept) < self._most and line.is_good(self._clock.monotonic())
            )
            if is_kept:
                self._kept[address] = line
        if not is_kept:
            line.hang_up()

    def _forget_the_old(self) -> None:
        """Nobody asks any more for those of children that are gone."""
        now = self._clock.monotonic()
        for address, line in tuple(self._kept.items()):
            if not line.is_good(now):
                self._kept.pop(address).hang_up()

    def hang_up(self) -> None:
        """All of them."""
        with self._lock:
            lines, self._kept = [*self._kept.values()], {}
        for line in lines:
            line.hang_up()


class _Line:
    """Implements ports.Session. Used by one thread at a time."""

    def __init__(
        self, dialer: KeptDialer, address: HostAddress, timeout: float, session: Session, since: float
    ) -> None:
        self._dialer, self._address, self._timeout = dialer, address, timeout
        self._session, self._since = session, since
        self._is_new, self._is_silent = True, False

    def is_good(self, now: float) -> bool:
        return not self._is_silent and now - self._since < OLDEST and self._session.is_open

    def run(self, command: Command) -> Completed:
        """Of a line that was kept and is broken: over a new one. A host that is silent is not asked again."""
        try:
            return self._session.run(command)
        except HostTimedOut:
            if self._is_new or self._session.is_open:
                self._is_silent = True
                raise
        self._session.close()
        self._session, self._is_new = self._dialer.dial(self._address, self._timeout), True
        return self.run(command)

    def close(self) -> None:
        self._is_new = False
        self._dialer.give_back(self._address, self)

    def hang_up(self) -> None:
        self._session.close()

    def interact(self) -> int:
        return self._session.interact()

    def forwarding(self, here: int, there: int) -> AbstractContextManager[None]:
        return self._session.forwarding(here, there)

    def expect_within(self, seconds: float) -> None:
        self._session.expect_within(seconds)

    @property
    def is_open(self) -> bool:
        return self._session.is_open
