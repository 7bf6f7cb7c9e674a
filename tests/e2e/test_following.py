"""Who follows a child's log gets each line once and in order, whatever happens to gateway, journal, file and line."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.commands.logs import LOG
from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import wait_until
from tests.e2e.minds import NEWER, RecordProperty, Story, shell, told

pytestmark = pytest.mark.e2e

LINES: Final = 50_000
RATE: Final = 500  # a second
AT_ONCE: Final = 50
ROTATE: Final = f"mv {LOG} {LOG.removesuffix('.log')}.1.log"
# As the gateway writes, into whatever has that name then; in its middle somebody moves the file away.
WRITE: Final = f"""
import datetime, json, subprocess, time
began = time.monotonic()
for first in range(0, {LINES}, {AT_ONCE}):
    if first == {LINES // 2}:
        subprocess.run({ROTATE!r}, shell=True, check=True)
    with open({LOG!r}, "a") as file:
        for number in range(first, first + {AT_ONCE}):
            at = datetime.datetime.now(datetime.timezone.utc).isoformat()
            meta = {{"logLevelName": "INFO", "name": "counting"}}
            file.write(json.dumps({{"message": "number %d" % number, "time": at, "_meta": meta}}) + "\\n")
    time.sleep(max(0, began + (first + {AT_ONCE}) / {RATE} - time.monotonic()))
"""
CUT: Final = "systemd-run --quiet --collect sh -c \"sleep 1; pkill -KILL -f '^sshd: '\""


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("followed"), operator_home) as made:
        made.declare(NEWER)
        made.operator.fleet("apply", "--yes", timeout=900)
        yield made


def test_fifty_thousand_lines_arrive_once_each_and_in_order(story: Story, record_property: RecordProperty) -> None:
    following = story.operator.start("logs", "ada", "--follow", "--json", "-n", "1")
    try:
        time.sleep(5)
        began = time.monotonic()
        story.root(f"systemd-run --quiet --collect --uid={files.SERVICE_USER} python3 -c {shell(WRITE)}")
        time.sleep(20)
        story.operator.fleet("restart", "ada", "--yes", timeout=300)
        story.root("journalctl --rotate --quiet")
        story.operator.fleet("restart", "ada", "--yes", timeout=300)
        time.sleep(5)
        story.root(CUT)
        wait_until(lambda: numbers(story)[-1:] == [LINES - 1], "the last line", 300)
        record_property(
            f"Log following: {LINES} lines over a restart, two rotations and a cut", f"{time.monotonic() - began:.0f} s"
        )
    finally:
        os.killpg(following.pid, signal.SIGINT)
        following.wait(30)
    assert numbers(story) == [*range(LINES)]
    assert "ada answers again" in story.operator.heard()
    started = [it for it in lines(story) if it["source"] == "journal" and it["text"].startswith("Started ")]
    assert len(started) == 2, started  # one before the journal was rotated, one after


def lines(story: Story) -> list[dict[str, Any]]:
    heard = story.operator.heard()
    whole, _, _ = heard.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def numbers(story: Story) -> list[int]:
    return [int(it["text"].split()[1]) for it in lines(story) if it["name"] == "counting"]
