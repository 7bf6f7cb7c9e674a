"""A program on a host may repeat what it was trusted with, an agent may write secrets anywhere: neither is shown."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from rich.text import Text

from reconciler.model import Json, Secret, masked
from reconciler.render.table import Sheet, table_lines
from reconciler.render.text import harmless
from tests.unit.probe_program.conftest import Disk, disk

__all__ = ["disk"]

SECRET = '4242:planted-/+"é nobody'
FAILED = "ActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\nNRestarts=0\nExecMainStatus=78\n"
LOOK: dict[str, Json] = {"kind": "file", "path": "/etc/openclaw/telegram.token", "secret": True}
CONFIG: dict[str, Json] = {"kind": "json_keys", "path": "/openclaw.json", "keys": [["models"]]}


@pytest.mark.parametrize(
    "written", [SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), quote(SECRET, safe="")]
)
def test_a_text_is_masked_however_a_program_writes_it(written: str) -> None:
    text = masked(f"GET /bot{written}/getMe failed", [Secret(SECRET)])
    assert text.replace('"', "") == "GET /bot***/getMe failed"


def test_each_line_of_a_longer_secret_is_masked() -> None:
    key = Secret("-----BEGIN KEY-----\nabcdefghijkl\nmn\n-----END KEY-----\n")
    assert masked("line 2: abcdefghijkl: command not found; mn", [key]) == "line 2: ***: command not found; mn"


def test_the_probe_tells_the_gateways_last_words_without_its_secrets(disk: Disk) -> None:
    disk.write("/etc/openclaw/telegram.token", f"{SECRET}\n")
    disk.write("/openclaw.json", json.dumps({"tools": {"X-Api-Key": "agents-own-planted"}}))
    disk.prints("systemctl", FAILED)
    disk.prints("journalctl", f"{'x' * 490} token {SECRET}\nread {json.dumps(SECRET)} and agents-own-planted\n")
    journal = disk.probe({"bot token": LOOK, "config": CONFIG}).gateway.journal
    assert journal == (f"{'x' * 490} token ***", 'read "***" and ***')


@pytest.mark.parametrize("name", ["X-Goog-Api-Key", "access_token", "clientSecret", "Cookie", "db-password", "key"])
def test_the_probe_knows_a_secret_by_the_name_of_its_key(disk: Disk, name: str) -> None:
    disk.write("/openclaw.json", json.dumps({"models": {name: "planted"}}))
    assert disk.look(**CONFIG) == {"models": {name: "(inline secret)"}}


@pytest.mark.parametrize("shift", range(3))
def test_a_table_that_is_folded_begins_no_line_with_a_ci_command(shift: int) -> None:
    cells = ("alice", "-", "-", harmless(f"{'x' * shift}{' ::a' * 200}"))
    lines = [line.plain for line in table_lines(Sheet(("CHILD", "A", "B", "FINDING"), (tuple(map(Text, cells)),)), 40)]
    assert len(lines) > 3, "it was folded"
    assert not [line for line in lines if line.lstrip().startswith("::a")]
