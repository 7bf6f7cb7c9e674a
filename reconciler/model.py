"""The value types everything speaks in: frozen, slotted, without behaviour that could touch the outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

LABEL_PREFIX = "openclaw-deploy/"


# --- secrets -------------------------------------------------------------------------------------------------


class Secret:
    """A value that never shows itself: repr, str and format print `***`; only `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found: `env:NAME` or `file:PATH`. Never the value."""

    source: str
    locator: str

    def __str__(self) -> str:
        return f"{self.source}:{self.locator}"


# --- what is wanted ------------------------------------------------------------------------------------------


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


# --- what the cloud says -------------------------------------------------------------------------------------


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


# --- what a host says ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """The unit and, when it runs, what it says over loopback HTTP. Times are epoch seconds on the host's clock."""

    active: str = "inactive"  # systemd's ActiveState
    sub: str = "dead"
    result: str = "success"
    main_pid: int = 0
    restarts: int = 0
    exit_status: int = 0
    starts: int = 0  # how often the unit has started since boot, by its own stamp
    version: str | None = None  # /startupz of the running process
    ready: bool | None = None
    failing: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    token_accepted: bool | None = None
    anonymous_refused: bool | None = None
    loopback_only: bool | None = None
    channel_connected: bool | None = None
    channel_error: str | None = None
    channel_activity: float | None = None
    stale: tuple[str, ...] = ()  # what changed on disk since it started
    journal: tuple[str, ...] = ()  # last lines, only when it does not run

    @property
    def is_running(self) -> bool:
        return self.active == "active"


@dataclass(frozen=True, slots=True)
class Applied:
    """What the last apply left on the host: /var/lib/openclaw-deploy/applied.json.

    `spec_digest` is empty while an apply is at work; where it stays so, that apply did not end.
    """

    tool: str
    spec_digest: str
    digests: Mapping[str, str]  # managed thing -> digest of its value
    at: str
    bot: str | None = None  # the bot's user name, as Telegram said it then

    @property
    def is_finished(self) -> bool:
        return self.spec_digest != ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One probe's answer. `managed` maps each entry of MANAGED to its live value (None: not there)."""

    boot_id: str
    clock: float
    architecture: str
    managed: Mapping[str, Json]
    gateway: GatewayFacts
    applied: Applied | None
    disk_free_mb: int
    memory_free_mb: int


class Silence(StrEnum):
    """Why a host gave no facts. None of these ever leads to create, replace, destroy or restart."""

    REFUSED = "refused"
    TIMED_OUT = "timed out"
    WRONG_HOST_KEY = "wrong host key"
    LOGIN_REFUSED = "login refused"
    PROBE_FAILED = "probe failed"


@dataclass(frozen=True, slots=True)
class Record:
    """Our own note about a child in state/: words for the plan, never a reason to act."""

    child: str
    server_id: int
    address: str | None
    created: str
    version: str
    bot: str | None
    spec_digest: str
    outcome: str
    at: str


@dataclass(frozen=True, slots=True)
class Child:
    """Everything known about one child at one instant. `wanted` maps managed things to their wanted values."""

    name: str
    spec: ChildSpec | None = None
    server: Server | None = None
    facts: HostFacts | None = None
    silence: Silence | None = None
    silence_detail: str = ""
    wanted: Mapping[str, Json] = field(default_factory=dict)
    record: Record | None = None


# --- what is decided -----------------------------------------------------------------------------------------


class Kind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    START = "start"
    RESTART = "restart"
    DESTROY = "destroy"


class ReasonCode(StrEnum):
    """Why an action is planned; the words a person reads are in `Reason.text`."""

    DECLARED = "declared"  # in the file, no server
    GONE = "gone"  # we made it, somebody deleted it
    UNFINISHED = "unfinished"  # an apply did not end
    CHANGED = "changed"  # spec differs from applied
    DRIFTED = "drifted"  # live differs from applied
    STOPPED = "stopped"  # the gateway or the server does not run
    STALE = "stale"  # it runs with what was there before
    REMOVED = "removed"  # no longer in the file
    ASKED = "asked"  # a person named it


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. `before` and `after` are None where a side has nothing; secrets say "changed"."""

    path: str
    before: Json
    after: Json
    secret: bool = False
    drift: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    code: ReasonCode
    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    kind: Kind
    child: str
    reason: Reason
    wave: int


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem: what (`summary`), why or what to do (`detail`), where (`address` in the fleet, file:line:column)."""

    severity: Severity
    summary: str
    detail: str = ""
    address: str = ""
    file: str = ""
    line: int = 0
    column: int = 0


class Sync(StrEnum):
    """How live, applied and wanted stand to each other: a separate axis from health."""

    IN_SYNC = "IN_SYNC"
    PENDING = "PENDING"
    DRIFTED = "DRIFTED"
    UNDECLARED = "UNDECLARED"
    PROGRESSING = "PROGRESSING"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in waves, what stands in their way, and each child's sync."""

    fleet: str
    actions: tuple[Action, ...]
    diagnostics: tuple[Diagnostic, ...]
    sync: Mapping[str, Sync]
    now: datetime

    @property
    def is_empty(self) -> bool:
        return not self.actions


class Health(StrEnum):
    UNREACHABLE = "UNREACHABLE"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    HEALTHY = "HEALTHY"


class Verdict(StrEnum):
    """One check's answer. A check without data is UNKNOWN, one above a failed layer is SKIPPED; neither is OK."""

    OK = "OK"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    text: str


# --- what is done --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command as a value. Built only by commands.py, which quotes every part by its type.

    `line` is ready for `sh -c`; it never contains a secret: those travel in `stdin`.
    """

    name: str
    line: str
    stdin: bytes = field(default=b"", repr=False)
    timeout: float = 30.0  # seconds; enforced on the host too
    as_root: bool = True
    check: bool = True  # another exit code than 0 raises CommandFailed


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command answered; output is capped at 1 MiB."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class HostAddress:
    """How to reach a host and how to know it: every login key and host key that may be met, the wanted one first."""

    address: str
    port: int
    user: str
    login_keys: tuple[Secret, ...]  # OpenSSH private keys
    host_keys: tuple[str, ...]  # "ssh-ed25519 AAAA..."


class OutcomeCode(StrEnum):
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    action: Action
    code: OutcomeCode
    seconds: float
    error: str = ""
    advice: str = ""
    steps: tuple[tuple[str, float], ...] = ()  # name, seconds


@dataclass(frozen=True, slots=True)
class Event:
    """What the journal keeps: constant words and key-values, never a secret."""

    event: str
    at: str
    run: str
    fields: Mapping[str, Json] = field(default_factory=dict)
