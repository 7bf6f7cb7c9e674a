"""Archives as streams: read from a host piece by piece, sent to one, or only weighed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

from reconciler import commands
from reconciler.commands.backups import PIECE
from reconciler.errors import HostError
from reconciler.ports import Clock, Host


class Pace:
    """From now on, so many bytes a second on average."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._started = clock.monotonic()

    def keep(self, size: int) -> None:
        """Waits until so many bytes may have gone since it began."""
        self._clock.sleep(max(0.0, self._started + size / self._rate - self._clock.monotonic()))


class FromHost(BufferedIOBase):
    """The archive on a host, read piece by piece and no quicker than it may."""

    def __init__(self, host: Host, size: int, rate: int, clock: Clock) -> None:
        self.digest = hashlib.sha256()
        self._pieces = self._read(host, size, rate, clock)
        self._rest = b""

    def read(self, size: int | None = -1, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        length = len(self._rest) if size is None or size < 0 else size
        piece, self._rest = self._rest[:length], self._rest[length:]
        return piece

    def _read(self, host: Host, size: int, rate: int, clock: Clock) -> Iterator[bytes]:
        pace, offset = Pace(rate, clock), 0
        while offset < size:
            piece = host.run(commands.read_archive(offset)).stdout
            if not piece:
                raise HostError("the archive on the host has become shorter", "try again")
            offset += len(piece)
            self.digest.update(piece)
            yield piece
            pace.keep(offset)


class ToHost(BufferedIOBase):
    """An archive on its way to a host, no quicker than it may."""

    def __init__(self, host: Host, rate: int, clock: Clock) -> None:
        self._host = host
        self._pace = Pace(rate, clock)
        self._offset = 0
        self._piece = bytearray()

    def write(self, data: Any, /) -> int:
        self._piece += data
        while len(self._piece) >= PIECE:
            self._send(PIECE)
        return len(data)

    def finish(self) -> None:
        self._send(len(self._piece))

    def _send(self, length: int) -> None:
        piece = bytes(self._piece[:length])
        self._host.run(commands.receive_archive(self._offset, piece))
        self._offset += length
        del self._piece[:length]
        self._pace.keep(self._offset)


class Weighed(BufferedIOBase):
    """Takes everything, and knows its digest."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return len(data)
