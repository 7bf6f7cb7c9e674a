"""Who asks to talk to a bot, read from its gateway's database; and the answer, which the gateway itself gives.

The gateway's HTTP has no word for pairing. Its CLI lists in 5 s and 420 MB (facts on OpenClaw, section 3.5), and what
it lists are the tables read here, in milliseconds: read-only, and as the gateway's own user, so that nothing in its
home becomes root's. Answers go through `openclaw gateway call`, which makes nobody an owner, as `openclaw pairing
approve` may (OpenClaw's documentation, cli/pairing): 1.5 s to 3.5 s and some 220 MB a call, bounded by systemd.
"""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command, Json

_READ: Final = """
import datetime, json, os, sqlite3, sys, time
path, found = sys.argv[1], {"requests": [], "approved": []}
def meta(text):
    try:
        value = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        value = None
    value = value if isinstance(value, dict) else {}
    return {name: str(value.get(name) or "")[:100] for name in ("username", "firstName", "lastName")}
def age(text):
    try:
        made = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return time.time() - made.timestamp()
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None
if os.path.isfile(path):
    try:
        with sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            asked = "SELECT request_id, code, created_at, meta_json FROM channel_pairing_requests"
            asked += " WHERE channel_key = 'telegram' ORDER BY created_at DESC LIMIT 100"  # the gateway keeps three
            for user, code, at, more in reversed(database.execute(asked).fetchall()):
                found["requests"].append({"user": str(user)[:40], "code": str(code)[:20], "age": age(at), **meta(more)})
            let_in = "SELECT DISTINCT entry FROM channel_pairing_allow_entries"
            let_in += " WHERE channel_key = 'telegram' ORDER BY sort_order LIMIT 1000"
            found["approved"] = [str(entry)[:40] for entry, in database.execute(let_in) if entry is not None]
    except sqlite3.Error as error:
        sys.exit("its database cannot be read: %s" % error)
print(json.dumps(found))
"""

_AS_OWNER: Final = """
[ -d /var/lib/openclaw ] || { echo 'no gateway has ever run here' >&2; exit 1; }
exec runuser -u openclaw -- env -i LC_ALL=C.UTF-8 PATH=/usr/bin:/bin timeout 20 \\
  python3 -I -c "$1" /var/lib/openclaw/.openclaw/state/openclaw.sqlite </dev/null
"""

# A gateway that is down is said at once: the CLI would wait for it. What the CLI may take is bounded by systemd.
_CALL: Final = """
python3 -I -c 'import socket; socket.create_connection(("127.0.0.1", 18789), 3).close()' 2>/dev/null ||
  { echo 'the gateway does not answer on loopback' >&2; exit 1; }
home=/var/lib/openclaw
exec systemd-run --quiet --pipe --wait --collect --service-type=exec --uid=openclaw --working-directory="$home" \\
  --property=MemoryMax=768M --property=RuntimeMaxSec=60 --property=NoNewPrivileges=yes \\
  --setenv=HOME="$home" --setenv=PATH="$1/bin:/usr/bin:/bin" \\
  --setenv=OPENCLAW_NO_AUTO_UPDATE=1 --setenv=OPENCLAW_NO_RESPAWN=1 \\
  "$1/bin/node" /opt/openclaw/current/node_modules/openclaw/openclaw.mjs gateway call "$2" \\
  --params "$3" --json --timeout 20000 </dev/null
"""


def read_pairings() -> Command:
    """Prints {"requests": [{"user", "code", "age", "username", "firstName", "lastName"}], "approved": [user]}.

    `age` is in seconds, by the host's clock; null where the time of the request is none. The oldest first. Of a
    gateway that has never run nobody is known.
    """
    return script("read pairings", _AS_OWNER, _READ, timeout=40)


def call_by_cli(method: str, params: Json, node: str) -> Command:
    """Call what the running gateway does not offer over HTTP, by its CLI and the Node below `node`.

    stdout is the method's answer as JSON, or {"ok": false, "error": {"message": …}} with another exit code than 0.
    `params` is seen in the host's process list: no secret.
    """
    return script(f"call {method} by the CLI", _CALL, node, method, json.dumps(params), timeout=75, check=False)
