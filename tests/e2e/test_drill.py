"""Drills on real machines: a backup with a conversation is proven and nothing is left; a damaged one is found out."""

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
from tests.e2e.minds import CHILD, OLDER, USER, RecordProperty

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def operator(
    sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path
) -> Iterator[Operator]:
    """Of a child that was told something, and has a backup since."""
    found = Operator(tmp_path_factory.mktemp("drills"), operator_home)
    found.fleet("init", "--sandbox", "--name", "drills")
    child = {**CHILD, "version": OLDER}
    fleet = {"fleet": "drills", "cloud": {"provider": "sandbox"}, "children": {"ada": child}}
    (found.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
    try:
        found.fleet("apply", "--yes", timeout=1200)
        token = found.on("ada", "sudo", "-n", "cat", files.TELEGRAM_TOKEN_PATH).strip()
        sandbox.say(token, USER, f"my dog is called Bello {secrets.token_hex(6)}")
        wait_until(lambda: bool(sandbox.replies(token, USER)), "the answer came", 120)
        found.fleet("backup", "create", "ada")
        yield found
    finally:
        found.fleet("destroy", "--all", "--yes", "--no-backup", "ada")


def throwaways() -> list[str]:
    found = ask_cloud("GET", "/servers", params={"label_selector": "openclaw-deploy/throwaway"})["servers"]
    return [server["name"] for server in found]


def everything_noted(operator: Operator) -> str:
    return operator.fleet("journal", "--json", "-n", "100000")


def test_a_drill_proves_a_backup_and_leaves_nothing(operator: Operator, record_property: RecordProperty) -> None:
    [told] = json.loads(operator.fleet("drill", "ada", "--json", timeout=1200))
    assert told["proven"], told
    assert told["left"] is None
    assert told["rto_seconds"] > 0
    record_property("Drill: RTO, from the backup to a gateway that is proven", f"{told['rto_seconds']} s")
    assert throwaways() == []
    row = operator.status()["ada"]
    assert row["last_proven"]["backup"] == told["backup"]
    assert row["health"] == "HEALTHY"
    operator.fleet("plan", "--detailed-exitcode")


def test_one_flipped_byte_of_a_backup_is_found_before_any_server_is_made(operator: Operator) -> None:
    sealed = max((operator.directory / "backups").rglob("*.age"))
    whole = sealed.read_bytes()
    middle = len(whole) // 2
    sealed.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    journal = everything_noted(operator)
    try:
        [told] = json.loads(operator.fleet("drill", "ada", "--json", code=1))
    finally:
        sealed.write_bytes(whole)
    assert not told["proven"]
    assert sealed.name.startswith(told["backup"])
    assert f"the backup {told['backup']} of ada is damaged" in told["problem"]
    since = everything_noted(operator).removeprefix(journal)
    assert "drill-failed" in since
    assert "drill-started" not in since
    assert "create-intended" not in since
    assert throwaways() == []
    row = operator.status()["ada"]
    assert row["last_drill"] != row["last_proven"]
    assert row["health"] == "HEALTHY"
