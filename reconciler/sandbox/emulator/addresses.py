"""Gives out the sandbox's IPv4 addresses."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv4Network

from reconciler.sandbox.emulator.errors import limit_exceeded


class Addresses:
    """Host numbers from `first_host` to the subnet's last, in turn: a fresh machine does not meet its forerunner's
    traces. `last` is the one given out last. An address is free when nobody holds it: no primary IP, no machine."""

    def __init__(self, subnet: IPv4Network, first_host: int) -> None:
        self._first = subnet[first_host]
        self._count = int(subnet.broadcast_address) - int(self._first)
        self._holders: Counter[str] = Counter()
        self.last = str(subnet.broadcast_address)  # before the first

    def hold_next(self) -> str:
        """A free address, held once. Raises ApiError 403 when all are in use."""
        for _ in range(self._count):
            self.last = self._after(self.last)
            if not self._holders[self.last]:
                self.hold(self.last)
                return self.last
        raise limit_exceeded("primary_ips")

    def hold(self, address: str) -> None:
        self._holders[address] += 1

    def release(self, address: str) -> None:
        self._holders[address] -= 1

    def holders(self, address: str) -> int:
        return self._holders[address]

    def _after(self, address: str) -> str:
        number = int(IPv4Address(address)) - int(self._first) + 1
        return str(self._first + (number if number < self._count else 0))
