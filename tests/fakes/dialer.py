"""The Dialer in memory: reaches the FakeHosts of a FakeCloud's servers, with both sides' keys checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from reconciler.errors import CommandFailed, HostError, HostRefused, HostTimedOut, LoginRefused, WrongHostKey
from reconciler.model import LABEL_PREFIX, Command, Completed, HostAddress, Server, ServerStatus
from reconciler.ports import Clock
from reconciler.sandbox.simulated.forced import question_of
from tests.fakes.cloud import FakeCloud
from tests.fakes.host import FakeHost, public_key


class ForcedHost(FakeHost):
    """The same host for who has a probe key: it runs one program, whatever is asked for."""

    def __init__(self, host: FakeHost) -> None:
        self.__dict__ = host.__dict__  # of one host there are not two

    def run(self, command: Command) -> Completed:
        question = question_of(self, command.line)
        if question is None:
            raise CommandFailed(f"{command.name}: this key may only ask what the host has questions for")
        line, stdin, _ = question
        return super().run(replace(command, line=line, stdin=stdin, as_root=True))

    def interact(self) -> int:
        raise CommandFailed("this key opens no shell")

    @contextmanager
    def forwarding(self, here: int, there: int) -> Iterator[None]:
        if here or there:
            raise CommandFailed("this key forwards nothing")
        yield


class FakeDialer:
    """Reaches the servers of a FakeCloud by their address, from `source`, as far as the cloud's firewalls let it.

    A host refuses twice while it boots.
    """

    def __init__(self, cloud: FakeCloud, clock: Clock) -> None:
        self.hosts: dict[int, FakeHost] = {}
        self.silent: dict[int, HostError] = {}  # by server id: what every connection ends with
        self.hung: dict[int, tuple[HostError, int]] = {}  # the same until it boots: with how often it had by then
        self.flawed: dict[str, str] = {}  # what is wrong with which version on machines that come up from now on
        self.failing: list[tuple[str, HostError]] = []  # as FakeHost.fails, of these machines
        self.met: list[HostAddress] = []
        self.source = "198.51.100.7"
        self._cloud = cloud
        self._clock = clock
        self._booting: dict[int, int] = {}
        self._power_ons: Counter[int] = Counter()  # of which the hosts know

    def copy(self, cloud: FakeCloud, clock: Clock) -> FakeDialer:
        """The same hosts, that go their own way from here."""
        twin = FakeDialer(cloud, clock)
        twin.hosts = {number: host.copy(clock) for number, host in self.hosts.items()}
        twin.silent, twin.hung, twin.source = dict(self.silent), dict(self.hung), self.source
        twin.flawed, twin.failing = dict(self.flawed), list(self.failing)
        twin._booting, twin._power_ons = dict(self._booting), Counter(self._power_ons)
        return twin

    def connect(self, address: HostAddress, timeout: float) -> FakeHost:
        self.met.append(address)
        server = next(
            (server for server in tuple(self._cloud.by_id.values()) if server.address == address.address), None
        )
        if server is None or server.status is not ServerStatus.RUNNING:
            raise HostTimedOut(f"no answer from {address.address}")
        if not self._cloud.lets_in(server, self.source, address.port):
            raise HostTimedOut(f"the cloud's firewall keeps {self.source} away from {address.address}")
        if server.id in self.silent:
            raise self.silent[server.id]
        if server.id in self.hung and self.hung[server.id][1] == self._cloud.power_ons[server.id]:
            raise self.hung[server.id][0]
        host = self._booted(server)
        host.tick()
        if not host.answers(self.source, address.port):
            raise HostTimedOut(f"the firewall of {address.address} keeps {self.source} away")
        if host.shown_key not in address.host_keys:
            raise WrongHostKey(f"{address.address} shows a key that is not its own")
        found = (host.lets_in(address.user, public_key(key.reveal())) for key in address.login_keys)
        options = next((options for options in found if options is not None), None)
        if options is None:
            raise LoginRefused(f"{address.address} does not accept our key")
        return ForcedHost(host) if 'command="' in options else host

    def hang(self, server_id: int, error: HostError) -> None:
        """Its host does not answer, until its server boots anew."""
        self.hung[server_id] = error, self._cloud.power_ons[server_id]

    def of(self, child: str) -> FakeHost:
        """The host of the child of this name; where there are several, of the one that is the child's for who looks."""
        servers = [server for server in tuple(self._cloud.by_id.values()) if server.child == child]
        own = min(servers, key=lambda server: (server.is_retired, server.is_successor))
        return self.hosts[own.id]

    def _booted(self, server: Server) -> FakeHost:
        if server.id not in self.hosts:
            left = self._booting.setdefault(server.id, 2)
            if left:
                self._booting[server.id] = left - 1
                raise HostRefused(f"{server.address}: nothing listens yet")
            request = next(found for found in self._cloud.requests if _uid(found.labels) == server.uid)
            self.hosts[server.id] = FakeHost(request, self._clock)
            self.hosts[server.id].gateway.flawed = dict(self.flawed)
            self.hosts[server.id].fails = list(self.failing)
        if self._power_ons[server.id] != self._cloud.power_ons[server.id]:
            self._power_ons[server.id] = self._cloud.power_ons[server.id]
            self.hosts[server.id].boot()
        return self.hosts[server.id]


def _uid(labels: Mapping[str, str]) -> str | None:
    return labels.get(f"{LABEL_PREFIX}uid")
