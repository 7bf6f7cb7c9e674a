"""What the model has cost this month, where the file has a limit."""

from __future__ import annotations

from typing import Final

from reconciler.checks import spend
from reconciler.diagnosis.case import Told
from reconciler.model import Cause, Verdict
from reconciler.watching.case import Watched

NAME: Final = "spend"
CAUSE: Final = Cause.SPEND_OVER


def judge(it: Watched) -> Told:
    found = spend.judge(it.case.child)
    if found.verdict is Verdict.FAILED:
        return Told(found.text, CAUSE, "fleet cost {name}; `model: {spend_limit: ...}` is the limit")
    return Told(found.text, is_unknown=found.verdict is Verdict.UNKNOWN)
