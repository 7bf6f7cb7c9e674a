"""What a host says, what was noted about it, and a child as all of it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.backup import Sleep
from reconciler.model.bots import BotProfile
from reconciler.model.cloud import Server, ServerStatus
from reconciler.model.decision import Diagnostic
from reconciler.model.diagnosis import Examination
from reconciler.model.json import Json
from reconciler.model.release import Checkpoint, Hold, Switch
from reconciler.model.wanted import ChildSpec


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
    errors: int | None = None  # lines of its log since its start, of the last five minutes
    spent: float | None = None  # US dollars in this calendar month (UTC) by its own count; asked where there is a limit
    spent_complete: bool | None = None  # False while it is still counting
    unpriced: int = 0  # answers of this month whose price it does not know

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
    version: str | None = None  # the exact release it was brought to
    repairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # managed path -> when drift was mended (24 h)
    mending: tuple[str, ...] = ()  # managed paths on which the apply at work has found drift
    labels: tuple[str, ...] = ()  # names of the labels that the fleet file declared then
    config_keys: tuple[tuple[str, ...], ...] = ()  # paths of openclaw.json that its free-form `config` named
    config_digests: Mapping[str, str] = field(default_factory=dict)  # dotted key of openclaw.json -> digest, shortened
    managed_files: tuple[str, ...] = ()  # paths in the workspace
    seeded_files: tuple[str, ...] = ()

    @property
    def is_finished(self) -> bool:
        return self.spec_digest != ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One probe's answer. `managed` maps each entry of MANAGED to its live value (None: not there).

    `bot` is the number of the bot whose token is on the host, for its gateway to use.
    """

    boot_id: str
    clock: float
    architecture: str
    managed: Mapping[str, Json]
    gateway: GatewayFacts
    applied: Applied | None
    disk_free_mb: int
    memory_free_mb: int
    bot: str | None = None
    checkpoints: tuple[Checkpoint, ...] = ()  # the oldest first
    asides: tuple[str, ...] = ()  # states that were given up by going back, by the id of the checkpoint
    switch: Switch | None = None  # on its way
    held: Hold | None = None  # what keeps it from the file's version: its own reason, or the whole fleet's
    noted: tuple[Hold, ...] = ()  # by this host, the last first, whatever the file wants and the fleet keeps away from
    releases: tuple[str, ...] = ()  # versions that are installed, or were to be


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
    """Everything known about one child at one instant. `wanted` maps managed things to their wanted values.

    `obstacle` is what the look found wrong with the child's identity: then nothing is planned for it. `in_open_run`:
    the run that made its server has not said that it has ended, and we have no record of an apply that ended there.
    `bot` is the number of the bot that the file gives it; None where it gives none, or its token cannot be had now.
    `asleep`: it has no server, or shall have none, until it is woken. Of a replacement that did not end (see
    steps/replacing.py) there may be `spares`, made to take its server's place, and `retired` ones, whose place it took.
    `profile` is what its bot shows, where the file says something of that; `profile_problem` is why nobody can tell.
    `examined` is what its host said to who watches.
    """

    name: str
    spec: ChildSpec | None = None
    server: Server | None = None
    facts: HostFacts | None = None
    silence: Silence | None = None
    silence_detail: str = ""
    wanted: Mapping[str, Json] = field(default_factory=dict)
    record: Record | None = None
    obstacle: Diagnostic | None = None
    in_open_run: bool = False
    bot: str | None = None
    asleep: Sleep | None = None
    spares: tuple[Server, ...] = ()
    retired: tuple[Server, ...] = ()
    profile: BotProfile | None = None
    profile_problem: str = ""
    examined: Examination | None = None

    @property
    def is_unfinished(self) -> bool:
        """There is a server, and no first apply has ended on it."""
        if self.server is None:
            return False
        has_ended = self.facts is not None and self.facts.applied is not None
        return self.server.is_unfinished or (self.in_open_run and not has_ended)

    @property
    def why_unknown(self) -> str:
        """Why its host has told nothing, in words; of no use where it has."""
        if self.silence_detail:
            return self.silence_detail
        if self.server is None:
            return "it has no server"
        if self.server.status is not ServerStatus.RUNNING:
            return f"its server is {self.server.status}"
        return "its first apply has not finished" if self.is_unfinished else "its host was not looked at"

    @property
    def leftovers(self) -> tuple[Server, ...]:
        """The servers of a replacement that did not end, beside the one that is the child's."""
        return (*self.spares, *self.retired)
