"""The emulated project's resources as values. Times are ISO 8601 strings in UTC, ready for the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model import Json


@dataclass(frozen=True, slots=True)
class Server:
    """`image` is the id of an image of the catalogue or the project; `status` is one of Hetzner's words.

    `address` is where its machine is reached inside the sandbox, shown or not; `ipv4`, `ipv6` are ids of primary IPs.
    `disk` is in GB and stays when a resize keeps it. `networks` are in wire form.
    """

    id: int
    name: str
    status: str
    created: str
    server_type: str
    location: str
    image: int
    disk: int
    address: str
    ipv4: int | None = None
    ipv6: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[Mapping[str, Json], ...] = ()
    placement_group: int | None = None
    backup_window: str | None = None
    delete_protected: bool = False
    rebuild_protected: bool = False


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """A checked POST /servers. `user_data` goes to the machine and is kept nowhere else.

    `ipv4` and `ipv6` are: the id of a primary IP, True for a new one, False for none.
    """

    name: str
    server_type: str
    location: str
    image: int
    user_data: str
    labels: Mapping[str, str]
    start: bool
    ipv4: int | bool = True
    ipv6: int | bool = True
    firewalls: tuple[int, ...] = ()
    networks: tuple[int, ...] = ()
    placement_group: int | None = None


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
class PlacementGroup:
    id: int
    name: str
    created: str
    type: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    """`subnets` and `routes` are in wire form."""

    id: int
    name: str
    created: str
    ip_range: str
    subnets: tuple[Mapping[str, Json], ...] = ()
    routes: tuple[Mapping[str, Json], ...] = ()
    expose_routes: bool = False
    protected: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrimaryIp:
    """`ip` is an IPv4 address or an IPv6 network; `names` are reverse names by single address."""

    id: int
    name: str
    created: str
    type: str
    ip: str
    location: str
    server: int | None = None
    auto_delete: bool = False
    protected: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """A snapshot or a backup. `name` is None as on the wire; `system` is the catalogue's name of what it began as."""

    id: int
    type: str
    status: str
    created: str
    description: str
    created_from: tuple[int, str]
    bound_to: int | None
    disk: int
    architecture: str
    system: str
    protected: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    name: None = None


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
