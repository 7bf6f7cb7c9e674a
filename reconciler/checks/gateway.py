"""Layer 4: the gateway says over loopback HTTP that it is ready, in the version that is installed.

That the fleet file names another one is a matter of sync: its user gets an answer.
"""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict
from reconciler.steps.versions import linked

NAME: Final = "gateway"
JUDGE_WITHOUT: Final = Health.DEGRADED


def judge(child: Child) -> Finding:
    if child.facts is None or child.facts.gateway.ready is None:
        return Finding(NAME, Verdict.UNKNOWN, "it does not answer on loopback")
    gateway = child.facts.gateway
    if not gateway.ready:
        return Finding(NAME, Verdict.FAILED, f"not ready: {', '.join(gateway.failing) or 'starting'}")
    if gateway.suppressed:
        return Finding(NAME, Verdict.FAILED, f"channels suppressed: {', '.join(gateway.suppressed)}")
    there = linked(child.facts) or gateway.version
    if gateway.version != there:
        return Finding(NAME, Verdict.FAILED, f"runs {gateway.version}, and {there} is installed")
    return Finding(NAME, Verdict.OK, f"ready, {gateway.version}")
