"""What users are told before their gateway falls silent for a while, where the fleet file has words for it."""

from __future__ import annotations

import json
from typing import Final

from reconciler import commands
from reconciler.errors import HostError
from reconciler.managed.questions import TELEGRAM
from reconciler.model import AccessPolicy
from reconciler.steps.work import Work

MOST: Final = 20  # users; a bot with more of them is told of by other means
LONGEST_ID: Final = 16  # digits; Telegram's ids have 52 bits at most


def tell_users(work: Work) -> None:
    """Everybody who may talk to the bot gets the notice: its owner first, then whom the file allows, then whom somebody

    has let in by pairing, where that is how it goes. Whether it arrives changes nothing. Texts are not kept.
    """
    text, users = work.declared().update.notice, work.declared().users
    if not text:
        return
    let_in = _let_in(work) if users.policy is AccessPolicy.PAIRING else ()
    known = list(dict.fromkeys(user for user in (users.owner, *users.allowed, *let_in) if user is not None))[:MOST]
    if not known:
        return
    root = work.ports.endpoints.telegram_api_root or TELEGRAM
    try:
        answers = json.loads(work.connection().run(commands.send_message(root, known, text)).stdout)
        arrived = sum(answer == "200" for answer in answers)
    except (HostError, ValueError, TypeError):
        arrived = 0
    work.note("notice-sent", users=len(known), arrived=arrived)


def _let_in(work: Work) -> tuple[int, ...]:
    """Nobody where its host does not say."""
    try:
        said = json.loads(work.connection().run(commands.read_pairings()).stdout)["approved"]
        return tuple(int(user) for user in said if str(user).isdecimal() and len(str(user)) <= LONGEST_ID)
    except (HostError, ValueError, TypeError, KeyError):
        return ()
