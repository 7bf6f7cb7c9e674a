"""What is wrong with a child, and why: checks in the order in which one needs the other. Pure.

A check that needs a failed one is skipped: what it would say is no news. Of those that have failed the first that is no
mere sign names the cause: that the gateway does not run is a sign, that its configuration is refused is why.
"""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis import gateway, host
from reconciler.diagnosis.case import Case, Check, Told
from reconciler.model import Diagnosis, Finding, Verdict

__all__ = ["CHECKS", "Case", "diagnose"]

CHECKS: Final[tuple[Check, ...]] = (*host.CHECKS, *gateway.CHECKS)


def diagnose(case: Case) -> Diagnosis:
    """Every check's finding, and the cause of the one that has failed and says most of why."""
    findings, failed = list[Finding](), list[tuple[Check, Told]]()
    without = set[str]()
    for check in CHECKS:
        if missing := next((name for name in check.needs if name in without), None):
            findings.append(Finding(check.name, Verdict.SKIPPED, f"needs: {missing}"))
            without.add(check.name)
            continue
        told = check.judge(case)
        verdict = Verdict.FAILED if told.cause else Verdict.UNKNOWN if told.is_unknown else Verdict.OK
        findings.append(Finding(check.name, verdict, told.text.replace("{name}", case.child.name)))
        if told.cause is not None:
            failed.append((check, told))
        if told.cause is not None or told.is_end:
            without.add(check.name)
    if not failed:
        return Diagnosis(case.child.name, tuple(findings))
    _, why = min(failed, key=lambda pair: pair[0].rank)  # of several the first
    return Diagnosis(case.child.name, tuple(findings), why.cause, why.text, why.mend.replace("{name}", case.child.name))
