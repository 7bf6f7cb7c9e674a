"""What a host tells of its gateway's database, by the program that runs there, on a database of its own."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

from reconciler.commands import read_pairings


def told(database: Path) -> dict[str, list[object]]:
    """By the program that the command carries, without the change of account before it."""
    program = next(word for word in shlex.split(read_pairings().line) if "channel_pairing_requests" in word)
    ran = subprocess.run([sys.executable, "-I", "-c", program, database], capture_output=True, text=True, check=True)
    found: dict[str, list[object]] = json.loads(ran.stdout)
    return found


def test_one_odd_row_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "openclaw.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE channel_pairing_requests (channel_key, request_id, code, created_at, meta_json)")
    database.execute("CREATE TABLE channel_pairing_allow_entries (channel_key, entry, sort_order)")
    rows = [
        (None, None, None, None),
        (7, 8.5, 9, b"\xff"),
        ("7007", "HDMC3TZP", "2026-11-26T10:00:00Z", '{"username": "mallory", "firstName": 5}'),
        (b"\xff", b"\xff", b"\xff", "[" * 9999),
    ]
    rows += [("0", "", f"2020-01-01T00:00:{number % 60:02}Z", "{}") for number in range(200)]
    database.executemany("INSERT INTO channel_pairing_requests VALUES ('telegram', ?, ?, ?, ?)", rows)
    database.executemany("INSERT INTO channel_pairing_allow_entries VALUES ('telegram', ?, 1)", [("7008",), (None,)])
    database.execute("INSERT INTO channel_pairing_requests VALUES ('telegram', CAST(x'ff' AS TEXT), 'x', 'x', '')")
    database.commit()
    found = told(path)
    assert len(found["requests"]) == 100
    assert [it["code"] for it in found["requests"] if it["user"] == "7007"] == ["HDMC3TZP"]  # type: ignore[index]
    assert found["approved"] == ["7008"]


def test_without_a_database_nobody_asks(tmp_path: Path) -> None:
    assert told(tmp_path / "none") == {"requests": [], "approved": []}
