"""Layer 5: only our token opens the gateway, and only on loopback."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict

NAME: Final = "token"
JUDGE_WITHOUT: Final = Health.DEGRADED


def judge(child: Child) -> Finding:
    if child.facts is None:
        return Finding(NAME, Verdict.UNKNOWN, "no facts")
    gateway = child.facts.gateway
    tests = (
        (gateway.token_accepted, "its own token is not accepted"),
        (gateway.anonymous_refused, "it answers without a token"),
        (gateway.loopback_only, "it listens on another address than loopback"),
    )
    for holds, text in tests:
        if holds is None:
            return Finding(NAME, Verdict.UNKNOWN, "not seen")
        if not holds:
            return Finding(NAME, Verdict.FAILED, text)
    return Finding(NAME, Verdict.OK, "own token accepted, none refused")
