"""What is wrong with a child: checks one above the other, the cause that they lead to, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.decision import Finding


class Cause(StrEnum):
    """Why a user gets no answer, or soon none. Each has its place in README, under the name `cause-` and this word."""

    CLOUD_SILENT = "cloud-silent"
    IDENTITY_IN_DOUBT = "identity-in-doubt"
    NO_SERVER = "no-server"
    NEVER_FINISHED = "never-finished"
    SERVER_OFF = "server-off"
    SERVER_BUSY = "server-busy"
    FIREWALL_CHANGED = "firewall-changed"
    HOST_SILENT = "host-silent"
    SSH_REFUSED = "ssh-refused"
    WRONG_HOST_KEY = "wrong-host-key"
    LOGIN_REFUSED = "login-refused"
    HOST_BROKEN = "host-broken"
    DISK_FULL = "disk-full"
    INODES_GONE = "inodes-gone"
    MEMORY_SHORT = "memory-short"
    OUT_OF_MEMORY = "out-of-memory"
    NODE_BROKEN = "node-broken"
    RELEASE_BROKEN = "release-broken"
    UPDATE_UNFINISHED = "update-unfinished"
    CONFIG_REFUSED = "config-refused"
    SECRET_MISSING = "secret-missing"  # noqa: S105  # a word of ours
    PORT_TAKEN = "port-taken"
    SECOND_GATEWAY = "second-gateway"
    STATE_NEWER = "state-newer"
    UNIT_CHANGED = "unit-changed"
    STOPPED = "stopped"
    KEEPS_ENDING = "keeps-ending"
    REFUSES_TO_START = "refuses-to-start"
    GATEWAY_SILENT = "gateway-silent"
    NOT_READY = "not-ready"
    OLD_PROCESS = "old-process"
    TOKEN_REFUSED = "token-refused"  # noqa: S105  # a word of ours
    OPEN_TO_OTHERS = "open-to-others"
    CHANNELS_SUPPRESSED = "channels-suppressed"
    BOT_TOKEN_REFUSED = "bot-token-refused"  # noqa: S105  # a word of ours
    OTHER_POLLER = "other-poller"
    TELEGRAM_SILENT = "telegram-silent"
    POLLER_STUCK = "poller-stuck"
    MODEL_KEY_REFUSED = "model-key-refused"
    MODEL_SILENT = "model-silent"
    NO_REPLY = "no-reply"
    # Of what a watch finds before a user does (watching/), and of all children at once.
    DISK_LOW = "disk-low"
    INODES_LOW = "inodes-low"
    MEMORY_LOW = "memory-low"
    LOAD_HIGH = "load-high"
    CLOCK_WRONG = "clock-wrong"
    RESTARTING = "restarting"
    LOG_ERRORS = "log-errors"
    PORT_OPEN = "port-open"
    NEXT_START = "next-start"
    DRIFTED = "drifted"
    BACKUP_LATE = "backup-late"
    DRILL_LATE = "drill-late"
    SPEND_OVER = "spend-over"
    REBOOT_DUE = "reboot-due"
    UPDATES_DUE = "updates-due"
    ANSWER_UNKNOWN = "answer-unknown"
    NODE_INSECURE = "node-insecure"
    SECRETS_EXPOSED = "secrets-exposed"
    WEBHOOK_SET = "webhook-set"
    OWN_NETWORK = "own-network"


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on the gateway's port, or runs a gateway of its own. `is_ours`: systemd started it so."""

    pid: int
    name: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class SlowLook:
    """What a watch asks of a host once an hour, or when something has changed, and keeps from pass to pass.

    Times are seconds on the host's clock; None: never asked.
    """

    server: int | None = None  # of which all of this is
    asked_at: float | None = None  # all but the configuration
    model: str = ""
    provider: str = ""  # who has said that of its key
    bot: str = ""  # what Telegram answers to the token on the host: 200, another code, or a word
    webhook: str = ""  # the host that its messages are sent to; none where they are fetched, as ours are
    updates: int | None = None  # of security, that are not installed
    updates_since: float | None = None  # when there were some for the first time
    lists_at: float | None = None  # when the host has asked for updates last
    reached: tuple[int, ...] | None = None  # ports other than that of SSH at which this machine gets through to it
    node: tuple[str, ...] | None = None  # of the fleet: releases of Node.js that mended something insecure
    config_at: float | None = None  # of the configuration that was judged
    config_problem: str | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """What a host says when it is asked closely. None, or empty: it did not say. Times are seconds on its clock."""

    first_boot: str = ""  # cloud-init's word: done, running, error, disabled
    inodes_free: int | None = None  # where the gateway's state is
    disk_free_mb: int | None = None  # there
    node: str | None = None  # what the installed Node.js calls itself; empty where it does not run
    lacking_secrets: tuple[str, ...] = ()  # paths that are not there, empty, or not the gateway's to read
    listeners: tuple[Listener, ...] = ()  # on its port
    strays: tuple[Listener, ...] = ()  # gateways that no unit of ours has started
    up_for: float | None = None  # since systemd has started the unit
    probe_problem: str = ""  # what the gateway hears when it asks Telegram who its bot is
    inbound: float | None = None  # the last message to the bot, since its start
    outbound: float | None = None
    clock: float = 0.0
    config_problem: str | None = None  # why the installed release would not start with openclaw.json; empty: it would
    model: str = ""  # what the model's provider answers to the key on the host: 200, another code, or a word
    load: float | None = None  # of fifteen minutes, per core
    open_ports: tuple[int, ...] = ()  # somebody listens there on other addresses than loopback
    config_at: float | None = None  # when openclaw.json was written last
    killed: int = 0  # processes of the gateway that the kernel has ended for want of memory, since its unit was started
    reboot_due: bool = False  # an update waits for it
    slow: SlowLook | None = None  # what is asked seldom; None: by nobody who watches
    skew: float = 0.0  # how far its clock is from ours, as far as that can be told; positive: it is ahead


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every check in their order; and where one has failed that no other explains, what that is and what to do."""

    child: str
    findings: tuple[Finding, ...]
    cause: Cause | None = None
    evidence: str = ""
    mend: str = ""  # a command where one mends it, else what a person does
    unseen: str = ""  # why nobody could look closely
