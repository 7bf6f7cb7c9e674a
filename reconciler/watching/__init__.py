"""What a watch finds wrong before a user does: one module each, with NAME, CAUSE and judge(watched) -> Told. Pure.

Whatever keeps a user without an answer is told by its cause, as `fleet diagnose` finds it. What lies above an outage is
not judged, and a check without data says so: it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from reconciler.diagnosis import diagnose
from reconciler.diagnosis.case import STARTING, Told
from reconciler.model import (
    ANSWERS,
    WARNING,
    Cause,
    Diagnosis,
    Finding,
    Health,
    Level,
    Sighting,
    Trouble,
    Verdict,
)
from reconciler.watching import (
    answer,
    backup,
    bot,
    clock,
    config,
    disk,
    drift,
    drill,
    errors,
    inodes,
    load,
    memory,
    node,
    ports,
    reboot,
    restarts,
    secret_files,
    spend,
    updates,
)
from reconciler.watching.case import Watched

__all__ = ["CHECKS", "Watched", "level_of", "look_at", "sighting_of"]


class CheckModule(Protocol):
    """What a module of this package is."""

    @property
    def NAME(self) -> str: ...  # noqa: N802
    @property
    def CAUSE(self) -> Cause: ...  # noqa: N802

    def judge(self, it: Watched) -> Told: ...


CHECKS: Final[tuple[CheckModule, ...]] = (
    answer, disk, inodes, memory, load, clock, restarts, errors, ports, secret_files, bot, config, drift, backup, drill,
    spend, updates, node, reboot,
)  # fmt: skip
# Causes of `fleet diagnose` that keep nobody from an answer while the gateway runs and is ready.
_NOT_YET: Final = frozenset({Cause.CONFIG_REFUSED, Cause.MEMORY_SHORT, Cause.NEVER_FINISHED})
# Of these a check of this package says the same, while somebody answers: one trouble is one alert.
_SAID_BELOW: Final = frozenset({Cause.CONFIG_REFUSED, Cause.MEMORY_SHORT})
_OF_START: Final = frozenset({Cause.GATEWAY_SILENT, Cause.NOT_READY, Cause.TELEGRAM_SILENT, Cause.OLD_PROCESS})


def look_at(it: Watched) -> tuple[Diagnosis, tuple[Finding, ...], tuple[Trouble, ...]]:
    """What is wrong with its answers and why; every check's finding; and all that is trouble, the worst first."""
    diagnosis = diagnose(it.case)
    findings, troubles = list[Finding](), list[Trouble]()
    if diagnosis.cause is not None:
        failed = [found for found in diagnosis.findings if found.verdict is Verdict.FAILED]
        layer = next(found.check for found in failed if found.text == diagnosis.evidence)
        level, name = level_of(diagnosis, it), it.case.child.name
        is_said_below = diagnosis.cause in _SAID_BELOW or _is_only_exposed(diagnosis, it)
        if level is Level.CRITICAL or not is_said_below:
            troubles.append(Trouble(name, diagnosis.cause, level, layer, diagnosis.evidence, diagnosis.mend))
    for check in CHECKS:
        told = check.judge(it)
        verdict = Verdict.FAILED if told.cause else Verdict.UNKNOWN if told.is_unknown else Verdict.OK
        findings.append(Finding(check.NAME, verdict, told.text))
        if told.cause is not None:
            mend = told.mend.replace("{name}", it.case.child.name)
            troubles.append(Trouble(it.case.child.name, told.cause, Level.WARNING, check.NAME, told.text, mend))
    return diagnosis, tuple(findings), tuple(troubles)


def level_of(diagnosis: Diagnosis, it: Watched) -> Level:
    gateway = it.gateway
    answers = gateway.is_running and gateway.ready is True and gateway.channel_connected is True
    is_not_yet = diagnosis.cause in _NOT_YET or _is_only_exposed(diagnosis, it)
    return Level.WARNING if is_not_yet and answers else Level.CRITICAL


def _is_only_exposed(diagnosis: Diagnosis, it: Watched) -> bool:
    """A secret is not as it was applied, and is there: others may read it, which keeps nobody from an answer."""
    is_there = it.examined is not None and not it.examined.lacking_secrets
    return diagnosis.cause is Cause.SECRET_MISSING and is_there and secret_files.judge(it).cause is not None


def sighting_of(
    it: Watched,
    health: Health,
    looked: tuple[Diagnosis, tuple[Finding, ...], tuple[Trouble, ...]],
    excuse: str = "",
) -> Sighting:
    """What was `looked` at, as alerting takes it: with what the file wants to be told of."""
    child = it.case.child
    diagnosis, findings, troubles = looked
    wanted = it.limits.alert_on
    told = {one.key for one in troubles if (WARNING if one.level is Level.WARNING else _word(health)) in wanted}
    return Sighting(
        child=child.name,
        region=child.server.region if child.server else "",
        groups=(child.spec.group,) if child.spec is not None and child.spec.group else (),
        troubles=troubles,
        unknown=frozenset(_unknown(diagnosis, findings)),
        excuse=excuse or _excuse(it, diagnosis),
        muted=frozenset(one.key for one in troubles if one.key not in told),
    )


def _word(health: Health) -> str:
    """A cause that the coarse health does not see is a gateway that runs, and whose user gets no answer."""
    return Health.DEGRADED.lower() if health is Health.HEALTHY else health.lower()


def _unknown(diagnosis: Diagnosis, findings: tuple[Finding, ...]) -> Iterator[str]:
    if diagnosis.cause is None and answer.without_word(diagnosis):
        yield ANSWERS
    causes = {check.NAME: check.CAUSE for check in CHECKS}
    yield from (causes[it.check] for it in findings if it.verdict is Verdict.UNKNOWN)


def _excuse(it: Watched, diagnosis: Diagnosis) -> str:
    """It may need a moment more: two minutes after a start nobody can say that it does not answer."""
    since = it.examined.up_for if it.examined else None
    is_young = since is not None and since < STARTING and it.gateway.restarts < restarts.MOST
    return "it has started just now" if is_young and diagnosis.cause in (None, *_OF_START) else ""
