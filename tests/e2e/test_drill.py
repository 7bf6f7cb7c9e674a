"""A drill on a real machine: a backup with a conversation is restored to another one, proven, and nothing is left."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator, ask_cloud, wait_until
from tests.e2e.minds import CHILD, OLDER, USER

pytestmark = pytest.mark.e2e


@pytest.fixture
def operator(sandbox: SandboxClient, tmp_path: Path, operator_home: Path) -> Iterator[Operator]:
    del sandbox  # it is up
    found = Operator(tmp_path, operator_home)
    found.fleet("init", "--sandbox", "--name", "drills")
    try:
        yield found
    finally:
        found.fleet("destroy", "--all", "--yes", "--no-backup", "ada")


def test_a_drill_proves_a_backup_and_leaves_nothing(operator: Operator, sandbox: SandboxClient) -> None:
    child = {**CHILD, "version": OLDER}
    fleet = {"fleet": "drills", "cloud": {"provider": "sandbox"}, "children": {"ada": child}}
    (operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
    operator.fleet("apply", "--yes", timeout=1200)
    token = operator.on("ada", "sudo", "-n", "cat", files.TELEGRAM_TOKEN_PATH).strip()
    sandbox.say(token, USER, f"my dog is called Bello {secrets.token_hex(6)}")
    wait_until(lambda: bool(sandbox.replies(token, USER)), "the answer came", 120)
    operator.fleet("backup", "create", "ada")
    [told] = json.loads(operator.fleet("drill", "ada", "--json", timeout=1200))
    assert told["proven"], told
    assert told["left"] is None
    assert told["rto_seconds"] > 0
    servers = ask_cloud("GET", "/servers", params={"label_selector": "openclaw-deploy/throwaway"})["servers"]
    assert servers == []
    row = operator.status()["ada"]
    assert row["last_proven"]["backup"] == told["backup"]
    assert row["health"] == "HEALTHY"
    operator.fleet("plan", "--detailed-exitcode")
