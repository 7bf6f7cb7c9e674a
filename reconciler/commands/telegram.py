"""A few words to a bot's users, sent from its host with the token that lies there. Nothing is ever fetched:

who asks for updates takes them away from the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command

TOKEN_PATH: Final = "/etc/openclaw/telegram.token"  # noqa: S105  # where it is, not what it is
_SECONDS: Final = 10  # for each user

# The token is a part of the URL's path, and never of an argument. Prints the HTTP code of each, or why there is none.
_SEND: Final = """
import http.client, json, sys, urllib.parse
request = json.load(sys.stdin)
with open(request["token_path"]) as file:
    token = file.read().strip()
place = urllib.parse.urlsplit(request["root"])
kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
answers = []
for user in request["users"]:
    body = json.dumps({"chat_id": user, "text": request["text"]})
    connection = kind(place.hostname, place.port, timeout=request["seconds"])
    try:
        path = "%s/bot%s/sendMessage" % (place.path.rstrip("/"), token)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answers.append(str(connection.getresponse().status))
    except (OSError, http.client.HTTPException) as error:
        answers.append(type(error).__name__)
print(json.dumps(answers))
"""


# Whose token it is, and whether messages are sent elsewhere. It prints of the latter the host alone: a path may be one
# more secret.
_BOT: Final = """
import http.client, json, sys, urllib.parse
request = json.load(sys.stdin)
place = urllib.parse.urlsplit(request["root"])
kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
answer = {"code": "", "webhook": ""}
try:
    with open(request["token_path"]) as file:
        token = file.read().strip()
    for method in ("getMe", "getWebhookInfo"):
        connection = kind(place.hostname, place.port, timeout=request["seconds"])
        connection.request("GET", "%s/bot%s/%s" % (place.path.rstrip("/"), token, method))
        response = connection.getresponse()
        said = response.read(1 << 16)
        answer["code"] = str(response.status)
        if response.status != 200:
            break
    else:
        url = json.loads(said)["result"].get("url") or ""
        answer["webhook"] = (urllib.parse.urlsplit(url).hostname or "somewhere")[:100] if url else ""
except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError) as error:
    answer["code"] = type(error).__name__
print(json.dumps(answer))
"""


def ask_for_bot(root: str) -> Command:
    """Does Telegram take the token that lies on the host, and is a webhook set? Prints {"code", "webhook"} as JSON.

    The code is 200 where it does. Nothing is fetched of what people have written.
    """
    request = {"root": root, "token_path": TOKEN_PATH, "seconds": _SECONDS}
    return script("ask for the bot", 'exec python3 -I -c "$1"', _BOT, stdin=json.dumps(request).encode(), check=False)


def send_message(root: str, users: Sequence[int], text: str) -> Command:
    """`text` goes to each of these Telegram users; prints a JSON list of what was answered for each: "200" is well."""
    request = {"root": root, "token_path": TOKEN_PATH, "users": [*users], "text": text, "seconds": _SECONDS}
    data = json.dumps(request).encode()
    timeout = 30.0 + _SECONDS * len(users)
    return script("send a message", 'exec python3 -I -c "$1"', _SEND, stdin=data, timeout=timeout)
