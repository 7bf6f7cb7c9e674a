"""Layer 1: the cloud has the server, and it runs."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, ServerStatus, Verdict

NAME: Final = "server"
JUDGE_WITHOUT: Final = Health.UNREACHABLE


def judge(child: Child) -> Finding:
    if child.server is None:
        return Finding(NAME, Verdict.FAILED, "there is no server")
    if child.server.status is not ServerStatus.RUNNING:
        return Finding(NAME, Verdict.FAILED, f"the server is {child.server.status}")
    return Finding(NAME, Verdict.OK, "running")
