"""A first apply is killed ten times in a row at seeded moments; the last one converges and nothing was made twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator

SEED = 20261122
# Seconds. Four fall around the request that makes the server (Python and a look take about one), six into the rest:
# a whole first apply takes about a minute, and what runs on the machine goes on while its operator is dead.
MOMENTS = [(0.6, 2.2)] * 4 + [(1.0, 8.0)] * 6

FLEET = {
    "cloud": {"provider": "sandbox"},
    "children": {
        "dave": {
            "region": "nbg1",
            "version": "2026.9.6",
            "bot": {"token": "env:DAVE_BOT_TOKEN"},
            "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
        }
    },
}


@pytest.fixture
def operator(sandbox: SandboxClient, tmp_path: Path, operator_home: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path / "fleet", operator_home)
    operator.directory.mkdir()
    yield operator
    operator.fleet("destroy", "--all", "--yes")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_an_apply_at_once(operator: Operator, number: signal.Signals, code: int) -> None:
    start_fleet(operator, number.name.lower())
    process = operator.start("apply", "--yes")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(7)
    process.send_signal(number)
    assert process.wait(3) == code


def test_ten_kills_and_one_server(operator: Operator, sandbox: SandboxClient) -> None:
    start_fleet(operator, "killed")
    moments = random.Random(SEED)
    killed = [kill_after(operator, moments.uniform(*span)) for span in MOMENTS]
    assert killed == [True] * len(MOMENTS), "an apply ended before its killer came: it was never in danger"
    operator.fleet("apply", "--yes")
    assert operator.status()["dave"]["health"] == "HEALTHY"
    assert "No changes" in operator.fleet("plan", "--detailed-exitcode")
    made = [
        entry["body"]["name"]  # type: ignore[index,call-overload]
        for entry in sandbox.cloud_log()
        if entry["method"] == "POST" and entry["path"] == "/servers" and entry["status"] == 201
    ]
    assert made.count("killed-dave") == 1


def start_fleet(operator: Operator, name: str) -> None:
    operator.fleet("init", "--sandbox", "--name", name)
    (operator.directory / "fleet.yaml").write_text(yaml.safe_dump({"fleet": name} | FLEET, sort_keys=False))


def kill_after(operator: Operator, seconds: float) -> bool:
    """One apply, ended by SIGKILL after so many seconds; whether it was still at work then."""
    process = operator.start("apply", "--yes")
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        print(f"killed after {seconds:.1f} s")
        return True
    print(f"ended within {seconds:.1f} s")
    operator.fleet("journal", "-n", "20")  # what ended it
    return False
