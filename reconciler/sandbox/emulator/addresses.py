"""Gives out the sandbox's IPv4 addresses."""

from __future__ import annotations

from collections.abc import Set
from ipaddress import IPv4Network

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import ApiError


class Addresses:
    """Host numbers from `first_host` to the subnet's last, in turn: a fresh machine does not meet its forerunner's
    traces. `last` is the one given out last."""

    def __init__(self, subnet: IPv4Network, first_host: int) -> None:
        self._all = [str(host) for number, host in enumerate(subnet.hosts(), 1) if number >= first_host]
        self.last: str | None = None

    def next_free(self, used: Set[str]) -> str:
        """Raises ApiError 403 when all are in use."""
        after = self._all.index(self.last) + 1 if self.last in self._all else 0
        for address in self._all[after:] + self._all[:after]:
            if address not in used:
                self.last = address
                return address
        limits: dict[str, Json] = {"limits": [{"name": "primary_ips"}]}
        raise ApiError(403, "resource_limit_exceeded", "Primary IP limit exceeded", limits)
