"""A person's home, the cloud under its real name and simulated machines; and the person's commands, overheard."""

from __future__ import annotations

import json
import logging
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from reconciler import keys
from reconciler.model import LABEL_PREFIX
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.simulated.disk import File
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.machines import SimulatedMachines
from tests.contract.errors.namespace import Namespace, hold_namespace
from tests.contract.errors.running import PROJECT
from tests.contract.secrets.cloud import Overheard, under_its_name
from tests.contract.secrets.watching import Seen, watching

SUBNET: Final = IPv4Network("127.84.0.0/24")  # loopback: no route has to be made
PATIENCE: Final = 60  # seconds for a command
AT_A_TIME: Final = 3

FLEET_KEY: Final = keys.make_key(bytes(range(7, 39)))
CLOUD_TOKEN: Final = "planted-cloud-token-0123456789abcdefghijklmnopqrstuvwxyz-nobody-may"
# With what URLs, JSON and shells write differently.
MODEL_KEY: Final = "sk-ant-planted/+=&?\"\\'$(id)é%20 nobody-may-see"
BOT_TOKENS: Final = {
    "alice": "4242424242:planted-AAaabbBBccCCddDDeeEEffFFggG",
    "bob": "4343434343:planted-HHhhiiIIjjJJkkKKllLLmmMMnnN",
    "carol": "4444444444:planted-OOooppPPqqQQrrRRssSSttTTuuU",
}
IDENTITY: Final = keys.login_key(keys.make_key(bytes(32)), "a person's own", 1)
FOREIGN_HOST_KEY: Final = keys.host_key(keys.make_key(bytes(32)), "somebody else's server", 1)

FLEET: Final = """\
fleet: demo
cloud: {{provider: hetzner, token: "hcloud:production"}}
defaults:
  region: fsn1
  server_type: cx23
  image: debian-12
  version: 2026.9.6
  model: {{provider: anthropic, name: claude-sonnet-4-6, key: "file:secrets.json#/model/key"}}
  users: {{policy: pairing}}
children:
  alice: {{bot: {{token: "env:FLEET_SECRET_ALICE_BOT"}}}}
  bob: {{bot: {{token: "cmd:{home}/bot-of-bob"}}}}
  carol: {{bot: {{token: "file:carol.token"}}}}
"""
# What the program of a `cmd:` reference is given is noted where it stands.
BOT_OF_BOB: Final = """\
#!/bin/sh
cat /proc/$$/environ >"$HOME/given.environ"
cat /proc/$$/cmdline >"$HOME/given.argv"
cat "$HOME/bob.token"
"""


