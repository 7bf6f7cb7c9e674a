"""What fleet.yaml wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from reconciler.model.backup import BackupSettings
from reconciler.model.bots import BotProfile
from reconciler.model.json import Json
from reconciler.model.monitoring import AlertSettings, Monitoring
from reconciler.model.secret import SecretRef

LATEST = "latest"  # a version: the newest release when the child is made, and no reason to change it later


class AccessPolicy(StrEnum):
    """Who may talk to a bot: OpenClaw's `channels.telegram.dmPolicy`."""

    PAIRING = "pairing"
    ALLOWLIST = "allowlist"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model answers, and where its key is found.

    `fallback` names models of the same provider, tried in order. `spend_limit` is US dollars in a calendar month; the
    gateway has no limit of its own, so a check compares it with what the gateway has counted.
    """

    provider: str
    name: str
    key: SecretRef
    fallback: tuple[str, ...] = ()
    spend_limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Users:
    """Telegram user ids; `owner` may give the bot commands."""

    policy: AccessPolicy = AccessPolicy.PAIRING
    allowed: tuple[int, ...] = ()
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """How a gateway goes over to another version: seconds to get healthy and to stay so, copies kept of others.

    `notice` is what its users are told just before; empty for nothing.
    """

    ready_within: int = 120
    soak: int = 20
    keep: int = 3
    notice: str = ""


class FileMode(StrEnum):
    """Whose a workspace file is once it is there."""

    SEED = "seed"  # written once, then the agent's
    MANAGED = "managed"  # ours: a change on the host is drift


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file in the gateway's workspace, its template filled in for this child."""

    content: str
    mode: FileMode = FileMode.SEED


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child as fleet.yaml wants it: defaults, then its group, then what it says itself.

    `regions` and `server_types` are lists of preference: the first that can be had is taken when a server is made, and
    any of them is right for a server that exists. `file` and `line` are where the child is declared.
    """

    name: str
    regions: tuple[str, ...]
    server_types: tuple[str, ...]
    image: str
    version: str  # exact, or LATEST
    bot_token: SecretRef
    model: ModelSettings
    users: Users = Users()
    labels: Mapping[str, str] = field(default_factory=dict)
    protect: bool = False
    group: str | None = None
    ipv4: bool = True
    backups: bool = False  # the cloud's own, at a price in percent of the server's
    enabled: bool = True
    expires: datetime | None = None  # aware, UTC; from then on the child is planned to be destroyed
    ssh_from: tuple[str, ...] = ()  # CIDRs that may reach SSH; none means everywhere
    files: Mapping[str, WorkspaceFile] = field(default_factory=dict)  # by path inside the workspace
    config: Mapping[str, Json] = field(default_factory=dict)  # openclaw.json beside what we set ourselves; null deletes
    update: UpdateSettings = UpdateSettings()
    backup: BackupSettings = field(default_factory=BackupSettings)
    monitoring: Monitoring = field(default_factory=Monitoring)
    profile: BotProfile = field(default_factory=BotProfile)
    is_throwaway: bool = False  # never from a file: a backup is tried on it, and it can reach nobody; see drilling.py
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Percent:
    """A share in percent, 0 to 100."""

    value: int

    def of(self, total: int) -> int:
        """That share of `total`, rounded down, but at least 1 unless it is 0 %."""
        return max(1, total * self.value // 100) if self.value else 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What a plan may do at most. An empty tuple allows everything; `*` and `?` stand for parts of a name.

    Names that children say themselves have been checked when the file was read.
    """

    max_children: int | None = None
    max_monthly: Decimal | None = None  # of the servers' bill, net, in the account's currency
    max_destroys: int | Percent | None = None  # per apply; None: the greater of 1 and a tenth of the fleet's servers
    regions: tuple[str, ...] = ()
    server_types: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """How many children go over to another version at a time: canaries first, then batches.

    `canaries` are so many, or the patterns of their names. Of a batch `max_parallel` go at once, and it must stay
    healthy for `soak` seconds before the next one begins. When `max_failures` of them had to be brought back from a
    version, nobody else is brought there.
    """

    canaries: int | tuple[str, ...] = 1
    batch: int | Percent = Percent(25)
    max_parallel: int = 32
    soak: int = 60
    max_failures: int = 1


class Provider(StrEnum):
    HETZNER = "hetzner"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Fleet:
    """fleet.yaml and what it includes, checked.

    `key` and `token` are None when the file leaves them to the default place.
    """

    name: str
    provider: Provider
    token: SecretRef | None
    key: SecretRef | None
    ssh_generation: int
    children: Mapping[str, ChildSpec]
    path: str
    policy: Policy = Policy()
    rollout: Rollout = Rollout()
    backup: BackupSettings = field(default_factory=BackupSettings)  # of children that are gone from the file
    alerts: AlertSettings = field(default_factory=AlertSettings)
    moved: Mapping[str, str] = field(default_factory=dict)  # new name -> old name; see fleet.former_names
    digest: str = ""  # SHA-256, hex, over fleet.yaml and every file it includes or reads
    probe_generation: int | None = None  # None: hosts let nobody in who only looks


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
