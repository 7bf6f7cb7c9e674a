"""Health checks in the order of the layers: one module each, with NAME, JUDGE_WITHOUT and judge(child) -> Finding.

Healthy means that the user gets an answer. What lies above a failed layer is skipped; a check without data is UNKNOWN.
"""

from __future__ import annotations

from typing import Final, Protocol

from reconciler.checks import channel, gateway, server, spend, ssh, token, unit
from reconciler.model import Child, Finding, Health, Verdict


class CheckModule(Protocol):
    """What a module of this package is. `JUDGE_WITHOUT` is what a child is called when this layer fails."""

    @property
    def NAME(self) -> str: ...  # noqa: N802
    @property
    def JUDGE_WITHOUT(self) -> Health: ...  # noqa: N802

    def judge(self, child: Child) -> Finding: ...


CHECKS: Final[tuple[CheckModule, ...]] = (server, ssh, unit, gateway, token, channel, spend)


def judge(child: Child) -> tuple[Health, tuple[Finding, ...]]:
    """The child's health and every check's finding; those above the first that is not OK are SKIPPED."""
    findings: list[Finding] = []
    health = Health.HEALTHY
    for check in CHECKS:
        if health is not Health.HEALTHY:
            findings.append(Finding(check.NAME, Verdict.SKIPPED, "a layer below failed"))
            continue
        finding = check.judge(child)
        findings.append(finding)
        if finding.verdict is not Verdict.OK:
            health = check.JUDGE_WITHOUT
    return health, tuple(findings)
