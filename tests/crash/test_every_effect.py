"""A first apply is ended before and after every single thing that it does outside; the next one goes on from there.

What is outside: writes to the cloud, commands on hosts, lines in the journal, records. Reads change nothing, so dying
around them is dying around the effect before.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.api import FleetClient
from reconciler.managed import MANAGED
from reconciler.model import HostFacts, Json, ServerStatus
from reconciler.ports import Cloud, Dialer, Store
from tests.fakes.fleets import FakeFleet

CLOUD_WRITES = {
    *("ensure_ssh_key", "ensure_firewall", "restore_firewall", "delete_firewall"),
    *("create_server", "set_labels", "rename", "change_type", "set_backups", "delete_server"),
    *("power_on", "power_off", "shutdown"),
}
STORE_WRITES = {"append", "save", "forget"}
READS = ("wait for", "probe", "read ", "validate ", "call ")
OF_ONE_UID = {"login key", "host key", "host key file", "gateway token", "bot token", "model key"}
LONG_ENOUGH = 120.0  # seconds, for whatever takes itself back


class Died(BaseException):
    """The process ends here, as by kill -9: nothing catches this."""


@dataclass
class Fate:
    """Dies before or after its `moment`-th effect (from 0); a process that is dead has no effect any more."""

    moment: int | None = None
    after: bool = False
    effects: list[str] = field(default_factory=list)
    dead: bool = False

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        if self.dead:
            raise Died
        is_last = len(self.effects) == self.moment
        self.effects.append(name)
        if is_last and not self.after:
            self._die()
        yield
        if is_last:
            self._die()

    def _die(self) -> None:
        self.dead = True
        raise Died


class Doomed:
    """Any port, some of whose methods are effects."""

    def __init__(self, inner: Any, fate: Fate, writes: set[str]) -> None:
        self._inner, self._fate, self._writes = inner, fate, writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._counted(name, method) if name in self._writes else method

    def connect(self, *arguments: Any) -> Any:
        return Doomed(self._inner.connect(*arguments), self._fate, {"run"})

    def _counted(self, name: str, method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            what = str(getattr(arguments[0], "name", getattr(arguments[0], "event", "")))
            if name == "run" and what.startswith(READS):
                return method(*arguments)
            with self._fate.effect(f"{name} {what}"):
                return method(*arguments)

        return call


def apply_until(world: FakeFleet, fate: Fate) -> None:
    """One process, one child after the other, so that the same moment is always the same effect."""
    ports = replace(
        world.ports(),
        cloud=cast(Cloud, Doomed(world.cloud, fate, CLOUD_WRITES)),
        dialer=cast(Dialer, Doomed(world.dialer, fate, set())),
        store=cast(Store, Doomed(world.store, fate, STORE_WRITES)),
    )
    client = FleetClient(world.fleet(), ports)
    with client.lock("fleet apply"), suppress(Died):
        client.apply(client.plan(), workers=1)


def pass_time(world: FakeFleet, seconds: float) -> None:
    """The cloud ends what it was asked for, whoever asked."""
    world.clock.sleep(seconds)
    for server in list(world.cloud.by_id.values()):
        if server.status is ServerStatus.INITIALIZING:
            world.cloud.add(replace(server, status=ServerStatus.RUNNING))


def outcome(world: FakeFleet) -> dict[str, Any]:
    """Everything that is now, but for what differs between two runs: times, and what derives from a uid."""
    planned = world.client().plan()
    return {
        "to do": [f"{action.kind} {action.child}" for action in planned.plan.actions],
        "firewalls": world.cloud.walls,
        "keys": {name: key.public_key for name, key in world.cloud.keys.items()},
        "servers": {name: server_facts(world, name) for name in world.names},
        "facts": {name: comparable(child.facts) for name, child in planned.children.items()},
        "in force": {name: in_force(world, name) for name in world.names},
    }


def server_facts(world: FakeFleet, name: str) -> dict[str, Any]:
    server = world.server(name)
    labels = {key: value for key, value in server.labels.items() if not key.endswith(("/uid", "/nonce"))}
    return {"status": server.status, "type": server.server_type, "region": server.region, "labels": labels}


def comparable(facts: HostFacts | None) -> dict[str, Any]:
    assert facts is not None
    value = asdict(facts)
    value.pop("clock")
    value["applied"].pop("at")
    value["applied"]["repairs"] = sorted(value["applied"]["repairs"])  # paths; the rest are times
    value["gateway"].pop("channel_activity")
    for name in OF_ONE_UID:
        value["managed"].pop(name)
        value["applied"]["digests"].pop(name)
    return value


def in_force(world: FakeFleet, name: str) -> dict[str, Json]:
    """What the host works by, whatever lies on its disk."""
    host = world.host(name)
    return {
        "sshd": host.sshd_config.decode(),
        "metadata rules": host.metadata_rules.decode(),
        "unit": (host.gateway.unit or b"").decode(),
        "starts": host.gateway.starts,
        "first boot": "first boot is over" in host.ran,
    }


def test_the_kept_differences_are_known() -> None:
    assert OF_ONE_UID.issubset(entry.name for entry in MANAGED)


@pytest.mark.parametrize(
    ("after", "keeps_state", "pause"),
    [(False, True, 0.0), (True, False, 120.0)],
    ids=["before each, and again at once", "after each, and again later without state"],
)
def test_the_next_apply_goes_on_from_there(state: Path, after: bool, keeps_state: bool, pause: float) -> None:
    undisturbed = FakeFleet(state)
    whole = Fate()
    apply_until(undisturbed, whole)
    wanted = outcome(undisturbed)
    assert wanted["to do"] == []
    assert len(whole.effects) > 70, "this test has lost sight of most effects"

    for moment, name in enumerate(whole.effects):
        shutil.rmtree(state)
        world, fate = FakeFleet(state), Fate(moment, after)
        apply_until(world, fate)
        assert fate.dead, f"effect {moment} never came"
        assert fate.effects == whole.effects[: moment + 1]
        pass_time(world, pause)
        if not keeps_state:
            shutil.rmtree(state)
        world.apply(workers=1)
        pass_time(world, LONG_ENOUGH)
        where = f"died {'after' if after else 'before'} effect {moment}: {name}"
        assert outcome(world) == wanted, where
        assert sorted(request.name for request in world.cloud.requests) == ["demo-alice", "demo-bob"], where
