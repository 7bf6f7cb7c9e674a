"""The Dialer in memory: reaches the FakeHosts of a FakeCloud's servers, with both sides' keys checked."""

from __future__ import annotations

from reconciler.errors import HostError, HostRefused, HostTimedOut, LoginRefused, WrongHostKey
from reconciler.model import HostAddress, Server, ServerStatus
from reconciler.ports import Clock
from tests.fakes.cloud import FakeCloud
from tests.fakes.host import FakeHost, public_key


class FakeDialer:
    """Reaches the servers of a FakeCloud by their address, from `source`, as far as the cloud's firewalls let it.

    A host refuses twice while it boots.
    """

    def __init__(self, cloud: FakeCloud, clock: Clock) -> None:
        self.hosts: dict[int, FakeHost] = {}
        self.silent: dict[int, HostError] = {}  # by server id: what every connection ends with
        self.met: list[HostAddress] = []
        self.source = "198.51.100.7"
        self._cloud = cloud
        self._clock = clock
        self._booting: dict[int, int] = {}

    def connect(self, address: HostAddress, timeout: float) -> FakeHost:
        self.met.append(address)
        server = next((server for server in self._cloud.by_id.values() if server.address == address.address), None)
        if server is None or server.status is not ServerStatus.RUNNING:
            raise HostTimedOut(f"no answer from {address.address}")
        if not self._cloud.lets_in(server, self.source, address.port):
            raise HostTimedOut(f"the cloud's firewall keeps {self.source} away from {address.address}")
        if server.id in self.silent:
            raise self.silent[server.id]
        host = self._booted(server)
        host.tick()
        if host.shown_key not in address.host_keys:
            raise WrongHostKey(f"{address.address} shows a key that is not its own")
        if not any(host.lets_in(address.user, public_key(key.reveal())) for key in address.login_keys):
            raise LoginRefused(f"{address.address} does not accept our key")
        return host

    def of(self, child: str) -> FakeHost:
        """The host of the child of this name."""
        server = next(server for server in self._cloud.by_id.values() if server.child == child)
        return self.hosts[server.id]

    def _booted(self, server: Server) -> FakeHost:
        if server.id not in self.hosts:
            left = self._booting.setdefault(server.id, 2)
            if left:
                self._booting[server.id] = left - 1
                raise HostRefused(f"{server.address}: nothing listens yet")
            request = next(found for found in self._cloud.requests if found.labels == dict(server.labels))
            self.hosts[server.id] = FakeHost(request, self._clock)
        return self.hosts[server.id]
