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


def send_message(root: str, users: Sequence[int], text: str) -> Command:
    """`text` goes to each of these Telegram users; prints a JSON list of what was answered for each: "200" is well."""
    request = {"root": root, "token_path": TOKEN_PATH, "users": [*users], "text": text, "seconds": _SECONDS}
    data = json.dumps(request).encode()
    timeout = 30.0 + _SECONDS * len(users)
    return script("send a message", 'exec python3 -I -c "$1"', _SEND, stdin=data, timeout=timeout)
