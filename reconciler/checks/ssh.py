"""Layer 2: the host answers over SSH with the key that we gave it."""

from __future__ import annotations

from typing import Final

from reconciler.model import Child, Finding, Health, Verdict

NAME: Final = "ssh"
JUDGE_WITHOUT: Final = Health.UNREACHABLE


def judge(child: Child) -> Finding:
    if child.silence is not None:
        return Finding(NAME, Verdict.FAILED, f"{child.silence}: {child.silence_detail}")
    if child.obstacle is not None and child.facts is None:
        return Finding(NAME, Verdict.UNKNOWN, f"not looked at: {child.obstacle.summary}")
    if child.facts is None:
        return Finding(NAME, Verdict.UNKNOWN, "not looked at: its first apply has not finished")
    return Finding(NAME, Verdict.OK, "answers with its pinned key")
