"""What people see without a cloud: help, init, a broken file, and what commands say of fleets in memory."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler import keys
from reconciler.cli.main import COMMANDS, run
from reconciler.cli.options import Settings
from reconciler.cli.output import show_lines, show_table
from reconciler.errors import CommandFailed, HostTimedOut
from reconciler.planner import plan
from reconciler.render.plan import plan_lines
from reconciler.render.status import status_table
from reconciler.secrets import fleet_key
from tests.fakes.command_line import CommandLine
from tests.fakes.damage import flip_last_byte
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY, NOW, make_catalog, make_child, make_fleet
from tests.transcripts import HERE, assert_transcript

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
    parts += [said(capsys, "key", name, "--help") for name in ("show", "export", "recover")]
    parts += [said(capsys, "sandbox", name, "--help") for name in ("up", "status", "logs", "fault", "down")]
    parts += [said(capsys, "bot", name, "--help") for name in ("token", "check")]
    parts += [said(capsys, "quarantine", name, "--help") for name in ("list", "clear")]
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


@pytest.fixture
def fleet(here: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state), capsys)


def shown(fleet: CommandLine, *arguments: str) -> str:
    """The same as `said`, on a fleet in memory."""
    answer = fleet(*arguments)
    return f"$ fleet {' '.join(arguments)}\n{answer.out}{answer.err}(exit {answer.code})\n"


def test_plan_of_some(fleet: CommandLine) -> None:
    fleet.world.change("bob", group="canary")
    calls = (
        ("plan", "--group", "canary"),
        ("plan", "al*", "bob"),
        ("plan", "bib"),
        ("plan", "alice", "--group", "canary"),
    )
    assert_transcript("plan-selected", "\n".join(shown(fleet, *arguments) for arguments in calls))


def test_a_stale_plan_file(fleet: CommandLine) -> None:
    text = shown(fleet, "plan", "alice", "--out", "plan.json")
    fleet.world.apply()
    fleet.world.host("alice").packages.discard("curl")
    text += "\n" + shown(fleet, "apply", "--plan", "plan.json")
    fleet.changes["digest"] = "other"
    text += "\n" + shown(fleet, "apply", "--plan", "plan.json")
    assert_transcript("apply-stale", text)


def test_import_refused(fleet: CommandLine) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJf1VEYfb8gVpUbMOZi4yWT40ImRd3yn5SYRQX6nJ2YP"
    Path("id").write_text("nonsense")
    Path("id").chmod(0o600)
    common = ("import", "old-pet", "--as", "alice", "--identity", "id")
    text = shown(fleet, *common)
    text += "\n" + shown(fleet, *common, "--host-key", "SHA256:abc")
    text += "\n" + shown(fleet, *common, "--host-key", key).replace(key, "ssh-ed25519 AAAA...")
    assert_transcript("import-refused", text)


def test_journal(fleet: CommandLine) -> None:
    del fleet.world.specs["bob"]
    fleet.world.apply()
    fleet.world.host("alice").fails.append(("install", CommandFailed("no space left")))
    fleet.world.host("alice").packages.discard("curl")
    fleet.world.apply()
    assert_transcript("journal", "\n".join((shown(fleet, "journal"), shown(fleet, "journal", "bob"))))


def test_key(fleet: CommandLine, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said_by_init = fleet("init", "--name", "demo")
    assert said_by_init.code == 0
    (here / "keys" / "demo.key").unlink()
    text = shown(fleet, "key", "show")
    fleet_key.write(here / "keys" / "demo.key", FLEET_KEY)
    text += "\n" + shown(fleet, "key", "show")
    fleet.world.apply()
    monkeypatch.setattr("sys.stdin", io.StringIO(keys.make_key(bytes(32)).reveal()))
    text += "\n" + shown(fleet, "key", "recover")
    monkeypatch.setattr("sys.stdin", io.StringIO(FLEET_KEY.reveal()))
    text += "\n" + shown(fleet, "key", "recover")
    text += "\n" + shown(fleet, "key", "export")
    text += "\n" + shown(fleet, "key", "export", "--read-only")
    assert_transcript("key", text, {here / "keys": "~/.config/openclaw-deploy"})


def test_versions(fleet: CommandLine) -> None:
    world = fleet.world
    world.apply()
    for name in world.names:
        world.change(name, version="2026.9.7")
    world.host("alice").gateway.flawed = {"2026.9.7": "never ready"}
    text = "\n".join(shown(fleet, *it) for it in (("plan",), ("apply", "--yes"), ("plan",), ("quarantine", "list")))
    world.host("alice").gateway.flawed = {}
    calls = (
        *(("quarantine", "clear", "2026.9.7"), ("apply", "--yes", "--retry", "alice"), ("checkpoints",)),
        *(("rollback", "bob", "--to", "20260101T000000Z"), ("rollback", "bob", "--yes"), ("plan",)),
    )
    text += "\n" + "\n".join(shown(fleet, *arguments) for arguments in calls)
    assert_transcript("versions", re.sub(r"\b\d{8}T\d{6}Z", "<checkpoint>", text))


def test_backups(fleet: CommandLine) -> None:
    world = fleet.world
    world.apply()
    text = "\n".join(
        shown(fleet, *it)
        for it in (
            ("backup", "create"),
            ("backup", "create", "--all"),
            ("backup", "list"),
            ("backup", "verify"),
            ("backup", "due"),
            ("backup", "prune"),
            ("restore", "alice", "--to", "bob", "--yes"),
            ("restore", "alice", "--from", "20260101T000000Z"),
            ("export", "alice", "--out", "alice.tar.gz"),
            ("export", "alice", "--out", "alice.tar.gz"),
        )
    )
    (sealed,) = (world.state.parent / "backups/demo/bob").glob("*.age")
    flip_last_byte(sealed)
    text += "\n" + "\n".join(shown(fleet, *it) for it in (("backup", "verify"), ("restore", "alice", "--yes")))
    text = text.replace(str(world.state.parent), "<here>")
    text = re.sub(r"\b\d+ kB", "<size>", text)  # age fills up its head with noise of any length
    assert_transcript("backups", re.sub(r"\b\d{8}T\d{6}Z", "<backup>", text))


def test_sleep(fleet: CommandLine) -> None:
    world = fleet.world.applied(workers=1)
    calls: tuple[tuple[str, ...], ...] = (
        *(("hibernate",), ("wake", "alice"), ("hibernate", "alice"), ("hibernate", "alice", "--yes")),
        *(("hibernate", "alice", "--yes"), ("plan",), ("status",), ("wake", "alice", "--yes"), ("wake", "--all")),
    )
    text = "\n".join(shown(fleet, *arguments) for arguments in calls)
    world.dialer.silent[world.server("bob").id] = HostTimedOut("no answer")
    calls = (
        *(("destroy", "bob"), ("destroy", "bob", "--no-backup", "bop")),
        ("destroy", "bob", "--no-backup", "bob", "--yes"),
    )
    text += "\n" + "\n".join(shown(fleet, *arguments) for arguments in calls)
    assert_transcript("sleep", re.sub(r"\b\d{8}T\d{6}Z", "<backup>", text))


@pytest.mark.parametrize("columns", ["80", "160"])
def test_living(fleet: CommandLine, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people ask of a fleet that runs, on a narrow and on a wide terminal."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)  # what is piped has no width
    world = fleet.world.applied(workers=1)
    world.host("bob").gateway.stop()
    calls: tuple[tuple[str, ...], ...] = (
        *(("status",), ("list",), ("backup", "list"), ("bot", "check"), ("monitor",)),
        *(("diagnose", "alice"), ("diagnose", "--all"), ("config", "show", "alice"), ("config", "diff", "--all")),
        *(("cost",), ("cost", "--by", "region"), ("events", "--all"), ("reboot", "--all", "--if-required")),
        *(("rebuild", "bob"), ("restart", "bob"), ("stop", "alice"), ("resuscitate", "--all")),
        *(("resuscitate", "--all", "--dry-run", "--up-to", "channel"), ("resuscitate", "bob", "--yes")),
        *(("stop", "bob", "--yes"), ("start", "bob", "--yes")),
    )
    text = "\n".join(shown(fleet, *arguments) for arguments in calls)
    assert_transcript(f"living-{columns}", text)
    assert columns == "160" or (HERE / "living-80.txt").read_text() != (HERE / "living-160.txt").read_text()
