"""What other programs import: load a fleet, plan it, apply it, look at it. The command line is one user of this.

fleet = FleetClient.load(Path("fleet.yaml"))
for action in fleet.plan().plan.actions: ...
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler import engine, keys
from reconciler.fleet import load_fleet
from reconciler.model import Child, Fleet, Outcome, Plan, Reason, ReasonCode, Server
from reconciler.observe import observe
from reconciler.planner import plan
from reconciler.ports import Host, Ports
from reconciler.steps.work import address_of
from reconciler.wiring import Progress, build_ports


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the look that it was made from."""

    plan: Plan
    children: dict[str, Child]


class FleetClient:
    """One fleet file and everything it talks to."""

    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        self.fleet = fleet
        self._ports = ports

    @classmethod
    def load(cls, path: Path, state_dir: Path | None = None, progress: Progress | None = None) -> FleetClient:
        """Read and check the file. Raises ConfigError, SecretError."""
        fleet = load_fleet(path)
        return cls(fleet, build_ports(fleet, state_dir or path.parent / "state", progress or _silent))

    def plan(self, names: Iterable[str] | None = None) -> Planned:
        """Look at everything (or the named children) and plan. Writes nothing."""
        seen = observe(self.fleet, self._ports, names)
        return Planned(plan(self.fleet, seen.children, seen.catalog, self._ports.clock.now()), seen.children)

    def plan_destruction(self, names: Iterable[str]) -> Planned:
        """The plan that deletes the named children, as if the file did not declare them."""
        kept = {name: spec for name, spec in self.fleet.children.items() if name not in set(names)}
        without = replace(self.fleet, children=kept)
        seen = observe(without, self._ports, names)
        made = plan(without, seen.children, seen.catalog, self._ports.clock.now())
        asked = Reason(ReasonCode.ASKED, "asked for by name; its server and the memory on it are deleted")
        actions = tuple(replace(action, reason=asked) for action in made.actions)
        return Planned(replace(made, actions=actions), seen.children)

    def lock(self, operation: str) -> AbstractContextManager[None]:
        """Held from planning to the end of applying. Raises LockHeld."""
        return self._ports.store.lock(operation)

    def apply(self, planned: Planned, workers: int = engine.WORKERS) -> list[Outcome]:
        """Run the plan. Raises CloudError when the fleet's own resources cannot be made."""
        return engine.apply(self.fleet, planned.plan, planned.children, self._ports, workers)

    def servers(self) -> dict[str, Server | None]:
        """Every declared child and every server of this fleet, by one listing and without SSH."""
        found: dict[str, Server | None] = dict.fromkeys(self.fleet.children)
        for server in self._ports.cloud.servers(keys.fleet_id(self._ports.fleet_key)):
            found[server.child or server.name] = server
        return found

    def connect(self, server: Server, timeout: float = 15.0) -> Host:
        """An SSH connection with the pinned key. Raises HostError."""
        first_boot = server.label("ready") is None  # a first apply that failed is what people want to look at
        return self._ports.dialer.connect(address_of(server, self.fleet, self._ports, first_boot), timeout)


def _silent(child: str, step: str, seconds: float) -> None:
    """No progress wanted."""
