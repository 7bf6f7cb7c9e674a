"""The emulated project's resources as values. Times are ISO 8601 strings in UTC, ready for the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model import Json


@dataclass(frozen=True, slots=True)
class Server:
    """`image` is the catalogue's image id; `status` is one of Hetzner's words."""

    id: int
    name: str
    status: str
    created: str
    server_type: str
    location: str
    image: int
    address: str
    address_id: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """A checked POST /servers. `user_data` goes to the machine and is kept nowhere else."""

    name: str
    server_type: str
    location: str
    image: int
    user_data: str
    labels: Mapping[str, str]
    start: bool


@dataclass(frozen=True, slots=True)
class SshKey:
    id: int
    name: str
    created: str
    public_key: str
    fingerprint: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Firewall:
    """`selectors` and `servers` are what it is applied to; `rules` are in wire form."""

    id: int
    name: str
    created: str
    rules: tuple[Mapping[str, Json], ...] = ()
    selectors: tuple[str, ...] = ()
    servers: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """`resources` are (type, id) pairs; `error` is (code, message) once it has failed."""

    id: int
    command: str
    status: str
    started: str
    resources: tuple[tuple[str, int], ...]
    finished: str | None = None
    error: tuple[str, str] | None = None

    @property
    def server_id(self) -> int | None:
        return next((identifier for kind, identifier in self.resources if kind == "server"), None)
