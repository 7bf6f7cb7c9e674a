"""Bots as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from rich.text import Text

from reconciler.model import BotIdentity, CheckedBot, Json
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless


def bot_table(checked: Iterable[CheckedBot]) -> Sheet:
    """One row for each child."""
    return Sheet(("CHILD", "BOT", "NAME", "COMMANDS", "WAITING", "FINDINGS"), tuple(map(_row, checked)))


def bot_json(checked: Iterable[CheckedBot]) -> dict[str, Json]:
    return {found.child: _json(found) for found in checked}


def given_json(child: str, identity: BotIdentity) -> dict[str, Json]:
    return {"child": child, **_identity_json(identity)}


def _row(found: CheckedBot) -> tuple[Text, ...]:
    identity, webhook = found.identity, found.webhook
    cells = (
        harmless(found.child),
        harmless(f"@{identity.username}") if identity else NO_CELL,
        harmless(identity.name) if identity else NO_CELL,
        str(len(found.commands)) if identity else NO_CELL,
        str(webhook.pending) if webhook else NO_CELL,
        harmless("; ".join(found.findings)) or "none",
    )
    style = "red" if found.findings else ""
    return tuple(Text(cell, style=style if place == len(cells) - 1 else "") for place, cell in enumerate(cells))


def _json(found: CheckedBot) -> Json:
    identity, webhook = found.identity, found.webhook
    return {
        "bot": _identity_json(identity) if identity else None,
        "has_webhook": bool(webhook.url) if webhook else None,
        "pending": webhook.pending if webhook else None,
        "commands": list(found.commands),
        "findings": list(found.findings),
    }


def _identity_json(identity: BotIdentity) -> dict[str, Json]:
    return {**asdict(identity), "link": identity.link}
