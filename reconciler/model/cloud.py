"""What the cloud says and is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.secret import Secret

LABEL_PREFIX = "openclaw-deploy/"
STARTED = "started"  # the value of the label `successor` of one whose gateway may run
TOLD = "told"  # that of one whose gateway is silent again, and was given up
UNTOUCHED = "untouched"  # the value of the label `unfinished` of one on which no gateway can have started


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
    address: str | None  # where SSH goes: public IPv4, else the first host of the public IPv6 network
    created: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "x86"  # Hetzner's word: x86 or arm
    ipv4: bool = True  # has a public IPv4, which has a price
    backups: bool = False
    disk_gb: int = 0  # its disk as it is, which a resize may have kept; 0 where the cloud does not say
    outgoing: int = field(default=0, compare=False)  # bytes that it has sent in this month
    included: int = field(default=0, compare=False)  # bytes of them that its price has in it

    def label(self, name: str) -> str | None:
        """The value of our own label `openclaw-deploy/<name>`."""
        return self.labels.get(LABEL_PREFIX + name)

    @property
    def child(self) -> str | None:
        return self.label("child")

    @property
    def uid(self) -> str | None:
        return self.label("uid")

    @property
    def bot(self) -> str | None:
        """The number of the bot that it was given last, also where its host is silent or was not asked."""
        return self.label("bot")

    @property
    def is_unfinished(self) -> bool:
        """A first apply has failed on it, or it was imported; see steps/runs.py for one that was cut off."""
        return self.label("unfinished") is not None

    @property
    def is_untouched(self) -> bool:
        """The run that made it has failed before any gateway could start on it, and none has come as far since."""
        return self.label("unfinished") == UNTOUCHED

    @property
    def is_protected(self) -> bool:
        """The label is there, whatever its value: who puts it there by hand may leave it empty."""
        return self.label("protect") is not None

    @property
    def is_throwaway(self) -> bool:
        """It serves no user: a backup was tried on it, and nothing that it remembers is worth a copy."""
        return self.label("throwaway") is not None

    @property
    def is_successor(self) -> bool:
        """It was made to take the place of another server of its child; see steps/replacing.py."""
        return self.label("successor") is not None

    @property
    def is_told(self) -> bool:
        """Such a one whose gateway may have been started, so it may know what no other does."""
        return self.label("successor") in (STARTED, TOLD)

    @property
    def may_poll(self) -> bool:
        """The same, and nobody has silenced it since."""
        return self.label("successor") == STARTED

    @property
    def is_retired(self) -> bool:
        """Its successor has taken over: its gateway is never started again, and it goes when that is proven."""
        return self.label("retired") is not None

    @property
    def heir(self) -> str | None:
        """The uid of the server that it was handed over to; "true" where an older tool has done that."""
        value = self.label("retired")
        return value.removesuffix(f".{TOLD}") if value is not None else None

    @property
    def knows_more(self) -> bool:
        """Such a one whose gateway somebody has started since, and that is not copied yet."""
        return (self.label("retired") or "").endswith(f".{TOLD}")

    @property
    def is_unproven(self) -> bool:
        """An apply has moved it to another firewall, and nobody has got in from there yet; see steps/networks.py."""
        return self.label("ssh-from-before") is not None


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
    ipv4: bool = True


EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class FirewallSpec:
    """A cloud firewall, attached by label selector and never by server id. Inbound TCP ports only.

    The cloud adds up the rules of all firewalls of a server, so no two of ours may select the same one.
    """

    name: str
    selector: str
    labels: Mapping[str, str]
    inbound_tcp: tuple[int, ...] = (22,)
    sources: tuple[str, ...] = EVERYWHERE

    @property
    def rules(self) -> tuple[str, ...]:
        """In the same words as those of a live Firewall."""
        return tuple(sorted(rule_in_words("in", "tcp", str(port), self.sources) for port in self.inbound_tcp))


def rule_in_words(direction: str, protocol: str, port: str | None, addresses: Iterable[str]) -> str:
    """`in tcp 22 from 0.0.0.0/0, ::/0`: all that decides what passes, and nothing else."""
    what = f"{direction} {protocol} {port}" if port else f"{direction} {protocol}"
    return f"{what} {'from' if direction == 'in' else 'to'} {', '.join(sorted(set(addresses)))}"


@dataclass(frozen=True, slots=True)
class Firewall:
    """A cloud firewall as it is. `rules` are `rule_in_words`, one per rule, sorted."""

    id: int
    name: str
    labels: Mapping[str, str]
    rules: tuple[str, ...]
    selectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServerType:
    """A server type; `regions` says where it can be ordered now, `retired` where it never will be again.

    `monthly` is the net price per region without IPv4. A price is no promise: retired types still have one.
    """

    name: str
    architecture: str
    cores: int
    memory_gb: float
    regions: Mapping[str, bool]
    monthly: Mapping[str, str]  # decimal string, account currency
    retired: frozenset[str] = frozenset()
    disk_gb: int = 0
    traffic: Mapping[str, str] = field(default_factory=dict)  # per region, of a TB beyond what is included


@dataclass(frozen=True, slots=True)
class Catalog:
    """What can be ordered and what it costs, as of `as_of`. `images` maps names to the architectures they exist for."""

    types: Mapping[str, ServerType]
    regions: tuple[str, ...]
    images: Mapping[str, frozenset[str]]
    currency: str
    ipv4_monthly: Mapping[str, str]
    as_of: datetime
    backup_percent: str = "20"  # of the server's price
