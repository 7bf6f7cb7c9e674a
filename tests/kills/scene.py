"""One fleet for the real command: a cloud and machines in this process, the operator in others, all in one network.

The operator's processes share nothing with us but HTTP and SSH; what they did is read from the emulator's log and from
the machines.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from reconciler import age, keys
from reconciler.api import FleetClient, Planned
from reconciler.clock import SystemClock
from reconciler.clouds.hetzner import HetznerCloud
from reconciler.fleet import load_fleet
from reconciler.model import ChildSpec, Endpoints, Secret
from reconciler.ports import Ports, Vault
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.secrets.sandbox import SandboxSecrets
from reconciler.ssh import FabricDialer
from reconciler.store import DirectoryStore
from tests.contract.errors.namespace import Namespace, hold_namespace
from tests.contract.errors.running import PROJECT
from tests.contract.errors.world import TOKEN, Stage, stage
from tests.contract.serving import serve
from tests.fakes.channel import FakeChannel
from tests.fakes.teller import FakeTeller

PATIENCE: Final = 120  # seconds for one command
FLEET_KEY: Final = keys.make_key(bytes(range(32)))
CHILD: Final[Mapping[str, Any]] = {
    "region": "fsn1",
    "server_type": "cpx22",
    "version": "2026.9.6",
    "bot": {"token": "env:BOT_TOKEN"},
    "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
}

T = TypeVar("T")
Declared = Mapping[str, Mapping[str, Any]]
OpenScene = Callable[[], AbstractContextManager["Scene"]]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str


@dataclass
class Scene:
    """`directory` holds the fleet file."""

    namespace: Namespace
    stage: Stage
    directory: Path

    # --- the operator -----------------------------------------------------------------------------------------

    def declare(self, children: Declared, **more_of_fleet: Any) -> None:
        """What the fleet file says from now on: of each child what differs from CHILD. Each has a bot of its own."""
        specs = {
            name: {**CHILD, "bot": {"token": f"env:{name.replace('-', '_')}"}, **more}
            for name, more in children.items()
        }
        fleet = {"fleet": "demo", "cloud": {"provider": "sandbox"}, "children": specs, **more_of_fleet}
        (self.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet), encoding="utf-8")

    def declared(self) -> dict[str, ChildSpec]:
        """The children of the fleet file."""
        return dict(load_fleet(self.directory / "fleet.yaml").children)

    def start(self, *arguments: str, output: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """`fleet ARGUMENTS` as a process of its own; its id is that of the command itself."""
        command = self.namespace.command([sys.executable, "-m", "reconciler", *arguments], self.directory)
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROJECT),
            "HOME": str(self.directory),
            "FLEET_KEY": FLEET_KEY.reveal(),
        }
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True
        )

    def fleet(self, *arguments: str) -> Ended:
        """`fleet ARGUMENTS` to its end, whatever that is."""
        with self.start(*arguments, output=subprocess.PIPE) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        assert "Traceback" not in output, output
        return Ended(process.returncode, output)

    # --- what is there ----------------------------------------------------------------------------------------

    def look(self) -> Planned:
        """What the product sees, over HTTP and SSH as well, and what it would do."""
        info = SandboxInfo.from_file(self.stage.info)
        clock = SystemClock()
        cloud = HetznerCloud(Secret(TOKEN), clock, info.endpoint)
        store = DirectoryStore(self.directory / "state", clock)
        endpoints = Endpoints(
            {"x86_64": info.node}, info.telegram_api_root, info.model_base_url, npm_registry=info.npm_registry
        )
        fleet = load_fleet(self.directory / "fleet.yaml")
        secrets = SandboxSecrets(FLEET_KEY)
        outside = cloud, FabricDialer(), store, clock, secrets, endpoints, FLEET_KEY
        unasked = FakeChannel, FakeTeller(), lambda *_: False, lambda: ()
        ports = Ports(*outside, lambda *_: None, _no_vault, age, *unasked)
        try:
            with self.namespace.inside():
                return FleetClient(fleet, ports).plan()
        finally:
            cloud.close()

    def creates(self) -> Counter[str]:
        """How often a server of each name was made, by the emulator's own log."""
        log = self.stage.cloud.log.entries
        made = [entry for entry in log if (entry.method, entry.path) == ("POST", "/servers") and entry.status < 400]
        return Counter(str(entry.name) for entry in made)

    def servers(self) -> dict[str, Any]:
        """The emulator's rows by child."""
        return {server.name.removeprefix("demo-"): server for server in self.stage.cloud.servers.values()}

    def ask(self, child: str, question: Callable[[SimulatedHost], T]) -> T:
        return self.stage.machines.ask(self.servers()[child].id, question)


@contextmanager
def scenes(directory: Path) -> Iterator[OpenScene]:
    """Opens one scene after the other, each with an empty cloud, all in one network that ends with the block."""
    numbers = itertools.count()
    with ExitStack() as opened:
        namespace = opened.enter_context(hold_namespace())
        with namespace.inside():
            host = opened.enter_context(serve())

        @contextmanager
        def open_scene() -> Iterator[Scene]:
            place = directory / str(next(numbers))
            place.mkdir()
            with stage(namespace, host) as set_up:
                yield Scene(namespace, set_up, place)

        yield open_scene


def _no_vault(place: object) -> Vault:
    raise AssertionError(f"nothing is backed up here: {place}")
