"""What fleet.yaml wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.secret import SecretRef


class AccessPolicy(StrEnum):
    """Who may talk to a bot: OpenClaw's `channels.telegram.dmPolicy`."""

    PAIRING = "pairing"
    ALLOWLIST = "allowlist"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model answers, and where its key is found."""

    provider: str
    name: str
    key: SecretRef


@dataclass(frozen=True, slots=True)
class Users:
    """Telegram user ids; `owner` may give the bot commands."""

    policy: AccessPolicy = AccessPolicy.PAIRING
    allowed: tuple[int, ...] = ()
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child as fleet.yaml wants it, defaults filled in. `line` is where it starts in the file."""

    name: str
    region: str
    server_type: str
    image: str
    version: str
    bot_token: SecretRef
    model: ModelSettings
    users: Users = Users()
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: bool = False
    line: int = 0


class Provider(StrEnum):
    HETZNER = "hetzner"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Fleet:
    """fleet.yaml, checked. `key` and `token` are None when the file leaves them to the default place."""

    name: str
    provider: Provider
    token: SecretRef | None
    key: SecretRef | None
    ssh_generation: int
    children: Mapping[str, ChildSpec]
    path: str


@dataclass(frozen=True, slots=True)
class NodeDistribution:
    """A Node.js tarball: one top directory with bin/ and lib/, checked against `sha256` before it is unpacked."""

    version: str
    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Outside addresses that a host uses; the sandbox replaces every one of them by its own."""

    node: Mapping[str, NodeDistribution]  # by architecture as `uname -m` says it
    telegram_api_root: str | None = None
    model_base_url: str | None = None
    npm_registry: str | None = None