@dataclass(frozen=True)
class Said:
    line: str
    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Scene:
    """`here` is the working directory; `home` has the operator's own files, and whatever a command leaves there."""

    namespace: Namespace
    home: Path
    machines: SimulatedMachines
    world: World
    cloud: Overheard
    certificate: Path
    seen: Seen
    said: list[Said] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    disks: dict[str, dict[str, File]] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def here(self) -> Path:
        return self.home / "demo"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(PROJECT),
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "HCLOUD_CONFIG": str(self.home / "cli.toml"),
            "FLEET_CONFIG_HOME": str(self.home / "keys"),
            "FLEET_SECRET_ALICE_BOT": BOT_TOKENS["alice"],
            "FLEET_ALLOW_CMD": str(self.home / "bot-of-bob"),
            "FLEET_LOG": str(self.home / "fleet.log"),
            "FLEET_DEBUG": "1",
        }

    def fleet(self, line: str, *codes: int, typed: str = "") -> Said:
        """`fleet LINE` to its end, which is one of `codes` (0, when none is named)."""
        argv = self.namespace.command([sys.executable, "-m", "reconciler", *shlex.split(line)], self.here)
        done = subprocess.run(
            argv, env=self.environment, input=typed.encode(), capture_output=True, timeout=PATIENCE, check=False
        )
        said = Said(
            line, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )
        self.said.append(said)
        assert said.code in (codes or (0,)), f"$ fleet {line}\n{said.text}(exit {said.code})"
        return said

    def look(self, lines: Sequence[str], *codes: int) -> None:
        """Commands that change nothing, some at a time."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda line: self.fleet(line, *codes), lines))

    def write_fleet(self, without: str = "") -> None:
        lines = FLEET.format(home=self.home).splitlines(keepends=True)
        kept = [line for line in lines if not (without and line.startswith(f"  {without}:"))]
        (self.here / "fleet.yaml").write_text("".join(kept), encoding="utf-8")

    def machine(self, child: str) -> int:
        return next(spec.id for spec in self.machines.specs() if spec.hostname == f"demo-{child}")

    def ask(self, child: str, question: Callable[[SimulatedHost], Any]) -> Any:
        return self.machines.ask(self.machine(child), question)

    def address(self, child: str) -> str:
        return next(spec.address for spec in self.machines.specs() if spec.hostname == f"demo-{child}")

    def note_servers(self) -> None:
        """Whose uid is which, and what lies on the machines now."""
        labels = [server.labels for server in self.world.servers.values()]
        self.uids |= {
            it[f"{LABEL_PREFIX}child"]: it[f"{LABEL_PREFIX}uid"] for it in labels if f"{LABEL_PREFIX}uid" in it
        }
        for spec in self.machines.specs():
            self.disks[spec.hostname] = self.machines.ask(spec.id, lambda host: deepcopy(host.files))


@contextmanager
def scene(home: Path) -> Iterator[Scene]:
    """Needs root. All that it starts ends with it."""
    with hold_namespace() as namespace:

        def listen(address: str, port: int) -> socket.socket:
            with namespace.inside():
                return socket.create_server((address, port), backlog=128)

        _lay_out(home)
        with SimulatedMachines(listen, boot_seconds=0) as machines:
            world = World(machines, SUBNET, 10, pace=0.01)
            overheard = Overheard(build_app(world, CLOUD_TOKEN))
            with under_its_name(namespace, overheard, home / "cloud") as certificate, watching(namespace, home) as seen:
                made = Scene(namespace, home, machines, world, overheard, certificate, seen)
                made.write_fleet(without="carol")
                with _remote_lines(made.lines):
                    yield made
            assert machines.objections() == {}


def order_foreign_server(made: Scene) -> None:
    """A server that somebody made by hand in the cloud's console, and that runs."""
    user = {"name": "admin", "sudo": ["ALL=(ALL) NOPASSWD:ALL"], "ssh_authorized_keys": [keys.public_key(IDENTITY)]}
    ssh_keys = {"ed25519_private": FOREIGN_HOST_KEY.reveal(), "ed25519_public": keys.public_key(FOREIGN_HOST_KEY)}
    order = {
        "name": "by-hand",
        "server_type": "cx23",
        "image": "debian-12",
        "location": "fsn1",
        "user_data": yaml.safe_dump({"users": [user], "ssh_keys": ssh_keys}),
    }
    url, deadline = "https://127.0.0.1/v1/servers", time.monotonic() + PATIENCE
    with made.namespace.inside(), requests.Session() as session:
        session.trust_env, session.verify = False, str(made.certificate)
        session.headers["Authorization"] = f"Bearer {CLOUD_TOKEN}"
        number = session.post(url, json=order, timeout=10).json()["server"]["id"]
        while session.get(f"{url}/{number}", timeout=10).json()["server"]["status"] != "running":
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.02)


def _lay_out(home: Path) -> None:
    """The operator's own files, each private."""
    for name in ("demo", "keys", "tmp", "cloud"):
        (home / name).mkdir()
    contents = {
        "keys/demo.key": f"{FLEET_KEY.reveal()}\n",
        "cli.toml": f'active_context = "other"\n[[contexts]]\nname = "production"\ntoken = "{CLOUD_TOKEN}"\n',
        "demo/secrets.json": json.dumps({"model": {"key": MODEL_KEY}}),
        "demo/carol.token": f"{BOT_TOKENS['carol']}\n",
        "bob.token": f"{BOT_TOKENS['bob']}\n",
        "identity": IDENTITY.reveal(),
        "bot-of-bob": BOT_OF_BOB,
    }
    for name, text in contents.items():
        (home / name).write_text(text, encoding="utf-8")
        (home / name).chmod(0o600)
    (home / "bot-of-bob").chmod(0o700)


@contextmanager
def _remote_lines(lines: list[str]) -> Iterator[None]:
    """Every line that is executed on a machine, as its sshd was given it: asyncssh says them in its log."""

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Command: " in record.getMessage():
                lines.append(record.getMessage().partition("Command: ")[2])

    logger, keeper = logging.getLogger("asyncssh"), Keeper()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(keeper)
    try:
        yield
    finally:
        logger.removeHandler(keeper)
        logger.setLevel(before)
