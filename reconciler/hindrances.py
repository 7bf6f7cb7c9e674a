"""What has failed in this run of the engine and stands in the way of others: a full project, a bot, a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from reconciler.errors import CloudError, FleetError, LimitExceeded, Refused
from reconciler.model import Action, Child, Fleet, Kind
from reconciler.ports import Ports
from reconciler.steps import Work
from reconciler.steps.quarantine import clear_quarantine, ensure_quarantined


@dataclass(slots=True)
class Hindrances:
    """What has failed in this run and stands in the way of others."""

    fleet: Fleet
    ports: Ports
    failed: dict[str, list[str]] = field(default_factory=dict)  # by version, who had to be brought back from it
    versions: dict[str, str] = field(default_factory=dict)  # quarantined by this run, and for which child
    marking: Lock = field(default_factory=Lock)  # a firewall's labels are replaced as a whole
    full: LimitExceeded | None = None  # the project: no further server is asked for
    holders: dict[str, str] = field(default_factory=dict)  # by a bot's number, the child that could not be stopped

    def check(self, work: Work, child: Child) -> None:
        """Raises LimitExceeded or Refused for what cannot go well any more."""
        if self.full is not None and work.server is None:
            raise LimitExceeded(f"not tried, the project is full: {self.full.summary}", self.full.advice)
        holder = self.holders.get(child.bot) if child.bot else None
        if holder is not None and holder != child.name:
            summary = f"not tried, its bot is still that of {holder}, which could not be stopped"
            raise Refused(summary, f"mend what keeps {holder} from stopping, then apply again")
        if child.spec is not None and child.spec.version in self.versions and not work.retries:
            first = self.versions[child.spec.version]
            summary = f"not tried, {child.spec.version} has failed on {first} and is quarantined"
            raise Refused(summary, "plan again: what else differs is mended with the version that is there")

    def note(self, failure: FleetError, action: Action, child: Child) -> None:
        if isinstance(failure, LimitExceeded):
            self.full = self.full or failure
        if action.kind is Kind.STOP:
            bots = (child.bot, child.facts and child.facts.bot, child.server and child.server.bot)
            self.holders |= {bot: child.name for bot in bots if bot}

    def quarantine(self, work: Work, version: str) -> None:
        """A failure of this version. With too many nobody else goes there, in any run, until a person says so."""
        with self.marking:
            failed = self.failed.setdefault(version, [])
            failed.append(work.name)
            if version in self.versions or len(failed) < self.fleet.rollout.max_failures:
                return
            self.versions[version] = work.name
            work.note("quarantine-intended", durable=True, version=version, reason=work.failure)
            try:
                ensure_quarantined(self.fleet, self.ports, version, work.name, work.failure)
            except CloudError as error:
                work.note("quarantine-not-noted", version=version, error=error.summary)

    def acquit(self, work: Work, version: str) -> None:
        """This child's failure was not the version's, or not its alone."""
        with self.marking:
            self.failed[version].remove(work.name)
            if self.versions.get(version) != work.name:
                return
            del self.versions[version]
            try:
                clear_quarantine(self.fleet, self.ports, version)
            except CloudError as error:
                work.note("quarantine-not-ended", version=version, error=error.summary)
