"""The composition root: the only place that knows which adapters there are. It builds them and decides nothing."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler import age
from reconciler.alerts.telling import ResolvingTeller
from reconciler.clock import SystemClock
from reconciler.errors import SandboxError
from reconciler.fleet import references
from reconciler.managed.files import NODE_VERSION
from reconciler.model import Bucket, Endpoints, Event, Fleet, Json, NodeDistribution, Provider, Secret
from reconciler.node_releases import security_releases
from reconciler.ports import Channel, Cloud, Ports, Secrets, Vault
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from reconciler.secrets import fleet_key
from reconciler.secrets.allowed import allowed_sources
from reconciler.secrets.for_children import SecretsForChildren, cloud_token
from reconciler.secrets.references import ReferenceSecrets
from reconciler.secrets.sandbox import SandboxSecrets
from reconciler.store import DirectoryStore
from reconciler.vaults.directory import DirectoryVault
from reconciler.wire import reaches

# SHA-256 of nodejs.org's own tarballs, as public lists quote its SHASUMS256.txt: two independent ones agree on x86_64,
# aarch64 stands in one. Not downloaded by us; a wrong digest makes the step fail and installs nothing.
OFFICIAL_NODE: Final = {
    "x86_64": NodeDistribution(
        NODE_VERSION,
        f"https://nodejs.org/dist/v{NODE_VERSION}/node-v{NODE_VERSION}-linux-x64.tar.xz",
        "fd8e59d5a511510f6a298afb548f18c7d2b1be404d8b4a27d94fbe49f56cb2d6",
    ),
    "aarch64": NodeDistribution(
        NODE_VERSION,
        f"https://nodejs.org/dist/v{NODE_VERSION}/node-v{NODE_VERSION}-linux-arm64.tar.xz",
        "6ad1325edbdb5649c379b75a237147a666c95d4f9ae8d340fef2d1575d289ad2",
    ),
}

LONGEST_NAME: Final = 200  # characters

Progress = Callable[[str, str, float], None]


def build_ports(
    fleet: Fleet,
    state_dir: Path,
    progress: Progress,
    allow_sources: str | None = None,
    allow_cmd: Sequence[str] = (),
    key: Secret | None = None,
    *,
    only_looks: bool = False,
) -> Ports:
    """Every adapter of this fleet; with `key` as its fleet key, else with the one that is found.

    For who `only_looks` that may be a probe key. Raises SecretError, SandboxError.
    """
    # hcloud and fabric cost 0.3 s to import; only a command that gets here needs them.
    from reconciler.ssh import FabricDialer

    clock = SystemClock()
    resolver = _resolver(fleet, allow_sources, allow_cmd)
    key = key or fleet_key.find(fleet, resolver, os.environ, may_be_probe=only_looks)
    cloud, secrets, endpoints = _outside(fleet, key, resolver, clock)
    store, home, root = DirectoryStore(state_dir, clock), Path(fleet.path).parent, endpoints.telegram_api_root

    def vault(place: str | Bucket) -> Vault:
        return _vault(place, home, resolver)

    def channel() -> AbstractContextManager[Channel]:
        from reconciler.telegram import TelegramChannel  # its library takes a tenth of a second, and few commands it

        return TelegramChannel(clock, root)

    outside = (cloud, FabricDialer(), store, clock, secrets, endpoints)
    teller = ResolvingTeller(resolver.resolve)
    beyond = reaches, _nobody_knows if fleet.provider is Provider.SANDBOX else security_releases
    return Ports(*outside, key, progress, vault, age, channel, teller, *beyond, operator(os.environ))


def _nobody_knows() -> None:
    """The sandbox has no list of Node.js's releases, and asks nobody outside."""


