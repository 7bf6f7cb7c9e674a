"""What people see without a cloud: help, init, a broken file, a plan of nothing, the status of a mixed fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.main import COMMANDS, run
from reconciler.cli.options import Settings
from reconciler.cli.output import show_lines, show_table
from reconciler.planner import plan
from reconciler.render.plan import plan_lines
from reconciler.render.status import status_table
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet
from tests.transcripts import assert_transcript

BROKEN = """\
fleet: my-fleet
cloud: {provider: hetzner}
defaults:
  regoin: nbg1
  version: latest
  model: {name: claude-sonnet-4-6, key: env:ANTHROPIC_API_KEY}
children:
  alice:
    bot: {token: "123456:ABCdef"}
    region: nbg1
  bob:
    bot: {token: env:BOB_BOT_TOKEN}
    region: no
"""
PLAIN = Settings(Path("fleet.yaml"), Path("state"), color=False)
MIXED: dict[str, dict[str, Any]] = {
    "alice": {"spec": {}},
    "bob": {"spec": {}, "gateway": {"active": "inactive", "ready": None, "version": None}},
    "carol": {"spec": {}, "silence": "timed out"},
    "dave": {"spec": {}, "server": None},
    "eve": {"spec": {}, "gateway": {"channel_connected": False, "channel_error": "401: Unauthorized"}},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, a home for keys beside it, and a terminal of 80 columns."""
    for name in ("FLEET_FILE", "FLEET_STATE_DIR", "FLEET_KEY", "FLEET_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(tmp_path / "keys"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path / "demo")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The command line, what it prints on both streams, and its exit code."""
    code = run(arguments)
    captured = capsys.readouterr()
    return f"$ fleet {' '.join(arguments)}\n{captured.out}{captured.err}(exit {code})\n"


@pytest.mark.usefixtures("here")
def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [said(capsys, "--help"), *(said(capsys, name, "--help") for name in COMMANDS)]
    parts += [said(capsys, "sandbox", name, "--help") for name in ("up", "status", "logs", "down")]
    assert_transcript("help", "\n".join(parts))


def test_init(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "init", "--name", "demo")
    text += f"\n$ cat fleet.yaml\n{Path('fleet.yaml').read_text()}"
    assert_transcript("init", text, {here / "keys": "~/.config/openclaw-deploy"})


@pytest.mark.usefixtures("here")
def test_validate_errors(capsys: pytest.CaptureFixture[str]) -> None:
    Path("fleet.yaml").write_text(BROKEN)
    assert_transcript("validate-errors", f"$ cat fleet.yaml\n{BROKEN}\n{said(capsys, 'validate')}")


def test_plan_none(capsys: pytest.CaptureFixture[str]) -> None:
    children = {name: make_child(name, {"spec": {}}) for name in ("alice", "bob", "carol")}
    show_lines(plan_lines(plan(make_fleet(children), children, make_catalog(), NOW), children), PLAIN)
    assert_transcript("plan-none", f"$ fleet plan\n{capsys.readouterr().out}")


def test_status(capsys: pytest.CaptureFixture[str]) -> None:
    children = {name: make_child(name, case) for name, case in MIXED.items()}
    planned = plan(make_fleet(children), children, make_catalog(), NOW)
    show_table(status_table(children, planned.sync), PLAIN)
    assert_transcript("status", f"$ fleet status\n{capsys.readouterr().out}")
