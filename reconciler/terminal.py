"""The local terminal for `fleet ssh`: raw mode, window size, and carrying bytes between it and a channel.

Knows nothing of SSH: the channel is anything with the four methods of `Channel`. It must leave the terminal as it
found it, whatever happens.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Channel(Protocol):
    """The remote end; `fileno` becomes readable when `recv` or the end is due."""

    def fileno(self) -> int: ...

    def recv(self, nbytes: int) -> bytes: ...

    def sendall(self, s: bytes) -> object: ...

    def shutdown_write(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Size:
    """What the remote terminal is told about ours."""

    term: str
    columns: int
    rows: int


def terminal_size() -> Size | None:
    """None when the standard streams are no terminal."""
    if not (os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())):
        return None
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return Size(os.environ.get("TERM", "dumb"), columns, rows)


def hand_over(channel: Channel, resize: Callable[[Size], object]) -> None:
    """Carry bytes both ways until the remote end closes."""
    size = terminal_size()
    with _raw_mode(on=size is not None):
        _carry(channel, resize, size)


@contextmanager
def _raw_mode(on: bool) -> Iterator[None]:
    if not on:
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # not FLUSH: what was typed ahead stays
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _carry(channel: Channel, resize: Callable[[Size], object], size: Size | None) -> None:
    local = sys.stdin.fileno()
    poller = select.poll()
    poller.register(local, select.POLLIN)
    poller.register(channel.fileno(), select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll(500)}
        now = terminal_size()
        if now and now != size:
            resize(now)
            size = now
        if channel.fileno() in ready:
            data = channel.recv(32768)
            if not data:
                return
            _write(data)
        if local in ready:
            typed = os.read(local, 4096)
            if typed:
                channel.sendall(typed)
            else:
                poller.unregister(local)
                channel.shutdown_write()


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
