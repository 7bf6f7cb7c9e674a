"""Lines that stay open from look to look: when they are used again, and what an open line must not hide."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pytest

from reconciler.errors import CommandFailed, HostTimedOut, WrongHostKey
from reconciler.kept import OLDEST, KeptDialer
from reconciler.model import Command, Completed, HostAddress, Secret
from reconciler.ports import Dialer, Session
from tests.fakes.clock import FakeClock


def address(number: int = 1) -> HostAddress:
    return HostAddress(f"192.0.2.{number}", 22, "fleet", (Secret("key"),), ("ssh-ed25519 AAAA",))


ASK = Command("ask", "true")
MOST = 20


@dataclass
class Line:
    """What runs on it raises the errors in `fails`, one after the other."""

    fails: list[Exception] = field(default_factory=list)
    is_open: bool = True
    ran: int = 0
    patience: float | None = None

    def run(self, command: Command) -> Completed:
        self.ran += 1
        if self.fails:
            raise self.fails.pop(0)
        return Completed(0, b"", b"")

    def close(self) -> None:
        self.is_open = False

    def expect_within(self, seconds: float) -> None:
        self.patience = seconds

    def interact(self) -> int:
        return 0

    def forwarding(self, here: int, there: int) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Lines:
    """A dialer; `refuses` is what the next connections end with."""

    made: list[Line] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)

    def connect(self, address: HostAddress, timeout: float) -> Session:
        if self.refuses:
            raise self.refuses.pop(0)
        self.made.append(Line())
        return self.made[-1]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dialer(lines: Lines, clock: FakeClock) -> KeptDialer:
    inner: Dialer = lines
    return KeptDialer(inner, clock, MOST)


def asked(dialer: KeptDialer, number: int = 1) -> None:
    line = dialer.connect(address(number), 10)
    try:
        line.run(ASK)
    finally:
        line.close()


def test_a_line_is_used_again_and_must_answer_soon(dialer: KeptDialer, lines: Lines) -> None:
    for _ in range(3):
        asked(dialer)
    [line] = lines.made
    assert (line.ran, line.patience) == (3, 10)


def test_two_at_once_have_a_line_each_and_one_is_kept(dialer: KeptDialer, lines: Lines) -> None:
    first, second = dialer.connect(address(), 10), dialer.connect(address(), 10)
    first.close()
    second.close()
    assert [line.is_open for line in lines.made] == [True, False]


def test_after_a_while_somebody_logs_in_anew(dialer: KeptDialer, lines: Lines, clock: FakeClock) -> None:
    asked(dialer)
    clock.sleep(OLDEST + 1)
    lines.refuses.append(WrongHostKey("another key"))
    with pytest.raises(WrongHostKey):
        asked(dialer)
    assert not lines.made[0].is_open


def test_a_line_that_broke_meanwhile_is_made_anew_and_nobody_notices(dialer: KeptDialer, lines: Lines) -> None:
    asked(dialer)
    lines.made[0].is_open = False
    asked(dialer)
    assert len(lines.made) == 2


def test_a_line_that_breaks_when_it_is_used_is_made_anew_once(dialer: KeptDialer, lines: Lines) -> None:
    asked(dialer)
    line = dialer.connect(address(), 10)

    def breaks(command: Command) -> Completed:
        lines.made[0].is_open = False
        raise HostTimedOut("the connection broke off")

    lines.made[0].run = breaks  # type: ignore[method-assign]
    assert line.run(ASK).exit_code == 0
    line.close()
    assert len(lines.made) == 2
    asked(dialer)
    assert len(lines.made) == 2


def test_a_new_line_that_breaks_is_not_tried_again(dialer: KeptDialer, lines: Lines) -> None:
    line = dialer.connect(address(), 10)
    lines.made[0].fails = [HostTimedOut("broke off")]
    lines.made[0].is_open = False
    with pytest.raises(HostTimedOut):
        line.run(ASK)
    assert len(lines.made) == 1


def test_a_host_that_is_silent_on_an_open_line_is_asked_once_and_its_line_is_given_up(
    dialer: KeptDialer, lines: Lines
) -> None:
    asked(dialer)
    lines.made[0].fails = [HostTimedOut("it did not end in time")]
    with pytest.raises(HostTimedOut):
        asked(dialer)
    assert (len(lines.made), lines.made[0].is_open) == (1, False)
    asked(dialer)
    assert len(lines.made) == 2


def test_a_command_that_fails_breaks_no_line(dialer: KeptDialer, lines: Lines) -> None:
    asked(dialer)
    lines.made[0].fails = [CommandFailed("no such file")]
    with pytest.raises(CommandFailed):
        asked(dialer)
    asked(dialer)
    assert (len(lines.made), lines.made[0].ran) == (1, 3)


def test_so_many_are_kept_and_those_of_children_that_are_gone_make_room(
    dialer: KeptDialer, lines: Lines, clock: FakeClock
) -> None:
    for number in range(MOST + 10):
        asked(dialer, number)
    assert sum(line.is_open for line in lines.made) == MOST
    clock.sleep(OLDEST + 1)
    asked(dialer, MOST + 100)
    assert [line.is_open for line in lines.made].count(True) == 1
    dialer.hang_up()
    assert not any(line.is_open for line in lines.made)
