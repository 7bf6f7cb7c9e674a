"""The Cloud port in memory, for the engine's tests. It passes the same contract suite as HetznerCloud does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from reconciler.errors import (
    ActionFailed,
    CloudError,
    InvalidRequest,
    LimitExceeded,
    NameTaken,
    NotFound,
    OutOfStock,
    ResourceLocked,
)
from reconciler.model import Catalog, Firewall, FirewallSpec, Server, ServerRequest, ServerStatus
from tests.fakes.catalog import IMAGES, REGIONS, RETIRED, TYPES, make_catalog

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONGEST_ACTION = timedelta(seconds=30)  # after which one has ended, though nobody waited for it


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    name: str
    public_key: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    server_id: int
    since: datetime
    effect: Callable[[], None]


class FakeCloud:
    """Actions finish when they are waited for, or when time has passed. `requests` is every accepted create.

    `fail_next` injects refusals, `failing_actions` is how many actions fail next, `sold_out` what cannot be had,
    `server_limit` the project's quota; a server in `deaf` does not listen to its power button.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: NOW) -> None:
        self.by_id: dict[int, Server] = {}
        self.walls: dict[str, Firewall] = {}
        self.keys: dict[str, Key] = {}
        self.requests: list[ServerRequest] = []
        self.failing_actions = 0
        self.sold_out = {("cx23", region) for region in REGIONS}
        self.server_limit = 100
        self.deaf: set[int] = set()
        self._now = now
        self._ids = itertools.count(1)
        self._actions: dict[int, Running] = {}
        self._ended: dict[int, ActionFailed | None] = {}
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

    def change_wall(self, name: str, *rules: str) -> None:
        """Somebody gives a firewall other rules in the cloud's console."""
        self.walls[name] = replace(self.walls[name], rules=tuple(sorted(rules)))

    def walls_of(self, server: Server) -> list[Firewall]:
        return [wall for wall in self.walls.values() if any(_selects(text, server) for text in wall.selectors)]

    def lets_in(self, server: Server, source: str, port: int = 22) -> bool:
        """Whether a packet gets through; what no firewall covers is open."""
        covering = self.walls_of(server)
        return not covering or any(_lets_in(rule, source, port) for wall in covering for rule in wall.rules)

    # --- the port: servers ------------------------------------------------------------------------------------

    def servers(self, fleet_id: str) -> tuple[Server, ...]:
        with self._call("servers"):
            return tuple(server for server in self.by_id.values() if server.label("fleet-id") == fleet_id)

    def server_named(self, name: str) -> Server | None:
        with self._call("server_named"):
            return next((server for server in self.by_id.values() if server.name == name), None)

    def servers_named(self, names: Collection[str]) -> tuple[Server, ...]:
        with self._call("servers_named"):
            return tuple(server for server in self.by_id.values() if server.name in names)

    def server(self, server_id: int) -> Server | None:
        with self._call("server"):
            return self.by_id.get(server_id)

    def create_server(self, request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        with self._call("create_server"):
            self._check(request)
            self.requests.append(request)
            server = self._made(next(self._ids), request)
            self.by_id[server.id] = server
            return server, self._start(server.id, lambda: self._change(server.id, status=ServerStatus.RUNNING))

    def set_labels(self, server_id: int, labels: dict[str, str]) -> Server:
        with self._call("set_labels"):
            return self._change(server_id, labels=dict(labels))

    def rename(self, server_id: int, name: str, labels: dict[str, str]) -> Server:
        with self._call("rename"):
            self._known(server_id)
            self._check_name(name, server_id)
            return self._change(server_id, name=name, labels=dict(labels))

    def change_type(self, server_id: int, server_type: str) -> tuple[int, ...]:
        with self._call("change_type"):
            self._check_change(self._known(server_id), server_type)
            return self._start(server_id, lambda: self._change(server_id, server_type=server_type))

    def set_backups(self, server_id: int, on: bool) -> tuple[int, ...]:
        with self._call("set_backups"):
            return self._act(server_id, lambda: self._change(server_id, backups=on))

    def delete_server(self, server_id: int) -> tuple[int, ...]:
        with self._call("delete_server"):
            if server_id not in self.by_id:
                return ()
            self._check_unlocked(server_id)
            self._change(server_id, status=ServerStatus.DELETING)
            return self._start(server_id, lambda: self._remove(server_id))

    def power_on(self, server_id: int) -> tuple[int, ...]:
        with self._call("power_on"):
            return self._act(server_id, lambda: self._change(server_id, status=ServerStatus.RUNNING))

    def power_off(self, server_id: int) -> tuple[int, ...]:
        with self._call("power_off"):
            return self._act(server_id, lambda: self._change(server_id, status=ServerStatus.OFF))

    def shutdown(self, server_id: int) -> tuple[int, ...]:
        with self._call("shutdown"):
            return self._act(server_id, lambda: self._press(server_id))

    def reboot(self, server_id: int) -> tuple[int, ...]:
        with self._call("reboot"):
            return self._act(server_id, lambda: self._change(server_id, status=ServerStatus.RUNNING))

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        with self._call("wait"):
            for number in action_ids:
                self._finish(number)
                if failure := self._ended[number]:
                    raise failure

    # --- the port: what servers share -------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        with self._call("catalog"):
            return make_catalog(self.sold_out, self._now())

    def requests_left(self) -> int | None:
        return 3600

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

    def firewalls(self, fleet_id: str) -> tuple[Firewall, ...]:
        with self._call("firewalls"):
            label = ("openclaw-deploy/fleet-id", fleet_id)
            return tuple(wall for wall in self.walls.values() if label in wall.labels.items())

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        with self._call("ensure_firewall"):
            found = self.walls.get(firewall.name)
            if found and not firewall.labels.items() <= found.labels.items():
                raise NameTaken(f"a firewall named {firewall.name} is not this fleet's")
            number = found.id if found else next(self._ids)
            labels = found.labels if found else dict(firewall.labels)
            self.walls[firewall.name] = Firewall(number, firewall.name, labels, firewall.rules, (firewall.selector,))

    def restore_firewall(self, firewall: Firewall) -> None:
        with self._call("restore_firewall"):
            found = next((wall for wall in self.walls.values() if wall.id == firewall.id), None)
            if found is None:
                raise NotFound(f"no firewall {firewall.id}")
            self.walls[found.name] = replace(found, rules=firewall.rules, selectors=firewall.selectors)

    def delete_firewall(self, name: str) -> None:
        with self._call("delete_firewall"):
            self.walls.pop(name, None)

    # --- helpers ----------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self._lock:
            self._let_time_pass()
            refusal = next((refusal for refusal in self._refusals if refusal[0] == method), None)
            if refusal:
                self._refusals.remove(refusal)
            if refusal and not refusal[2]:
                raise refusal[1]
            yield
            if refusal:
                raise refusal[1]

    def _let_time_pass(self) -> None:
        for number, action in list(self._actions.items()):
            if action.since + LONGEST_ACTION <= self._now():
                self._finish(number)

    def _check(self, request: ServerRequest) -> None:
        self._check_name(request.name)
        if request.image not in IMAGES or request.server_type not in TYPES:
            raise InvalidRequest("no such image or server type")
        if len(self.by_id) >= self.server_limit:
            raise LimitExceeded("server limit exceeded", "ask for more")
        self._check_stock(request.server_type, request.region)

    def _check_name(self, name: str, but: int | None = None) -> None:
        if any(server.name == name and server.id != but for server in self.by_id.values()):
            raise NameTaken(f"a server named {name} exists")

    def _check_stock(self, server_type: str, region: str) -> None:
        if server_type == RETIRED or region not in REGIONS or (server_type, region) in self.sold_out:
            raise OutOfStock(f"no {server_type} in {region}")

    def _check_change(self, server: Server, server_type: str) -> None:
        self._check_unlocked(server.id)
        if server_type not in TYPES or server.status is not ServerStatus.OFF:
            raise InvalidRequest("no such type, or the server is not off")
        if TYPES[server_type][0] != server.architecture or TYPES[server_type][3] < server.disk_gb:
            raise InvalidRequest("another architecture, or a smaller disk")
        self._check_stock(server_type, server.region)

    def _made(self, number: int, request: ServerRequest) -> Server:
        return Server(
            id=number,
            name=request.name,
            status=ServerStatus.INITIALIZING,
            region=request.region,
            server_type=request.server_type,
            image=request.image,
            address=f"10.0.{number // 200}.{number % 200 + 10}" if request.ipv4 else f"2001:db8:{number:x}::1",
            created=self._now(),
            labels=dict(request.labels),
            architecture=TYPES[request.server_type][0],
            ipv4=request.ipv4,
            disk_gb=TYPES[request.server_type][3],
        )

    def _act(self, server_id: int, effect: Callable[[], object]) -> tuple[int, ...]:
        self._known(server_id)
        self._check_unlocked(server_id)
        return self._start(server_id, effect)

    def _start(self, server_id: int, effect: Callable[[], object]) -> tuple[int, ...]:
        number = next(self._ids)

        def carry_out() -> None:
            effect()

        self._actions[number] = Running(server_id, self._now(), carry_out)
        return (number,)

    def _finish(self, number: int) -> None:
        if number in self._ended:
            return
        if number not in self._actions:
            raise NotFound(f"no action {number}")
        action = self._actions.pop(number)
        self._ended[number] = None
        if self.failing_actions:
            self.failing_actions -= 1
            self._ended[number] = ActionFailed(f"action {number} on server {action.server_id} failed")
        elif action.server_id in self.by_id:
            action.effect()

    def _check_unlocked(self, server_id: int) -> None:
        if any(action.server_id == server_id for action in self._actions.values()):
            raise ResourceLocked("cannot perform operation because server is locked")

    def _known(self, server_id: int) -> Server:
        if server_id not in self.by_id:
            raise NotFound(f"no server {server_id}")
        return self.by_id[server_id]

    def _change(self, server_id: int, **changes: object) -> Server:
        self.by_id[server_id] = replace(self._known(server_id), **changes)  # type: ignore[arg-type]
        return self.by_id[server_id]

    def _press(self, server_id: int) -> None:
        if server_id not in self.deaf:
            self._change(server_id, status=ServerStatus.OFF)

    def _remove(self, server_id: int) -> None:
        self.by_id.pop(server_id, None)


def _same_key(one: str, other: str) -> bool:
    """The comment behind a public key says nothing."""
    return one.split()[:2] == other.split()[:2]


def _selects(selector: str, server: Server) -> bool:
    """`k=v` and `!k`, joined by commas: all that we ask for."""
    terms = [term.partition("=") for term in selector.split(",")]
    return all(
        key[1:] not in server.labels if key.startswith("!") else server.labels.get(key) == value
        for key, _, value in terms
    )


def _lets_in(rule: str, source: str, port: int) -> bool:
    what, _, sources = rule.partition(" from ")
    return what == f"in tcp {port}" and any(ip_address(source) in ip_network(one) for one in sources.split(", "))
