"""Bytes on the wire of an SSH connection: a socket without delays, and one command's three streams.

Knows neither fabric nor paramiko; ssh.py hands both in. It must not interpret what it carries.
"""

from __future__ import annotations

import select
import socket
import time
from threading import Event
from typing import Final, Protocol

from reconciler.model import Completed

OUTPUT_LIMIT: Final = 1 << 20  # bytes kept of stdout and of stderr, each; the rest is read and dropped
CHUNK: Final = 65536
READ_AHEAD: Final = 16384  # bytes


class Channel(Protocol):
    """The part of paramiko's Channel that is used here; `fileno` is readable when data or the end has come."""

    closed: bool
    eof_received: int
    eof_sent: int
    status_event: Event

    def fileno(self) -> int: ...

    def recv_ready(self) -> bool: ...

    def recv(self, nbytes: int) -> bytes: ...

    def recv_stderr_ready(self) -> bool: ...

    def recv_stderr(self, nbytes: int) -> bytes: ...

    def send_ready(self) -> bool: ...

    def send(self, s: bytes) -> int: ...

    def shutdown_write(self) -> None: ...

    def recv_exit_status(self) -> int: ...


class QuickSocket(socket.socket):
    """A connected TCP socket that sends at once and has its peer's data acknowledged at once.

    paramiko asks for neither, and the two delays together cost about 80 ms per connection. Linux forgets QUICKACK
    by itself, so it is set again at each read. It reads ahead, for paramiko reads each packet in two pieces: that is a
    sixteenth of an apply's CPU time. Only `recv` may read from it, as paramiko does, and nobody may wait for it to be
    readable.
    """

    _ahead = b""  # read, and not yet asked for

    @classmethod
    def dial(cls, address: str, port: int, timeout: float) -> QuickSocket:
        """Connected within `timeout` seconds, or OSError."""
        quick = cls(fileno=socket.create_connection((address, port), timeout=timeout).detach())
        quick.settimeout(timeout)
        quick.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return quick

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        if not self._ahead:
            if hasattr(socket, "TCP_QUICKACK"):
                self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            self._ahead = super().recv(max(bufsize, READ_AHEAD), flags)
        piece, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return piece


def exchange(channel: Channel, stdin: bytes, deadline: float) -> Completed | None:
    """Feed and drain one running command until it ends; None when `deadline` (monotonic) has passed.

    One thread: the three streams share a poll loop. The exit code is -1 when the channel ended without one: a signal
    killed the command, or the link is gone.
    """
    poller = select.poll()
    poller.register(channel.fileno(), select.POLLIN)
    out, err, unsent = bytearray(), bytearray(), memoryview(stdin)
    while not (channel.eof_received or channel.closed):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        unsent = _feed(channel, unsent)
        # Room to send more doesn't wake the poll, so it is short while bytes wait.
        poller.poll(20 if unsent else min(remaining, 1.0) * 1000)
        _drain(channel, out, err)
    while _drain(channel, out, err):
        pass
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        return None
    return Completed(exit_code=channel.recv_exit_status(), stdout=bytes(out), stderr=bytes(err))


def _feed(channel: Channel, unsent: memoryview) -> memoryview:
    if channel.eof_sent:
        return unsent[:0]
    try:
        while unsent and channel.send_ready():
            unsent = unsent[channel.send(bytes(unsent[:CHUNK])) :]
        if not unsent:
            channel.shutdown_write()
    except OSError:
        if not channel.closed:
            raise
        return unsent[:0]  # the command has ended without reading all of it, which is its right
    return unsent


def _drain(channel: Channel, out: bytearray, err: bytearray) -> bool:
    """One piece of each stream, so that an endless one can't keep us from looking at the clock."""
    has_out, has_err = channel.recv_ready(), channel.recv_stderr_ready()
    if has_out:
        out.extend(channel.recv(CHUNK)[: OUTPUT_LIMIT - len(out)])
    if has_err:
        err.extend(channel.recv_stderr(CHUNK)[: OUTPUT_LIMIT - len(err)])
    return has_out or has_err


def reaches(address: str, port: int, timeout: float) -> bool:
    """Whether somebody takes a connection there within so many seconds. Nothing is said to whoever does."""
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except OSError:
        return False
    return True
