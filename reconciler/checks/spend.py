"""Layer 7: what the model has cost this month stays below the child's limit. Only for children that have one.

OpenClaw has no limit of its own: this stops nothing, it says so. The gateway's count is an estimate from prices that it
knows, so an answer without a price makes the sum UNKNOWN, unless it is over the limit already.
"""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict

NAME: Final = "spend"
JUDGE_WITHOUT: Final = Health.DEGRADED


def judge(child: Child) -> Finding:
    limit = child.spec.model.spend_limit if child.spec else None
    if limit is None:
        return Finding(NAME, Verdict.OK if child.facts else Verdict.UNKNOWN, "no limit")
    gateway = child.facts.gateway if child.facts else None
    if gateway is None or gateway.spent is None:
        return Finding(NAME, Verdict.UNKNOWN, "the gateway says nothing of its costs")
    sums = f"{gateway.spent:.2f} of {limit} US dollars this month"
    if gateway.spent > limit:
        return Finding(NAME, Verdict.FAILED, f"over its limit: {sums}")
    if gateway.unpriced:
        return Finding(NAME, Verdict.UNKNOWN, f"{sums}, without {gateway.unpriced} unpriced answer(s)")
    # It counts anew when it is asked: what it lacks now is in the next look's sum.
    return Finding(NAME, Verdict.OK, sums if gateway.spent_complete else f"{sums}, still counting")
