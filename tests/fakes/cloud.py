"""The Cloud port in memory, for the engine's tests. It passes the same contract suite as HetznerCloud does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from reconciler.errors import ActionFailed, CloudError, InvalidRequest, NameTaken, NotFound, OutOfStock, ResourceLocked
from reconciler.model import Catalog, FirewallSpec, Server, ServerRequest, ServerStatus, ServerType

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REGIONS = ("fsn1", "nbg1", "hel1")


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    name: str
    public_key: str
    labels: dict[str, str] = field(default_factory=dict)


class FakeCloud:
    """Actions finish when they are waited for. `requests` is every accepted create; `fail_next` injects refusals.

    cpx22 (x86) is sold everywhere here, cx23 is sold out.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: NOW) -> None:
        self.by_id: dict[int, Server] = {}
        self.firewalls: dict[str, FirewallSpec] = {}
        self.keys: dict[str, Key] = {}
        self.requests: list[ServerRequest] = []
        self.failing_actions = 0
        self._now = now
        self._ids = itertools.count(1)
        self._actions: dict[int, tuple[int, Callable[[], None]]] = {}
        self._finished: set[int] = set()
        self._refusals: list[tuple[str, CloudError, bool]] = []
        self._lock = threading.RLock()

    # --- what tests do to it ----------------------------------------------------------------------------------

    def fail_next(self, method: str, error: CloudError, committed: bool = False) -> None:
        """The next call of this method raises; with `committed` only after it has had its effect."""
        self._refusals.append((method, error, committed))

    def add(self, server: Server) -> Server:
        """A server that is simply there."""
        self.by_id[server.id] = server
        return server

    # --- the port ---------------------------------------------------------------------------------------------

    def servers(self, fleet_id: str) -> tuple[Server, ...]:
        with self._call("servers"):
            return tuple(server for server in self.by_id.values() if server.label("fleet-id") == fleet_id)

    def server_named(self, name: str) -> Server | None:
        with self._call("server_named"):
            return next((server for server in self.by_id.values() if server.name == name), None)

    def server(self, server_id: int) -> Server | None:
        with self._call("server"):
            return self.by_id.get(server_id)

    def catalog(self) -> Catalog:
        with self._call("catalog"):
            everywhere = dict.fromkeys(REGIONS, "19.49")
            types = {
                "cpx22": ServerType("cpx22", "x86", 2, 4.0, dict.fromkeys(REGIONS, True), everywhere),
                "cx23": ServerType("cx23", "x86", 2, 4.0, dict.fromkeys(REGIONS, False), everywhere),
            }
            ipv4 = dict.fromkeys(REGIONS, "0.50")
            return Catalog(types, REGIONS, {"debian-12": frozenset({"x86", "arm"})}, "EUR", ipv4, self._now())

    def ensure_ssh_key(self, name: str, public_key: str, labels: dict[str, str]) -> int:
        with self._call("ensure_ssh_key"):
            named = self.keys.get(name)
            if named and _same_key(named.public_key, public_key):
                return named.id
            if named and not labels.items() <= named.labels.items():
                raise NameTaken(f"an ssh key named {name} is not this fleet's")
            self.keys.pop(name, None)
            for key in self.keys.values():
                if _same_key(key.public_key, public_key):
                    return key.id
            self.keys[name] = Key(next(self._ids), name, public_key, dict(labels))
            return self.keys[name].id

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        with self._call("ensure_firewall"):
            found = self.firewalls.get(firewall.name)
            if found and not firewall.labels.items() <= found.labels.items():
                raise NameTaken(f"a firewall named {firewall.name} is not this fleet's")
            self.firewalls[firewall.name] = firewall

    def delete_firewall(self, name: str) -> None:
        with self._call("delete_firewall"):
            self.firewalls.pop(name, None)

    def create_server(self, request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        with self._call("create_server"):
            self._check(request)
            self.requests.append(request)
            number = next(self._ids)
            server = Server(
                id=number,
                name=request.name,
                status=ServerStatus.INITIALIZING,
                region=request.region,
                server_type=request.server_type,
                image=request.image,
                address=f"10.0.{number // 200}.{number % 200 + 10}",
                created=self._now(),
                labels=dict(request.labels),
            )
            self.by_id[server.id] = server
            return server, self._start(server.id, lambda: self._set_status(server.id, ServerStatus.RUNNING))

    def set_labels(self, server_id: int, labels: dict[str, str]) -> Server:
        with self._call("set_labels"):
            self.by_id[server_id] = replace(self._known(server_id), labels=dict(labels))
            return self.by_id[server_id]

    def delete_server(self, server_id: int) -> tuple[int, ...]:
        with self._call("delete_server"):
            if server_id not in self.by_id:
                return ()
            self._check_unlocked(server_id)
            self._set_status(server_id, ServerStatus.DELETING)
            return self._start(server_id, lambda: self._remove(server_id))

    def power_on(self, server_id: int) -> tuple[int, ...]:
        return self._power("power_on", server_id, ServerStatus.RUNNING)

    def power_off(self, server_id: int) -> tuple[int, ...]:
        return self._power("power_off", server_id, ServerStatus.OFF)

    def reboot(self, server_id: int) -> tuple[int, ...]:
        return self._power("reboot", server_id, ServerStatus.RUNNING)

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        with self._call("wait"):
            for number in action_ids:
                if number not in self._finished:
                    self._finish(number)

    # --- helpers ----------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self._lock:
            refusal = next((refusal for refusal in self._refusals if refusal[0] == method), None)
            if refusal:
                self._refusals.remove(refusal)
            if refusal and not refusal[2]:
                raise refusal[1]
            yield
            if refusal:
                raise refusal[1]

    def _check(self, request: ServerRequest) -> None:
        if any(server.name == request.name for server in self.by_id.values()):
            raise NameTaken(f"a server named {request.name} exists")
        if request.image != "debian-12" or request.server_type not in {"cpx22", "cx23"}:
            raise InvalidRequest("no such image or server type")
        if request.server_type == "cx23" or request.region not in REGIONS:
            raise OutOfStock(f"no {request.server_type} in {request.region}")

    def _power(self, method: str, server_id: int, status: ServerStatus) -> tuple[int, ...]:
        with self._call(method):
            self._known(server_id)
            self._check_unlocked(server_id)
            return self._start(server_id, lambda: self._set_status(server_id, status))

    def _start(self, server_id: int, effect: Callable[[], None]) -> tuple[int, ...]:
        number = next(self._ids)
        self._actions[number] = server_id, effect
        return (number,)

    def _finish(self, number: int) -> None:
        if number not in self._actions:
            raise NotFound(f"no action {number}")
        self._finished.add(number)
        server_id, effect = self._actions.pop(number)
        if self.failing_actions:
            self.failing_actions -= 1
            raise ActionFailed(f"action {number} on server {server_id} failed")
        effect()

    def _check_unlocked(self, server_id: int) -> None:
        if any(busy == server_id for busy, _ in self._actions.values()):
            raise ResourceLocked("cannot perform operation because server is locked")

    def _known(self, server_id: int) -> Server:
        if server_id not in self.by_id:
            raise NotFound(f"no server {server_id}")
        return self.by_id[server_id]

    def _set_status(self, server_id: int, status: ServerStatus) -> None:
        self.by_id[server_id] = replace(self._known(server_id), status=status)

    def _remove(self, server_id: int) -> None:
        self.by_id.pop(server_id, None)


def _same_key(one: str, other: str) -> bool:
    """The comment behind a public key says nothing."""
    return one.split()[:2] == other.split()[:2]
