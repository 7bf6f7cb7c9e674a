"""Layer 3: systemd runs the gateway."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict

NAME: Final = "unit"
JUDGE_WITHOUT: Final = Health.OFFLINE


def judge(child: Child) -> Finding:
    if child.facts is None:
        return Finding(NAME, Verdict.UNKNOWN, "no facts")
    gateway = child.facts.gateway
    if not gateway.is_running:
        return Finding(NAME, Verdict.FAILED, f"{gateway.active} ({gateway.result}, exit {gateway.exit_status})")
    return Finding(NAME, Verdict.OK, f"active, {gateway.restarts} restarts")
