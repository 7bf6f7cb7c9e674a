"""What is decided: actions with reasons, diagnostics, sync and health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from reconciler.model.backup import Backup, Sleep
from reconciler.model.cloud import Catalog
from reconciler.model.json import Json
from reconciler.model.newconfig import NewConfig
from reconciler.model.release import Hold, Rollback
from reconciler.model.rungs import Rung
from reconciler.model.wanted import Percent


class Kind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    RESIZE = "resize"
    RESTART = "restart"
    RESUSCITATE = "resuscitate"  # never planned: what `fleet resuscitate` does, rung by rung
    CONFIGURE = "configure"  # never planned: what `fleet config push` and its like do
    START = "start"
    STOP = "stop"
    REPLACE = "replace"
    HIBERNATE = "hibernate"
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
    EXPIRED = "expired"  # its time in the file has come
    DISABLED = "disabled"  # `enabled: false` in the file
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
    """`monthly` is what it changes in the bill of a month, net, as a decimal string; None where no price is known.

    `server_type` and `region` are what a create, resize or replace goes for first. `left_alone` are managed paths that
    differ and that the steps shall leave as they are.
    """

    kind: Kind
    child: str
    reason: Reason
    wave: int
    monthly: str | None = None
    notes: tuple[str, ...] = ()  # what a person should know before saying yes
    server_type: str | None = None
    region: str | None = None
    left_alone: tuple[str, ...] = ()
    retries: bool = False  # it goes to a version that is held, because a person says so
    rollback: Rollback | None = None
    without_copy: bool = False  # its memory goes with its server, because a person says so
    reboots: bool = False  # its server boots anew, because a person says so
    config: NewConfig | None = None
    rung: Rung | None = None  # it is tried to bring the child back, and that is counted
    batch: int = 0  # within its wave; what goes over to another version does so in batches from 1 on


class Severity(StrEnum):
    ERROR = "error"
    REFUSED = "refused"  # the tool could and will not: policy, protection; exit code 4
    WARNING = "warning"
    NOTE = "note"  # worth knowing, nothing to do


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
    SUSPENDED = "SUSPENDED"
    PENDING = "PENDING"
    DRIFTED = "DRIFTED"
    UNDECLARED = "UNDECLARED"
    PROGRESSING = "PROGRESSING"
    UNKNOWN = "UNKNOWN"


POLICY: Final = "policy"  # the address of what the whole plan is refused for begins with it


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the person who asks for a plan allows, and knows.

    `allow_replace` names the children whose server may be replaced; True means every one. `repair` names children whose
    often repaired keys are mended once more, `retry` children for which a version that is held is tried again,
    `rollback` those that go back to a checkpoint, `without_copy` those whose memory may go with their server,
    `hibernate` those that shall sleep, `rebuild` those that shall have a new server whatever theirs is like, and with
    which backup where their memory does not move, and `waking` those that shall wake, and from which backup. `partial`
    says that only some children were asked for. `max_destroys` is used instead of the file's. `requests_left` is what
    the cloud's rate limit allows at once; None where nobody knows.
    """

    allow_replace: frozenset[str] | bool = frozenset()
    repair: frozenset[str] = frozenset()
    retry: frozenset[str] = frozenset()
    rollback: Mapping[str, Rollback] = field(default_factory=dict)
    without_copy: frozenset[str] = frozenset()
    hibernate: frozenset[str] = frozenset()
    rebuild: Mapping[str, Backup | None] = field(default_factory=dict)
    waking: Mapping[str, Sleep] = field(default_factory=dict)
    partial: bool = False
    max_destroys: int | Percent | None = None
    requests_left: int | None = None

    def may_replace(self, child: str) -> bool:
        return self.allow_replace if isinstance(self.allow_replace, bool) else child in self.allow_replace


@dataclass(frozen=True, slots=True)
class Situation:
    """What every child's actions are judged by beside the child itself. `catalog` is None when it could not be read."""

    now: datetime
    catalog: Catalog | None
    options: PlanOptions = PlanOptions()
    quarantined: Mapping[str, Hold] = field(default_factory=dict)  # versions that the fleet keeps away from


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions in waves, what stands in their way, and each child's sync.

    `shared` are changes of what the whole fleet shares at the cloud: its firewalls. `monthly` is the sum of the
    actions' and `total` the fleet's bill of a month after them, both net decimal strings in `currency`, None without
    prices. `old_prices` counts the servers that may cost less than the list says. `requests` is how many API requests
    the apply will take, about.
    """

    fleet: str
    actions: tuple[Action, ...]
    diagnostics: tuple[Diagnostic, ...]
    sync: Mapping[str, Sync]
    now: datetime
    shared: tuple[Change, ...] = ()
    currency: str | None = None
    monthly: str | None = None
    total: str | None = None
    requests: int = 0
    old_prices: int = 0
    quarantined: Mapping[str, Hold] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.actions and not self.shared

    @property
    def is_refused(self) -> bool:
        """Whether policy forbids the plan as a whole: then none of it may be applied."""
        return any(
            found.severity is Severity.REFUSED and found.address.startswith(f"{POLICY}.") for found in self.diagnostics
        )


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
