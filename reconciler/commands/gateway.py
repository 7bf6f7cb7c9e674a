"""Asking the gateway: its configuration check, and its own RPC over loopback with the token that lies on the host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from reconciler.commands.release import RELEASES
from reconciler.commands.shell import script
from reconciler.model import Command, Json

TOKEN_PATH: Final = "/etc/openclaw/gateway.token"  # noqa: S105  # where it is, not what it is
MODEL_KEY_PATH: Final = "/etc/openclaw/model.key"

# A state directory of its own: the check must neither read nor touch that of a running gateway. The cache of what Node
# has compiled is the gateway's: what is there by then, its first start with this release need not compile again.
_VALIDATE = f"""
node=/opt/openclaw/node-$2/bin/node
work=$(mktemp -d /run/openclaw-validate.XXXXXX); trap 'rm -rf -- "$work"' EXIT
umask 077; cat >"$work/openclaw.json"; mkdir "$work/state"; chown -R openclaw:openclaw "$work"; cd "$work"
runuser -u openclaw -- env -i HOME="$work" PATH="${{node%/node}}:/usr/bin:/bin" OPENCLAW_NO_AUTO_UPDATE=1 \
  OPENCLAW_CONFIG_PATH="$work/openclaw.json" OPENCLAW_STATE_DIR="$work/state" \
  NODE_COMPILE_CACHE=/var/cache/openclaw/compile \
  "$node" {RELEASES}/"$1"/node_modules/openclaw/openclaw.mjs config validate --json </dev/null
"""

# The same of the file that lies there, by the release that is linked. 66: there is none; 75: nobody can tell now. It is
# read as the gateway's account: that may have put a link there to what is root's alone.
_CHECK: Final = (
    """
path=$1; link=$2; node=$3; least=$4; most=$5
[ -e "$link" ] || exit 75
[ "$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)" -ge "$least" ] || exit 75
held=$(mktemp /run/openclaw-check.XXXXXX)
runuser -u openclaw -- head -c "$most" -- "$path" >"$held" 2>/dev/null || { rm -f "$held"; exit 66; }
size=$(stat -c %s "$held")
exec <"$held"; rm -f "$held"
[ "$size" -gt 0 ] || exit 66
[ "$size" -lt "$most" ] || exit 75
set -- "$(basename "$(readlink "$link")")" "$node"
"""
    + _VALIDATE
)
NO_FILE: Final = 66

# Reads {"port", "token_path", "body"} on stdin. http.client and not urllib: no proxy from the environment and no
# redirect can carry the token elsewhere.
_RPC: Final = """
import http.client, json, sys
request = json.load(sys.stdin)
with open(request["token_path"]) as file:
    token = file.read().strip()
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=20)
try:
    connection.request("POST", "/api/v1/admin/rpc", json.dumps(request["body"]), headers)
    response = connection.getresponse()
    answer = response.read(1 << 20)
except (OSError, http.client.HTTPException) as error:
    sys.exit("the gateway does not answer on loopback: %s" % error)
if response.status in (401, 404):
    sys.exit("the gateway answered HTTP %d" % response.status)
sys.stdout.buffer.write(answer)
"""


# A question takes milliseconds of a host that is busy with the start (facts on OpenClaw, section 3.3).
_AWAIT: Final = """
end=$(($(date +%s) + $2))
while ! curl -sf -m 1 -o /dev/null --noproxy '*' "http://127.0.0.1:$1/readyz"; do
  [ "$(date +%s)" -lt "$end" ] || exit 0
  sleep 0.2
done
echo ready
"""

# Asking which models there are costs nothing, and takes the key. Prints the HTTP code, or why there is none.
_MODELS: Final = """
import http.client, json, sys, urllib.parse
request = json.load(sys.stdin)
with open(request["key_path"]) as file:
    key = file.read().strip()
place = urllib.parse.urlsplit(request["url"])
kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
if request["provider"] != "anthropic":
    headers = {"Authorization": "Bearer " + key}
connection = kind(place.hostname, place.port, timeout=10)
try:
    connection.request("GET", place.path.rstrip("/") + "/v1/models", headers=headers)
    print(connection.getresponse().status)
except (OSError, http.client.HTTPException, ValueError) as error:
    print(type(error).__name__)
