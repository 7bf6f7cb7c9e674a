"""What has failed in this run of the engine and stands in the way of others: a full project, a bot, a version."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from reconciler.errors import CloudError, FleetError, LimitExceeded, Refused
from reconciler.model import Action, Child, Fleet, Kind
from reconciler.ports import Ports
from reconciler.steps import Work
from reconciler.steps.quarantine import mark_of, set_mark

MARK_TRIES: Final = 3
MARK_PAUSE: Final = 5.0


@dataclass(slots=True)
class Hindrances:
    """What has failed in this run and stands in the way of others."""

    fleet: Fleet
    ports: Ports
    held: Mapping[str, Collection[str]] = field(default_factory=dict)  # the same of earlier runs, by their hosts
    failed: dict[str, list[Work]] = field(default_factory=dict)  # by version, who had to be brought back from it
    stumbled: dict[str, str] = field(default_factory=dict)  # who has failed in its batch, at whatever, and at what
    before: dict[str, str | None] = field(default_factory=dict)  # the marks of earlier runs in the place of ours
    marking: Lock = field(default_factory=Lock)  # a firewall's labels are replaced as a whole
    full: LimitExceeded | None = None  # the project: no further server is asked for
    holders: dict[str, str] = field(default_factory=dict)  # by a bot's number, the child that could not be stopped

    def check(self, work: Work, child: Child, action: Action) -> None:
        """Raises LimitExceeded or Refused for what cannot go well any more."""
        if self.full is not None and work.server is None:
            raise LimitExceeded(f"not tried, the project is full: {self.full.summary}", self.full.advice)
        holder = self.holders.get(child.bot) if child.bot else None
        if holder is not None and holder != child.name:
            summary = f"not tried, its bot is still that of {holder}, which could not be stopped"
            raise Refused(summary, f"mend what keeps {holder} from stopping, then apply again")
        if child.spec is not None and not work.asked.retries:
            self.check_version(child.spec.version)
        if action.batch:
            self._check_rollout()

    def check_version(self, version: str) -> None:
        """Raises Refused where too many have failed with it in this run. Asked once more just before a switch."""
        with self.marking:
            if version in self.before:
                first = self.failed[version][-1].name
                summary = f"not tried, {version} has failed on {first} and is quarantined"
                raise Refused(summary, "plan again: what else differs is mended with the version that is there")

    def _check_rollout(self) -> None:
        """Raises Refused where too many before it have failed, at whatever: nobody has shown then that it goes well."""
        with self.marking:
            stumbled = dict(self.stumbled)
        if len(stumbled) >= self.fleet.rollout.max_failures:
            name, why = next(reversed(stumbled.items()))
            summary = f"not tried, {name} has failed before it in this rollout: {why}"
            raise Refused(summary, f"mend {name} first, or name another version for it; then apply again")

    def note(self, failure: FleetError, action: Action, child: Child) -> None:
        if action.batch:
            with self.marking:
                self._stumble(child.name, failure.summary)
        if isinstance(failure, LimitExceeded):
            self.full = self.full or failure
        if action.kind is Kind.STOP:
            bots = (child.bot, child.facts and child.facts.bot, child.server and child.server.bot)
            self.holders |= {bot: child.name for bot in bots if bot}

    def quarantine(self, work: Work, version: str, step: str) -> str:
        """A failure of this version. With too many nobody else goes there, in any run, until a person says so.

        What a person has to know about that, where it could not be noted at the cloud.
        """
        with self.marking:
            failed = self.failed.setdefault(version, [])
            failed.append(work)
            self._stumble(work.name, work.switching.failure)
            if version in self.before or self._failures(version) < self.fleet.rollout.max_failures:
                return ""
            self.before[version] = None
            work.note("quarantine-intended", durable=True, version=version, reason=work.switching.failure)
            return self._try(lambda: self._mark(work, version, step), work, version)

    def stumble(self, name: str, why: str) -> None:
        """Who fails, by whatever, and not by its version: it counts for the rollout, which waits for a person."""
        with self.marking:
            self._stumble(name, why)

    def acquit(self, work: Work, version: str) -> str:
        """This child's failure was not the version's, or not its alone."""
        with self.marking:
            failed = self.failed[version]
            failed.remove(work)
            if version not in self.before or self._failures(version) >= self.fleet.rollout.max_failures:
                return ""
            before = self.before.pop(version)
            return self._try(lambda: set_mark(self.fleet, self.ports, version, before), work, version)

    def _stumble(self, name: str, why: str) -> None:
        if len(self.stumbled) < self.fleet.rollout.max_failures:  # who is not tried for them is no other failure
            self.stumbled[name] = why

    def _failures(self, version: str) -> int:
        """How many children have failed with it, of those that this run knows."""
        return len({work.name for work in self.failed[version]}.union(self.held.get(version, ())))

    def _mark(self, work: Work, version: str, step: str) -> None:
        value = mark_of(self.ports.clock.now(), work.name, step)
        self.before[version] = set_mark(self.fleet, self.ports, version, value)

    def _try(self, mark: Callable[[], object], work: Work, version: str) -> str:
        for tries in range(1, MARK_TRIES + 1):
            try:
                mark()
                break
            except CloudError as error:
                if tries == MARK_TRIES:
                    work.note("quarantine-not-noted", version=version, error=error.summary)
                    return f"whether {version} is quarantined could not be noted at the cloud: {error.summary}"
                self.ports.clock.sleep(MARK_PAUSE)
        return ""
