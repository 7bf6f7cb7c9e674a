"""The demo's conversation: two users write to two bots through the sandbox's stand-in for Telegram.

Run in the demo's fleet directory while its sandbox is up. It prints who said what, and exits 1 when no answer comes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time

from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.paths import Paths

ALICE, STRANGER = 4242, 777
QUESTION = "Good morning! Are you there?"
PATIENCE = 60.0  # seconds until an answer must have come


def main() -> int:
    bots = bot_ids()
    with SandboxClient(Paths.default().control) as sandbox:
        answered = talk(sandbox, "Alice", ALICE, "alice", bots["alice"], QUESTION)
        asking = {request.client for request in sandbox.model_requests() if QUESTION in request.text}
        print(f"  The stand-in for the model was asked by {', '.join(asking)} and made that answer up.")
        asked = talk(sandbox, "a stranger", STRANGER, "bob", bots["bob"], "Let me in!")
    return 0 if answered and asked else 1


def bot_ids() -> dict[str, str]:
    """Child -> its bot's id. The stand-in calls a bot `bot<id>_bot`."""
    said = subprocess.run(["fleet", "status", "--json"], check=True, capture_output=True, text=True).stdout
    return {
        child["child"]: child["gateway"]["bot"].removeprefix("bot").removesuffix("_bot") for child in json.loads(said)
    }


def talk(sandbox: SandboxClient, who: str, user: int, child: str, bot: str, text: str) -> bool:
    """Say something and wait for what the bot writes back."""
    print(f"\n  {who} -> {child}'s bot: {text}")
    started = time.monotonic()
    sandbox.say(bot, user, text, first_name=who)
    while time.monotonic() - started < PATIENCE:
        replies = sandbox.replies(bot, user)
        if replies:
            answer = re.sub("<[^>]*>", "", replies[-1]).strip()  # without Telegram's mark-up
            print(f"  {child}'s bot -> {who} ({time.monotonic() - started:.1f} s later):")
            print(textwrap.indent(answer, "    "))
            return True
        time.sleep(0.2)
    print(f"  {child}'s bot said nothing for {PATIENCE:.0f} s")
    return False


if __name__ == "__main__":
    sys.exit(main())
