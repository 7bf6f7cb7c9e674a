"""Whether anybody can tell that its user gets an answer. That nobody can is no good news, and is said."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis import diagnose
from reconciler.diagnosis.case import STARTING, Told
from reconciler.model import Cause, Diagnosis, Verdict
from reconciler.watching.case import Watched

NAME: Final = "answer"
CAUSE: Final = Cause.ANSWER_UNKNOWN
# Checks of `fleet diagnose` without which nobody can say that a user gets an answer.
_ANSWER: Final = frozenset({"ssh", "unit", "start limit", "http", "token", "channel"})


def judge(it: Watched) -> Told:
    diagnosis = diagnose(it.case)
    silent = without_word(diagnosis)
    if diagnosis.cause is not None:
        return Told("it gives none, and the cause is known", is_unknown=True)
    if not silent:
        return Told("nothing is known to keep it from that")
    since = it.examined.up_for if it.examined else None
    if it.case.child.is_unfinished or (since is not None and since < STARTING):
        return Told("it has started just now", is_unknown=True)
    return Told(f"nobody can tell whether its user gets an answer: {'; '.join(silent)}", CAUSE, "fleet diagnose {name}")


def without_word(diagnosis: Diagnosis) -> list[str]:
    """The checks that have no answer, and what they say instead."""
    unknown = (it for it in diagnosis.findings if it.check in _ANSWER and it.verdict is Verdict.UNKNOWN)
    return [f"{it.check}: {it.text}" for it in unknown]
