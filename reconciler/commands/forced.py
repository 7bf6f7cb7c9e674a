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

# The last word of what was asked is the question: the operator's side wraps it as it does all its commands. One of a
# kind at a time, so that nobody who may only look can take a host's memory. What a gateway has written may have secrets
# of its user in it; who has the fleet key masks them on his side, and here it is done before anything leaves the host.
_PROGRAM: Final = r"""#!/usr/bin/python3 -I
import fcntl, json, re, shlex, subprocess, sys, time
QUESTIONS = json.loads(@TABLE@)
SECRETS = re.compile(
    r"\d{5,12}(?::|%3A)[A-Za-z0-9_-]{20,}|\b(?:sk|gh[a-z]|github|xox[a-z]|AKIA)[-_]?[A-Za-z0-9_-]{12,}"
    r"|(?i:\b(?:bearer|basic)\s+)\S{6,}|(?<=://)[^/@\s]+(?=@)"
    r"|(?i:[\w-]*(?:token|secret|passw|api.?key)[\w-]*[\"']?\s*(?:[:=]|is)\s*)\S{3,}|\b[A-Za-z0-9_-]{32,}={0,2}"
)
def hidden(value):
    if isinstance(value, list):
        return [hidden(it) for it in value]
    return SECRETS.sub("***", value) if isinstance(value, str) else value
def masked(line):
    try:
        said = json.loads(line)
        gateway = said["gateway"]
        for name in ("journal", "channel_error"):
            if name in gateway:
                gateway[name] = hidden(gateway[name])
        return json.dumps(said).encode()
    except (ValueError, LookupError, TypeError):
        return b""
try:
    words = shlex.split(sys.argv[1])
except (IndexError, ValueError):
    words = []
word = words[-1] if words else ""
asked = QUESTIONS.get(word)
if asked is None:
    sys.exit("this key may only ask: " + ", ".join(QUESTIONS))
lock = open("/run/openclaw-deploy.probe-" + word, "w")
for _ in range(200):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("somebody else is asking the same")
words = ["timeout", "-k", "2", str(asked["seconds"]), "sh", "-c", asked["line"]]
done = subprocess.run(words, input=asked["stdin"].encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
first, newline, rest = done.stdout.partition(b"\n")
sys.stdout.buffer.write((masked(first) if word == "@WATCH@" else first) + newline + rest)
sys.stdout.flush()
sys.exit(done.returncode & 255)
"""


def forced_program(questions: Mapping[str, Command]) -> str:
    """The text of the program that sshd runs for a probe key."""
    table = {
        word: {"line": it.line, "stdin": it.stdin.decode(), "seconds": it.timeout} for word, it in questions.items()
    }
    return _PROGRAM.replace("@TABLE@", repr(json.dumps(table))).replace("@WATCH@", WATCH)


def models_of(provider: str) -> str:
    """The word for whether this provider takes the key of the host."""
    return f"models-{provider}"


def ask(word: str, timeout: float = _SECONDS, *, check: bool = True) -> Command:
    """One of these questions, for who has a probe key; `timeout` as the question itself has it."""
    return Command(word, word, timeout=timeout, as_root=False, check=check)
