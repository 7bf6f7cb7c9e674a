"""What was said lately, by the transcripts of a gateway's agents: whose turn, when and how long; texts where asked for.

Read from its databases as pairings are: read-only, as the gateway's own user. The gateway writes them while they are
read. OpenClaw's tables are not promised to anybody: what is not there is left out.
"""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command, Json

_LONGEST: Final = 2000  # characters of a text
_READ: Final = """
import glob, json, sqlite3, sys, urllib.parse
wanted = json.loads(sys.argv[1])
found = []
def parsed(text):
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
def words(content):
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\\n".join(it["text"] for it in parts if isinstance(it, dict) and isinstance(it.get("text"), str))
def sessions(database):
    for table, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name DESC").fetchall():
        columns = {row[1] for row in database.execute("PRAGMA table_info(%s)" % json.dumps(table))}
        if {"session_id", "session_key"} <= columns and table.startswith("session"):
            rows = database.execute("SELECT session_id, session_key FROM %s" % json.dumps(table))
            return {str(one): str(key) for one, key in rows}
    return {}
for path in sorted(glob.glob("/var/lib/openclaw/.openclaw/agents/*/agent/openclaw-agent.sqlite")):
    try:
        place = "file:%s?mode=ro" % urllib.parse.quote(path)
        with sqlite3.connect(place, uri=True, timeout=5) as database:
            keys = sessions(database)
            asked = "SELECT session_id, seq, created_at, event_json FROM transcript_events"
            asked += " WHERE created_at >= ? ORDER BY created_at DESC, seq DESC LIMIT ?"
            for session, seq, at, event in database.execute(asked, (wanted["since"] * 1000, wanted["rows"])):
                event = parsed(event)
                said = event.get("message") if isinstance(event.get("message"), dict) else {}
                if event.get("type") != "message" or said.get("role") not in ("user", "assistant"):
                    continue
                text = words(said.get("content"))
                if not text:
                    continue  # a call of a tool
                found.append({
                    "id": "%s/%s" % (session, seq), "at": at / 1000, "role": said["role"],
                    "session": str(keys.get(session, ""))[:200], "length": len(text),
                    "text": text[: wanted["longest"]] if wanted["texts"] else None,
                })
    except (sqlite3.Error, TypeError):
        continue
found.sort(key=lambda it: (it["at"], it["id"]))
print(json.dumps(found[max(0, len(found) - wanted["count"]):]))
"""

_AS_OWNER: Final = """
[ -d /var/lib/openclaw ] || { echo 'no gateway has ever run here' >&2; exit 1; }
exec runuser -u openclaw -- env -i LC_ALL=C.UTF-8 PATH=/usr/bin:/bin timeout 20 python3 -I -c "$1" "$2" </dev/null
"""


def read_messages(count: int, since: float = 0.0, *, texts: bool = False) -> Command:
    """Prints the last `count` messages as [{"id", "at", "role", "session", "length", "text"}], the oldest first.

    `since` and `at` are seconds of the host's clock; `role` is user or assistant, `text` null without `texts`.
    """
    wanted: dict[str, Json] = {"count": count, "since": since, "texts": texts, "longest": _LONGEST}
    wanted["rows"] = min(20 * count, 20_000)  # most rows of a transcript are calls of tools
    return script("read messages", _AS_OWNER, _READ, json.dumps(wanted), timeout=40)
