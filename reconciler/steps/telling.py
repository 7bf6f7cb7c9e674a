"""What users are told before their gateway falls silent for a while, where the fleet file has words for it."""

from __future__ import annotations

import json
from typing import Final

from reconciler import commands
from reconciler.errors import HostError
from reconciler.managed.questions import TELEGRAM
from reconciler.steps.work import Work

MOST: Final = 20  # users; a bot with more of them is told of by other means


def tell_users(work: Work) -> None:
    """Everybody who may talk to the bot by the fleet file gets the notice. Whether it arrives changes nothing.

    Whom the bot has got to know by pairing, the file does not know, and is not told. Texts are not kept.
    """
    text, users = work.declared().update.notice, work.declared().users
    known = list(dict.fromkeys(user for user in (users.owner, *users.allowed) if user is not None))[:MOST]
    if not text or not known:
        return
    root = work.ports.endpoints.telegram_api_root or TELEGRAM
    try:
        answers = json.loads(work.connection().run(commands.send_message(root, known, text)).stdout)
        arrived = sum(answer == "200" for answer in answers)
    except (HostError, ValueError, TypeError):
        arrived = 0
    work.note("notice-sent", users=len(known), arrived=arrived)
