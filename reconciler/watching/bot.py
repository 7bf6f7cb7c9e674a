"""The bot as Telegram knows it: a token that it takes, and no webhook, which would take all messages away."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "bot"
CAUSE: Final = Cause.WEBHOOK_SET
TAKEN: Final = "200"
_MEND: Final = "whoever has set it has its token, too: make a new one with @BotFather, then: fleet bot token {name}"


def judge(it: Watched) -> Told:
    slow = it.examined.slow if it.examined else None
    if slow is None or not slow.bot:
        return Told("nobody has asked yet, or could", is_unknown=True)
    if slow.webhook:
        return Told(f"its messages are sent to {slow.webhook}, and not to its gateway", CAUSE, _MEND)
    if slow.bot != TAKEN:  # what keeps it from an answer is told by its channel, each pass
        return Told(f"Telegram answers {slow.bot}", is_unknown=True)
    return Told("Telegram takes its token, and no webhook is set")