def operator(environ: Mapping[str, str]) -> str:
    """Who asks, as they say themselves: FLEET_OPERATOR, whose CI job it is, or this machine's account."""
    told = (environ.get(name, "") for name in ("FLEET_OPERATOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "SUDO_USER"))
    said = next(filter(None, told), "")
    try:
        return said[:LONGEST_NAME] or getpass.getuser()
    except (OSError, KeyError):  # this account has no name
        return ""


def _vault(place: str | Bucket, home: Path, resolver: ReferenceSecrets) -> Vault:
    """`place` as the fleet file names it: a directory counts from the file's own, `home`. Raises SecretError."""
    if isinstance(place, str):
        return DirectoryVault(home / place)
    from reconciler.vaults.bucket import BucketVault  # it takes a tenth of a second, and most fleets have none

    return BucketVault(place, resolver.resolve(place.access_key), resolver.resolve(place.secret_key))


def open_store(state_dir: Path) -> DirectoryStore:
    """The state directory alone, for who only reads what was done."""
    return DirectoryStore(state_dir, SystemClock())


def moment() -> datetime:
    """Now, for who has no fleet at hand."""
    return SystemClock().now()


def note(store: DirectoryStore, event: str, **fields: Json) -> None:
    """A line in the journal, with who asks for it, for who has nothing else but that directory."""
    clock = SystemClock()
    told = {**fields, "by": operator(os.environ)}
    store.append(Event(event, clock.now().isoformat(), clock.token(), told), durable=True)


def find_key(fleet: Fleet, allow_sources: str | None = None, allow_cmd: Sequence[str] = ()) -> tuple[Secret, str]:
    """The fleet key and, in words, where it was found. Raises SecretError."""
    key = fleet_key.find(fleet, _resolver(fleet, allow_sources, allow_cmd), os.environ)
    return key, fleet_key.place(fleet, os.environ)


def _resolver(fleet: Fleet, allow_sources: str | None, allow_cmd: Sequence[str]) -> ReferenceSecrets:
    allowed = allowed_sources(os.environ, allow_sources, allow_cmd)
    return ReferenceSecrets(Path(fleet.path).parent, references(fleet), allowed, os.environ)


def _outside(
    fleet: Fleet, key: Secret, resolver: ReferenceSecrets, clock: SystemClock
) -> tuple[Cloud, Secrets, Endpoints]:
    from reconciler.clouds.hetzner import HetznerCloud

    if fleet.provider is Provider.SANDBOX:
        info = SandboxInfo.from_file(Paths.default().info)
        token = _sandbox_token(info)
        return (
            HetznerCloud(token, clock, info.endpoint),
            SandboxSecrets(key, Path(fleet.path).parent),
            _sandbox_endpoints(info),
        )
    assert fleet.token is not None, "the schema asks for a token where the provider is hetzner"
    token = cloud_token(resolver, fleet.token, key)
    secrets = SecretsForChildren(resolver, {"the fleet key": key, "the cloud's API token": token})
    return HetznerCloud(token, clock), secrets, Endpoints(node=OFFICIAL_NODE)


def _sandbox_token(info: SandboxInfo) -> Secret:
    """FLEET_SANDBOX_TOKEN, for accounts other than the sandbox's own; else the token file that it wrote."""
    if "FLEET_SANDBOX_TOKEN" in os.environ:
        return Secret(os.environ["FLEET_SANDBOX_TOKEN"])
    try:
        return Secret(Path(info.token_file).read_text(encoding="utf-8").strip())
    except OSError as error:
        raise SandboxError(
            f"cannot read the sandbox's token in {info.token_file}: {error.strerror}",
            "run as the account that ran `fleet sandbox up`, or give the token in FLEET_SANDBOX_TOKEN",
        ) from error


def _sandbox_endpoints(info: SandboxInfo) -> Endpoints:
    node = NodeDistribution(info.node.version, info.node.url, info.node.sha256)
    return Endpoints(
        node={"x86_64": node},
        telegram_api_root=info.telegram_api_root,
        model_base_url=info.model_base_url,
        npm_registry=info.npm_registry,
    )
