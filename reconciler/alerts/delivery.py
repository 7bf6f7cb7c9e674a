"""Delivers a message to a place by its URL, as apprise writes such: Slack, email, Telegram, webhooks and many more.

The URL is a secret: what a library says of it comes into no log and no error.
"""

from __future__ import annotations

import logging
from typing import Final

import apprise
import httpx

from reconciler.model import Level, Secret

SECONDS: Final = 10.0
_TYPES: Final = {
    Level.CRITICAL: apprise.NotifyType.FAILURE,
    Level.WARNING: apprise.NotifyType.WARNING,
    None: apprise.NotifyType.SUCCESS,
}


def deliver(url: Secret, title: str, body: str, level: Level | None) -> str:
    """Why it could not be delivered; empty where it was. A `level` of None: something is over."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it names URLs
    asset = apprise.AppriseAsset(app_id="fleet", app_desc="OpenClaw Deploy", async_mode=False)
    place = apprise.Apprise(asset=asset)
    if not place.add(url.reveal()):
        return "its URL is none that apprise knows"
    try:
        is_taken = place.notify(title=title, body=body, notify_type=_TYPES[level])
    except Exception as error:  # whatever a plug-in raises: no alert may end a pass
        return f"it could not be delivered: {type(error).__name__}"
    return "" if is_taken else "the place did not take it"


def ping(url: Secret) -> str:
    """A dead man's switch is told that all goes on; why not, where it could not be."""
    try:
        answer = httpx.get(url.reveal(), timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"it could not be reached: {type(error).__name__}"
    return "" if answer.is_success else f"it answers HTTP {answer.status_code}"
