"""The logs of a simulated host, as it tells them: lines that a test, or its gateway, has put there."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.host import SimulatedHost

Entry = dict[str, Any]
HOME: Final = "/var/lib/openclaw"
_SERIOUS: Final = ("ERROR", "FATAL")


def read_logs(host: SimulatedHost, call: Call) -> bytes:
    """Cursors are how many lines there were."""
    of_log, of_journal = (json.loads(text) for text in call.arguments[2:])
    answer: dict[str, Json] = {
        "now": host.now(),
        "log": _told(host, host.log, of_log, lambda it: it["level"] in _SERIOUS),
        "journal": _told(host, host.journal, of_journal, lambda it: _is_ill(it, of_journal["ill"])),
    }
    return json.dumps(answer).encode()


def read_messages(host: SimulatedHost, call: Call) -> bytes:
    """What a test says that was said."""
    if HOME not in host.directories:
        raise Fails("no gateway has ever run here")
    wanted = json.loads(call.arguments[1])
    found = [it for it in host.talk if it["at"] >= wanted["since"]]
    kept = found[max(0, len(found) - wanted["count"]) :]
    return json.dumps([{**it, "text": it["text"] if wanted["texts"] else None} for it in kept]).encode()


def _is_ill(entry: Entry, pattern: str) -> bool:
    return entry["level"] <= 4 or re.search(pattern, entry["text"]) is not None


def _told(host: SimulatedHost, entries: list[Entry], wanted: Entry, is_error: Any) -> dict[str, Json]:
    since = wanted["since"] if wanted["age"] is None else host.now() - wanted["age"]
    found = entries[wanted["cursor"] or 0 :]
    if wanted["cursor"] is None and since is not None:
        found = [it for it in found if it["at"] >= since]
    found = [it for it in found if is_error(it) or not wanted["errors"]]
    kept = found if wanted["lines"] is None else found[max(0, len(found) - wanted["lines"]) :]
    return {"entries": [*kept], "cursor": len(entries), "is_cut": False, "more": False}
