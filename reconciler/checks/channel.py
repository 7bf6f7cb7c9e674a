"""Layer 6: the Telegram poller moves. `connected` alone lies for minutes (facts on real gateways, section 5)."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict

NAME: Final = "channel"
JUDGE_WITHOUT: Final = Health.DEGRADED

# A poller refreshes its activity at least every 30 s; the ages are taken on the host's own clock.
STALE_AFTER: Final = 90.0


def judge(child: Child) -> Finding:
    if child.facts is None or child.facts.gateway.channel_connected is None:
        return Finding(NAME, Verdict.UNKNOWN, "the gateway says nothing about Telegram")
    gateway, clock = child.facts.gateway, child.facts.clock
    if not gateway.channel_connected:
        return Finding(NAME, Verdict.FAILED, gateway.channel_error or "not connected to Telegram")
    if gateway.channel_activity is None:
        return Finding(NAME, Verdict.UNKNOWN, "connected, but the poller has not moved yet")
    age = clock - gateway.channel_activity
    if age > STALE_AFTER:
        return Finding(NAME, Verdict.FAILED, f"the poller has not moved for {age:.0f} s")
    return Finding(NAME, Verdict.OK, "polling")
