"""The world of one case: the emulated cloud, simulated machines behind it, and the trouble that is made for them."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from reconciler import keys
from reconciler.managed import files
from reconciler.model import NodeDistribution
from reconciler.sandbox.emulator.app import build_app
from reconciler.sandbox.emulator.faults import checked
from reconciler.sandbox.emulator.world import World
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Answer, Fate, Interruption, Moment, Trouble
from reconciler.sandbox.telegram import Fault, TelegramStandIn
from tests.contract.errors.namespace import Namespace
from tests.contract.serving import Host

SUBNET: Final = IPv4Network("127.83.0.0/24")  # loopback: no route has to be made
TOKEN: Final = "planted-token-of-the-cloud-that-nobody-may-ever-see"
READ_ONLY_TOKEN: Final = "planted-token-that-may-only-read-and-nobody-may-see"
OTHER_KEY: Final = keys.host_key(keys.make_key(bytes(32)), "somebody else", 0).reveal().encode()


@dataclass
class Stage:
    """What a case may turn bad."""

    cloud: World
    machines: SimulatedMachines
    info: Path

    def set_faults(self, faults: Sequence[str]) -> None:
        """Each is KIND ON [VALUE [TIMES]]."""
        for fault in faults:
            kind, on, *more = shlex.split(fault)
            value, times = (*more, "", "")[:2] if len(more) != 1 else (more[0], "")
            self.cloud.faults.set(checked(kind, on, value, int(times) if times else None))

    def set_sandbox(self, text: str) -> None:
        """As if none were up ("down"), or with another text in the file that says where it is."""
        if text == "down":
            self.info.unlink()
        elif text:
            self.info.write_text(text, encoding="utf-8")

    def make_trouble(self, child: str, name: str) -> None:
        machine = next(spec.id for spec in self.machines.specs() if spec.hostname.endswith(f"-{child}"))
        trouble = TROUBLES[name]
        if isinstance(trouble, Trouble):
            self.machines.make_trouble(machine, trouble)
        else:
            self.machines.ask(machine, trouble)


REVOKED, OUT_OF_ORDER = 401401401, 500500500  # bots of which Telegram says that and nothing else


@contextmanager
def stage(namespace: Namespace, host: Host, *, with_bots: bool = False) -> Iterator[Stage]:
    """A cloud without servers, and the file in /run by which `fleet` finds it.

    Telegram is nowhere, unless it is `with_bots`: then its address differs from stage to stage.
    """

    def listen(address: str, port: int) -> socket.socket:
        with namespace.inside():
            return socket.create_server((address, port), backlog=128)

    with SimulatedMachines(listen, boot_seconds=0) as machines:
        cloud = World(machines, SUBNET, 10, pace=0.01)
        app = build_app(cloud, TOKEN, read_only_token=READ_ONLY_TOKEN)
        telegram = TelegramStandIn()
        telegram.set_fault(REVOKED, Fault.UNAUTHORIZED)
        telegram.set_fault(OUT_OF_ORDER, Fault.SERVER_ERROR)
        with host.mount(app, app) as url, host.mount(telegram.app, telegram.app) as bots:
            root = bots if with_bots else "http://127.83.0.2:8081"
            yield Stage(cloud, machines, _announce(namespace.root, f"{url}/v1", root))
        assert machines.objections() == {}


def _announce(root: Path, endpoint: str, bots: str) -> Path:
    def inside(path: Path) -> Path:
        return root / path.relative_to("/")

    paths = Paths()
    inside(paths.run).mkdir(exist_ok=True)
    inside(paths.token).write_text(TOKEN, encoding="utf-8")
    SandboxInfo(
        endpoint=endpoint,
        token_file=str(paths.token),
        subnet=str(SUBNET),
        gateway="127.83.0.1",
        service="127.83.0.2",
        telegram_api_root=bots,
        model_base_url="http://127.83.0.2:8082",
        npm_registry="http://127.83.0.2:4873",
        node=NodeDistribution("24.21.0", "http://127.83.0.2:4873/node.tar.xz", "0" * 64),
    ).to_file(inside(paths.info))
    return inside(paths.info)


# --- what can be wrong with a host that was well ------------------------------------------------------------------


def _shows_another_key(host: SimulatedHost) -> None:
    host.private_key = OTHER_KEY


def _knows_no_login(host: SimulatedHost) -> None:
    for path in [path for path in host.files if path.endswith("authorized_keys")]:
        del host.files[path]


def _takes_no_configuration(host: SimulatedHost) -> None:
    host.invalid_config = "channels.telegram: Unrecognized key"


def _has_a_gateway_that_ends(host: SimulatedHost) -> None:
    """It has stopped, and ends as soon as it is started."""
    host.gateway.flawed = {str(host.gateway.version): "exits"}
    host.gateway.stop()


def _has_no_json(host: SimulatedHost) -> None:
    host.files[files.CONFIG_PATH] = replace(host.files[files.CONFIG_PATH], content=b"{ cut off by a full di")


def _was_applied_by_a_newer_version(host: SimulatedHost) -> None:
    applied = host.files[files.APPLIED_PATH]
    newer = {**json.loads(applied.content), "tool": "99.0.0"}
    host.files[files.APPLIED_PATH] = replace(applied, content=json.dumps(newer).encode())


TROUBLES: Final[dict[str, Trouble | Callable[[SimulatedHost], None]]] = {
    "refuses": Trouble(Answer.REFUSES),
    "hangs": Trouble(Answer.HANGS),
    "hangs-up": Trouble(interruption=Interruption(0, Moment.BEFORE, Fate.HANGS_UP)),
    "shows-another-key": _shows_another_key,
    "knows-no-login": _knows_no_login,
    "takes-no-configuration": _takes_no_configuration,
    "has-no-json": _has_no_json,
    "has-a-gateway-that-ends": _has_a_gateway_that_ends,
    "applied-by-a-newer-version": _was_applied_by_a_newer_version,
}