"""


# Reads {"port", "token_path", "calls", "seconds", "pause"} on stdin; prints a list with an answer for each call. Where
# nothing listens at first, that is said at once.
_INVOKE: Final = """
import http.client, json, sys, time
request = json.load(sys.stdin)
with open(request["token_path"]) as file:
    token = file.read().strip()
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
answers = []
for call in request["calls"]:
    time.sleep(request["pause"] if answers else 0)
    connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=request["seconds"])
    try:
        connection.request("POST", "/tools/invoke", json.dumps(call), headers)
        response = connection.getresponse()
        content = response.read(1 << 20)
    except ConnectionRefusedError as error:
        if not answers:
            sys.exit("the gateway does not answer on loopback: %s" % error)
        answers.append({"message": "", "problem": "the gateway does not answer on loopback: %s" % error})
        continue
    except (OSError, http.client.HTTPException) as error:
        said = "nobody can tell whether it was sent: %s" % (error or type(error).__name__)
        answers.append({"message": "", "problem": said, "unclear": True})
        continue
    try:
        says = json.loads(content)
        details = (says.get("result") or {}).get("details") or {}
        error, number = says.get("error") or {}, details.get("messageId")
        said = str(error.get("message") or details.get("error") or "")
        is_sent = says.get("ok") is True and details.get("ok") is True and type(number) in (int, str)
        chat, wanted = details.get("chatId"), (call.get("args") or {}).get("target")
        if is_sent and wanted is not None and str(chat) != str(wanted):
            said = "nobody can tell whether it was sent: the gateway answers for another chat"
            answers.append({"message": "", "problem": said, "unclear": True})
            continue
        answers.append({"message": str(number)[:100] if is_sent else "", "problem": "" if is_sent else said[:300]})
    except (ValueError, AttributeError, TypeError, RecursionError):
        said = "nobody can tell whether it was sent: the gateway answered HTTP %d with what is no answer"
        answers.append({"message": "", "problem": said % response.status, "unclear": True})
print(json.dumps(answers))
"""
_PAUSE: Final = 0.05  # seconds; Telegram takes 30 messages a second from a bot
_SECONDS: Final = 30  # for one call


def send_messages(calls: Sequence[Json], port: int = 18789) -> Command:
    """Let the running gateway send messages by its own tool, one after the other, as `POST /tools/invoke` takes them.

    Prints a JSON list with an answer for each: {"message": its id, "problem": why there is none}, both texts, and with
    "unclear": true where nobody can tell. What a gateway says beside is left there: a command's output is bounded.
    """
    request = {"port": port, "token_path": TOKEN_PATH, "calls": [*calls], "seconds": _SECONDS, "pause": _PAUSE}
    stdin, timeout = json.dumps(request).encode(), 30.0 + len(calls) * (_SECONDS + _PAUSE)
    return script("send messages", 'exec python3 -I -c "$1"', _INVOKE, stdin=stdin, timeout=timeout)


def ask_for_models(url: str, provider: str) -> Command:
    """Does the provider below `url` take the key that lies on the host? Prints 200 where it does."""
    request = {"url": url, "provider": provider, "key_path": MODEL_KEY_PATH}
    return script("ask for models", 'exec python3 -I -c "$1"', _MODELS, stdin=json.dumps(request).encode(), check=False)


def validate_config(version: str, node_version: str, candidate: bytes) -> Command:
    """Would this release accept `candidate` as openclaw.json? Exit code 0: yes; stdout is its JSON verdict."""
    return script(
        "validate the configuration", _VALIDATE, version, node_version, stdin=candidate, timeout=90, check=False
    )


def check_config(path: str, link: str, node_version: str, least_mb: int, most: int) -> Command:
    """Would the release behind `link` accept the file at `path`, as `validate_config` says it of one that is sent?

    Exit code NO_FILE: it is not there, or empty. 75: it has `most` bytes or more, or there are no `least_mb` MB of
    memory for the check.
    """
    arguments = (path, link, node_version, str(least_mb), str(most))
    return script("check the configuration", _CHECK, *arguments, timeout=90, check=False)


def forget_config_backups(path: str, *, whatever_its_name: bool = False) -> Command:
    """Drop the gateway's own copies of `path`: it puts one back when a file lacks the `meta` that the copy has.

    Those it puts back; or whatever is called as `path` with more behind it, as those that it keeps for people are
    (`.clobbered.*`, `.rejected.*`) and what a later release may call otherwise.
    """
    ends = (".*",) if whatever_its_name else (".bak", ".bak.*", ".last-good")
    text = 'exec runuser -u openclaw -- sh -c \'path=$1; shift; for end; do rm -rf -- "$path"$end; done\' sh "$@"'
    return script(f"forget the backups of {path}", text, path, *ends)


def gateway_rpc(method: str, params: Json, port: int = 18789) -> Command:
    """Call the running gateway; stdout is `{"ok": true, "payload": …}` or `{"ok": false, "error": …}`."""
    request = {"port": port, "token_path": TOKEN_PATH, "body": {"method": method, "params": params}}
    return script(f"call {method}", 'exec python3 -I -c "$1"', _RPC, stdin=json.dumps(request).encode())


def await_ready(within: int, port: int = 18789) -> Command:
    """Prints "ready" as soon as the running gateway says so of itself, and nothing if it does not `within` seconds."""
    return script("wait until it is ready", _AWAIT, str(port), str(within))
