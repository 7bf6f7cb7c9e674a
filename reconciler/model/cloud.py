"""What the cloud says and is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.secret import Secret

LABEL_PREFIX = "openclaw-deploy/"


class ServerStatus(StrEnum):
    """Hetzner's own words (facts: POST /servers, section 2)."""

    RUNNING = "running"
    INITIALIZING = "initializing"
    STARTING = "starting"
    STOPPING = "stopping"
    OFF = "off"
    DELETING = "deleting"
    MIGRATING = "migrating"
    REBUILDING = "rebuilding"
    UNKNOWN = "unknown"


SETTLED = frozenset({ServerStatus.RUNNING, ServerStatus.OFF, ServerStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Server:
    """A VM as the cloud lists it."""

    id: int
    name: str
    status: ServerStatus
    region: str
    server_type: str
    image: str | None
    address: str | None  # public IPv4
    created: datetime
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, name: str) -> str | None:
        """The value of our own label `openclaw-deploy/<name>`."""
        return self.labels.get(LABEL_PREFIX + name)

    @property
    def child(self) -> str | None:
        return self.label("child")

    @property
    def uid(self) -> str | None:
        return self.label("uid")


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """What POST /servers is told. `labels` carry the identity; `user_data` carries the first host key."""

    name: str
    server_type: str
    image: str
    region: str
    user_data: Secret
    labels: Mapping[str, str]
    ssh_key_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FirewallSpec:
    """A cloud firewall, attached by label selector and never by server id. Inbound TCP ports only."""

    name: str
    selector: str
    labels: Mapping[str, str]
    inbound_tcp: tuple[int, ...] = (22,)


@dataclass(frozen=True, slots=True)
class ServerType:
    """A server type; `regions` says where it can be ordered now, `monthly` the net price per region."""

    name: str
    architecture: str
    cores: int
    memory_gb: float
    regions: Mapping[str, bool]
    monthly: Mapping[str, str]  # decimal string, account currency


@dataclass(frozen=True, slots=True)
class Catalog:
    """What can be ordered, as of `as_of`."""

    types: Mapping[str, ServerType]
    regions: tuple[str, ...]
    images: frozenset[str]
    currency: str
    ipv4_monthly: Mapping[str, str]
    as_of: datetime
