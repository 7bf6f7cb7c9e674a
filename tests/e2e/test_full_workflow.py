"""The full workflow of the original specification, as people do it here: recorded, and compared word for word."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import FLEET, Operator, wait_until
from tests.transcripts import assert_transcript

pytestmark = pytest.mark.e2e

BOTS: Final = {"alice-bot": ("nbg1", 4001), "bob-bot": ("fsn1", 4002), "carol-bot": ("hel1", 4003)}
FILE: Final = """\
fleet: {name}
cloud: {{provider: sandbox}}
defaults:
  server_type: cx33
  image: debian-12
  version: 2026.9.6
  model: {{name: claude-sonnet-4-6, key: env:ANTHROPIC_API_KEY}}
children: {{}}
"""


@pytest.fixture
def operator(sandbox: SandboxClient, tmp_path: Path, operator_home: Path) -> Iterator[Operator]:
    made = Operator(tmp_path, operator_home)
    name = f"flow{secrets.token_hex(3)}"  # what an earlier one has left in this cloud has another key
    made.fleet("init", "--sandbox", "--name", name)
    (tmp_path / "fleet.yaml").write_text(FILE.format(name=name))
    yield made
    backups = [word for name in BOTS for word in ("--no-backup", name)]
    made.fleet("destroy", "--all", "--yes", *backups)


def test_three_users_get_their_bots(operator: Operator, sandbox: SandboxClient) -> None:
    tokens = {name: f"{7100000000 + user}:planted-{secrets.token_hex(14)}" for name, (_, user) in BOTS.items()}
    record = Record(operator)
    for name, (region, user) in BOTS.items():
        record("add", name, "--region", region, "--owner", str(user))
    for name, token in tokens.items():
        record("bot", "token", name, "--yes", stdin=token)
    record("apply", "--yes")
    record("monitor")
    for name, (_, user) in BOTS.items():  # a bot cannot write to who has never written to it
        sandbox.say(tokens[name], user, "Hello, are you there?")
        wait_until(lambda name=name, user=user: bool(sandbox.replies(tokens[name], user)), "an answer", 120)  # type: ignore[misc]
    for name in BOTS:
        record("send", name, "--owner", f"Welcome {name.partition('-')[0].capitalize()}!")
    record("logs", "alice-bot", "--errors")
    for name, (_, user) in BOTS.items():
        assert any("Welcome" in text for text in sandbox.replies(tokens[name], user))
    assert not [token for token in tokens.values() if token in record.said]
    assert_transcript("full-workflow", record.text)


class Record:
    """What a person types, and what is said; what differs between two runs is replaced by what it is."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.text = self.said = ""

    def __call__(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [*FLEET, *arguments], cwd=self._operator.directory, env=self._operator.environment,
            input=stdin, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        said = f"$ fleet {' '.join(arguments)}\n{done.stdout}{done.stderr}(exit {done.returncode})\n\n"
        print(said)
        self.said += said
        assert done.returncode == 0, said
        if arguments[0] == "logs":  # what gateways have to say of themselves is another each time
            said = f"$ fleet {' '.join(arguments)}\n(exit {done.returncode})\n\n"
        self.text += steady(said)


def steady(text: str) -> str:
    """Steps of several children come in another order with each run; times, addresses and numbers differ."""
    text = re.sub(r"\bflow[0-9a-f]{6}\b", "workflow", text)
    text = re.sub(r"\d+(\.\d+)? (s|min)\b", "<time>", text)
    text = re.sub(r"\b\d{10}\b", "<number>", text)
    text = re.sub(r"\b10\.91\.\d+\.\d+", "<address>", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\S+|\b\d\d:\d\d:\d\d\S*", "<moment>", text)
    text = re.sub(r"(?<=\S) {2,}", "  ", text)  # columns are as wide as what stands in them
    steps = re.compile(r"(?:^  [a-z-]+: [a-z ]+ \(<time>\)\n)+", re.MULTILINE)
    return steps.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
