"""A whole fleet in memory: FakeCloud, FakeHosts, a FakeClock and the real store, ready for FleetClient."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler import age
from reconciler.api import NOTHING_SPECIAL, FleetClient
from reconciler.model import (
    BackupSettings,
    ChildSpec,
    Endpoints,
    Event,
    Fleet,
    NodeDistribution,
    Outcome,
    OutcomeCode,
    PlanOptions,
    Policy,
    Provider,
    Rollout,
    SecretRef,
    Server,
)
from reconciler.ports import Ports
from reconciler.secrets.sandbox import SandboxSecrets
from reconciler.store import DirectoryStore
from reconciler.vaults.directory import DirectoryVault
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import FakeClock
from tests.fakes.cloud import FakeCloud
from tests.fakes.dialer import FakeDialer
from tests.fakes.host import FakeHost
from tests.fakes.teller import FakeTeller
from tests.fakes.worlds import FLEET_KEY, make_spec

NODE = NodeDistribution("24.21.0", "https://node.example/node.tar.xz", "0" * 64)


@dataclass
class FakeFleet:
    """The world outlives its clients: `client()` is a new process on the same cloud, hosts and state directory."""

    state: Path
    names: tuple[str, ...] = ("alice", "bob")
    clock: FakeClock = field(default_factory=FakeClock)
    progress: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.specs: dict[str, ChildSpec] = {name: make_spec(name, server_type="cpx22") for name in self.names}
        self.cloud = FakeCloud(self.clock.now)
        self.dialer = FakeDialer(self.cloud, self.clock)
        self.store = DirectoryStore(self.state, self.clock)
        self.secrets, self.channel = SandboxSecrets(FLEET_KEY, self.state.parent), FakeChannel()
        self.teller = FakeTeller()
        self.moved: dict[str, str] = {}
        self.policy = Policy()
        self.rollout = Rollout()
        self.node_fixes: tuple[str, ...] | None = ()
        self.probe: int | None = None  # the generation of the probe key

    @property
    def vault(self) -> Path:
        """Where a fleet file that says nothing of it keeps backups: beside the state, and not of it."""
        return self.state.parent / BackupSettings().to  # type: ignore[operator]  # by default it is a directory

    def copy(self, state: Path) -> FakeFleet:
        """The same world with its state directory in another place, that goes its own way from here.

        Two that lie side by side share their backups.
        """
        twin = FakeFleet(state, self.names, self.clock.copy())
        twin.specs, twin.moved = dict(self.specs), dict(self.moved)
        twin.policy, twin.rollout, twin.probe = self.policy, self.rollout, self.probe
        twin.cloud = self.cloud.copy(twin.clock.now)
        twin.dialer, twin.channel = self.dialer.copy(twin.cloud, twin.clock), self.channel.copy()
        for source, target in ((self.state, twin.state), (self.vault, twin.vault)):
            if source.exists() and source != target:
                shutil.copytree(source, target)
        return twin

    def remove(self) -> None:
        """Nothing of it is left on this machine."""
        for place in (self.state, self.vault):
            shutil.rmtree(place, ignore_errors=True)

    def change(self, name: str, **changes: Any) -> None:
        """What the fleet file says of one child from now on."""
        self.specs[name] = replace(self.specs[name], **changes)

    def move(self, old: str, new: str) -> None:
        """The fleet file gives a child another name, and says so under `moved`."""
        self.specs[new] = replace(self.specs.pop(old), name=new)
        self.moved[new] = old

    def fleet(self) -> Fleet:
        token, specs = SecretRef("env", "TOKEN"), dict(self.specs)
        place, moved = "fleet.yaml", dict(self.moved)
        asked = ("demo", Provider.HETZNER, token, None, 1, specs, place, self.policy, self.rollout)
        return Fleet(*asked, moved=moved, probe_generation=self.probe)

    def ports(self) -> Ports:
        endpoints = Endpoints({"x86_64": NODE})
        return Ports(
            *(self.cloud, self.dialer, self.store, self.clock, self.secrets, endpoints, FLEET_KEY),
            *(self._keep_progress, lambda place: DirectoryVault(self.state.parent / str(place)), age),
            channel=lambda: self.channel,
            teller=self.teller,
            reaches=self._reaches,
            node_releases=lambda: self.node_fixes,
            operator="ada",
        )

    def client(self) -> FleetClient:
        return FleetClient(self.fleet(), self.ports())

    def apply(self, workers: int = 4, options: PlanOptions = NOTHING_SPECIAL) -> list[Outcome]:
        """A new process that looks, plans and applies."""
        client = self.client()
        with client.lock("fleet apply"):
            return client.apply(client.plan(options=options), workers)

    def applied(self, workers: int = 4) -> FakeFleet:
        """The same, after a first apply that went well."""
        outcomes = self.apply(workers)
        assert [outcome.code for outcome in outcomes] == [OutcomeCode.DONE] * len(self.names), outcomes
        return self

    def planned(self) -> list[str]:
        return [f"{action.kind} {action.child}: {action.reason.code}" for action in self.client().plan().plan.actions]

    def server(self, name: str) -> Server:
        return next(server for server in self.cloud.by_id.values() if server.name == f"demo-{name}")

    def host(self, name: str) -> FakeHost:
        return self.dialer.of(name)

    def events(self) -> list[Event]:
        return list(self.store.events())

    def _reaches(self, address: str, port: int, timeout: float) -> bool:
        """Who listens there beyond loopback is reached, where both firewalls let one through."""
        server = next(it for it in self.cloud.by_id.values() if it.address == address)
        host, source = self.dialer.hosts[server.id], self.dialer.source
        is_open = port in host.closer.get("open_ports", [])
        return is_open and self.cloud.lets_in(server, source, port) and host.answers(source, port)

    def _keep_progress(self, child: str, step: str, seconds: float) -> None:
        self.progress.append(f"{child}: {step}")
