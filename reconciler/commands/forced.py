"""What a host does for who logs in with a probe key: it answers a few questions, known by a word each, and no others.

sshd runs one program for such a login, whatever was asked for. The questions lie on the host, for whoever asks has
neither the right to send a program nor the key that digests of secrets are made with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from reconciler.model import Command

PROGRAM_PATH: Final = "/usr/local/lib/openclaw-deploy/probe"
# What is asked stands in an argument: sudo keeps no environment. `restrict` allows no terminal and no forwarding.
OPTIONS: Final = f'restrict,command="exec sudo -n -- {PROGRAM_PATH} \\"$SSH_ORIGINAL_COMMAND\\""'

WATCH: Final = "watch"
CONFIG: Final = "config"
BOT: Final = "bot"
UPDATES: Final = "updates"
_SECONDS: Final = 60.0

# The last word of what was asked is the question: the operator's side wraps it as it does all its commands. One at a
# time, so that nobody who may only look can take a host's memory.
_PROGRAM: Final = """#!/usr/bin/python3 -I
import fcntl, json, shlex, subprocess, sys, time
QUESTIONS = json.loads({table!r})
try:
    words = shlex.split(sys.argv[1])
except (IndexError, ValueError):
    words = []
asked = QUESTIONS.get(words[-1]) if words else None
if asked is None:
    sys.exit("this key may only ask: " + ", ".join(QUESTIONS))
lock = open("/run/openclaw-deploy.probe", "w")
for _ in range(200):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("another one is asking")
words = ["timeout", "-k", "2", str(asked["seconds"]), "sh", "-c", asked["line"]]
sys.exit(subprocess.run(words, input=asked["stdin"].encode()).returncode & 255)
"""


def forced_program(questions: Mapping[str, Command]) -> str:
    """The text of the program that sshd runs for a probe key."""
    table = {
        word: {"line": it.line, "stdin": it.stdin.decode(), "seconds": it.timeout} for word, it in questions.items()
    }
    return _PROGRAM.format(table=json.dumps(table))


def models_of(provider: str) -> str:
    """The word for whether this provider takes the key of the host."""
    return f"models-{provider}"


def ask(word: str, timeout: float = _SECONDS, *, check: bool = True) -> Command:
    """One of these questions, for who has a probe key; `timeout` as the question itself has it."""
    return Command(word, word, timeout=timeout, as_root=False, check=check)
