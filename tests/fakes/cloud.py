"""The Cloud port in memory, for the engine's tests. It passes the same contract suite as HetznerCloud does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from reconciler.errors import (
    ActionFailed,
    InvalidRequest,
    LimitExceeded,
    NameTaken,
    NotFound,
    OutOfStock,
    ResourceLocked,
)
from reconciler.model import Besides, Catalog, Server, ServerRequest, ServerStatus
from tests.fakes.catalog import IMAGES, REGIONS, RETIRED, TYPES, make_catalog
from tests.fakes.project import FakeProject

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONGEST_ACTION = timedelta(seconds=30)  # after which one has ended, though nobody waited for it


@dataclass(frozen=True, slots=True)
class Running:
    server_id: int
    since: datetime
    effect: Callable[[], object]
    undo: Callable[[], object]  # what a failure leaves as it was before


class FakeCloud(FakeProject):
    """Actions finish when they are waited for, or when time has passed. `requests` is every accepted create.

    `fail_next` injects refusals, `failing_actions` is how many actions fail next, `sold_out` what cannot be had,
    `broken` where a server is accepted and never comes up, `server_limit` the project's quota; a server in `deaf` does
    not listen to its power button.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: NOW) -> None:
        super().__init__()
        self.by_id: dict[int, Server] = {}
        self.requests: list[ServerRequest] = []
        self.failing_actions = 0
        self.sold_out = {("cx23", region) for region in REGIONS}
        self.broken: set[tuple[str, str]] = set()
        self.server_limit = 100
        self.deaf: set[int] = set()
        self.found_besides: tuple[Besides, ...] = ()
        self.power_ons: Counter[int] = Counter()  # how often each server got its power back
        self._now = now
        self._actions: dict[int, Running] = {}
        self._ended: dict[int, ActionFailed | None] = {}
        self._of: dict[int, int] = {}  # every action's server

    # --- what tests do to it ----------------------------------------------------------------------------------

    def add(self, server: Server) -> Server:
        """A server that is simply there."""
        self.by_id[server.id] = server
        return server

    def copy(self, now: Callable[[], datetime]) -> FakeCloud:
        """The same project, that goes its own way from here. Nothing may be under way in it."""
        self._let_time_pass()
        assert not self._actions, "wait for what runs first"
        twin = FakeCloud(now)
        twin.by_id, twin.walls, twin.keys = dict(self.by_id), dict(self.walls), dict(self.keys)
        twin.requests, twin.sold_out, twin.deaf = list(self.requests), set(self.sold_out), set(self.deaf)
        twin.broken, twin.found_besides = set(self.broken), self.found_besides
        twin.power_ons, twin.server_limit = Counter(self.power_ons), self.server_limit
        twin._ids = copy(self._ids)
        return twin

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
            return server, self._start(server.id, lambda: self._come_up(server.id))

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
            before = self.by_id[server_id].status
            self._change(server_id, status=ServerStatus.DELETING)
            return self._start(
                server_id, lambda: self._remove(server_id), lambda: self._change(server_id, status=before)
            )

    def power_on(self, server_id: int) -> tuple[int, ...]:
        with self._call("power_on"):
            return self._act(server_id, lambda: self._give_power(server_id))

    def power_off(self, server_id: int) -> tuple[int, ...]:
        with self._call("power_off"):
            return self._act(server_id, lambda: self._change(server_id, status=ServerStatus.OFF))

    def shutdown(self, server_id: int) -> tuple[int, ...]:
        with self._call("shutdown"):
            return self._act(server_id, lambda: self._press(server_id))

    def reboot(self, server_id: int) -> tuple[int, ...]:
        with self._call("reboot"):
            return self._act(server_id, lambda: self._give_power(server_id, again=server_id not in self.deaf))

    def reset(self, server_id: int) -> tuple[int, ...]:
        with self._call("reset"):
            return self._act(server_id, lambda: self._give_power(server_id, again=True))

    def open_actions(self, server_id: int) -> tuple[int, ...]:
        with self._call("open_actions"):
            self._known(server_id)
            running = [number for number, action in self._actions.items() if action.server_id == server_id]
            failed = [number for number, failure in self._ended.items() if failure and self._of[number] == server_id]
            return tuple(sorted((*running, *failed)))

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        with self._call("wait"):
            for number in action_ids:
                self._finish(number)
                if failure := self._ended[number]:
                    raise failure

    # --- the port: the project --------------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        with self._call("catalog"):
            return make_catalog(self.sold_out, self._now())

    def besides(self) -> tuple[Besides, ...]:
        with self._call("besides"):
            return self.found_besides

    def requests_left(self) -> int | None:
        return 3600

    # --- helpers ----------------------------------------------------------------------------------------------

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

    def _start(
        self, server_id: int, effect: Callable[[], object], undo: Callable[[], object] = lambda: None
    ) -> tuple[int, ...]:
        number = next(self._ids)
        self._actions[number] = Running(server_id, self._now(), effect, undo)
        self._of[number] = server_id
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
            action.undo()
        elif action.server_id in self.by_id:
            try:
                action.effect()
            except ActionFailed as failure:
                self._ended[number] = failure

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

    def _come_up(self, server_id: int) -> None:
        server = self._known(server_id)
        if (server.server_type, server.region) in self.broken:
            raise ActionFailed(f"server {server_id} does not come up")
        self._change(server_id, status=ServerStatus.RUNNING)

    def _give_power(self, server_id: int, *, again: bool = False) -> None:
        if again or self._known(server_id).status is not ServerStatus.RUNNING:
            self.power_ons[server_id] += 1
        self._change(server_id, status=ServerStatus.RUNNING)

    def _press(self, server_id: int) -> None:
        if server_id not in self.deaf:
            self._change(server_id, status=ServerStatus.OFF)

    def _remove(self, server_id: int) -> None:
        self.by_id.pop(server_id, None)
