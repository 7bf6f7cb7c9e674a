"""`fleet monitor install`: what is written where, that twice is once, and that others' lines stay."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.main import run
from reconciler.errors import UsageProblem
from reconciler.schedules import (
    Schedule,
    cron_table,
    cron_times,
    openclaw_job,
    systemd_units,
    without_cron_lines,
    workflow,
)

FILE = """\
fleet: demo
cloud: {provider: hetzner, token: env:FLEET_SECRET_HCLOUD}
defaults:
  region: nbg1
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:FLEET_SECRET_MODEL}
monitoring:
  interval: 10m
  to: [{url: env:FLEET_SECRET_SLACK}]
children:
  alice:
    bot: {token: env:FLEET_SECRET_BOT}
"""
IT = Schedule(
    fleet="demo",
    command=("/srv/a b/fleet", "--file", "/srv/100%/fleet.yaml", "monitor", "--quiet"),
    file="/srv/100%/fleet.yaml",
    directory="/srv/100%",
    variables="/home/ada/.config/openclaw-deploy/demo.env",
    user="ada",
    every=timedelta(minutes=5),
    references=("FLEET_KEY", "FLEET_SECRET_HCLOUD"),
)

Fleet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """`fleet monitor install ...` in a directory of its own, by programs that stand in for this machine's."""
    (tmp_path / "fleet.yaml").write_text(FILE)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        code = run(["monitor", "install", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def program(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "programs" / name
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def a_crontab(tmp_path: Path, lines: str | None) -> Path:
    """cron's own program, as far as it matters; its table is a file."""
    table = tmp_path / "table"
    if lines is not None:
        table.write_text(lines)
    program(
        tmp_path,
        "crontab",
        f"""case $1 in
  -l) [ -e {table} ] || {{ echo "no crontab for ada" >&2; exit 1; }}; cat {table} ;;
  -) cat >{table} ;;
esac
""",
    )
    return table


def test_a_crontab_keeps_the_lines_of_others_and_has_ours_once(fleet: Fleet, tmp_path: Path) -> None:
    table = a_crontab(tmp_path, "MAILTO=ada\n0 4 * * * backup\n")
    assert fleet("cron")[:2] == (0, "Written: its lines in the crontab of root\n")
    once = table.read_text()
    assert once.startswith("MAILTO=ada\n0 4 * * * backup\n# BEGIN fleet-monitor-demo")
    assert once.count("*/10 * * * * flock -n") == 1
    assert fleet("cron")[1] == "It is there already, as it shall be.\n"
    assert table.read_text() == once
    (tmp_path / "fleet.yaml").write_text(FILE.replace("10m", "30m"))
    fleet("cron")
    assert "*/30 * * * * flock" in table.read_text()
    assert table.read_text().count("flock") == 1
    assert fleet("cron", "--remove")[1] == "Deleted: its lines in the crontab of root\n"
    assert table.read_text() == "MAILTO=ada\n0 4 * * * backup\n"
    assert fleet("cron", "--remove")[1] == "It is not there.\n"


def test_the_first_crontab_of_an_account_is_made(fleet: Fleet, tmp_path: Path) -> None:
    table = a_crontab(tmp_path, None)
    assert fleet("cron")[0] == 0
    assert table.read_text().startswith("# BEGIN")


def test_who_has_no_cron_is_told(fleet: Fleet, tmp_path: Path) -> None:
    program(tmp_path, "crontab", "echo 'you are not allowed to use this program' >&2; exit 1\n")
    code, _, err = fleet("cron")
    assert (code, "not allowed" in err, "--print" in err) == (1, True, True), err


def test_what_cron_runs_reads_the_variables_and_takes_findings_for_no_failure(tmp_path: Path) -> None:
    """The line itself, in a shell, as cron gives it: percent signs are cron's."""
    home = tmp_path / "a b % c"
    home.mkdir()
    (home / "demo.env").write_text("FLEET_KEY='one two'\n")
    (home / "fleet.yaml").touch()
    for code, ends in ((0, 0), (2, 0), (1, 1), (4, 4)):
        command = ("sh", "-c", f'echo "$PWD $FLEET_KEY"; echo told >&2; exit {code}')
        it = replace(
            IT, command=command, directory=str(home), file=str(home / "fleet.yaml"), variables=str(home / "demo.env")
        )
        [line] = [line for line in cron_table("", it).splitlines() if not line.startswith("#")]
        assert "%" not in line.replace("\\%", "")
        shown = line.replace("\\%", "%").removeprefix("*/5 * * * * ").removesuffix(" >/dev/null")
        done = subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (ends, f"{home} one two\n", "told\n")


@pytest.mark.parametrize(
    ("minutes", "times"),
    [
        (1, "* * * * *"),
        (5, "*/5 * * * *"),
        (30, "*/30 * * * *"),
        (60, "7 */1 * * *"),
        (360, "7 */6 * * *"),
        (1440, "7 4 * * *"),
    ],
)
def test_cron_has_these_rhythms(minutes: int, times: str) -> None:
    assert cron_times(timedelta(minutes=minutes)) == times


@pytest.mark.parametrize("every", [timedelta(minutes=7), timedelta(seconds=90), timedelta(hours=5), timedelta(days=2)])
def test_a_rhythm_that_cron_does_not_have_is_refused(every: timedelta) -> None:
    with pytest.raises(UsageProblem, match="cron has no rhythm of"):
        cron_times(every)


def test_a_table_with_other_fleets_keeps_them() -> None:
    other = replace(IT, fleet="other")
    both = cron_table(cron_table("", other), IT)
    assert without_cron_lines(both, IT) == cron_table("", other)
    assert without_cron_lines(without_cron_lines(both, other), IT) == ""


def test_units_are_what_systemd_takes(tmp_path: Path) -> None:
    it = replace(IT, command=("/bin/sh", "-c", 'echo "$HOME" 100%'), directory="/tmp", every=timedelta(minutes=7))
    for name, text in systemd_units(it, is_system=True).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "fleet-monitor" in line]
    assert ours == []
    service = (tmp_path / "fleet-monitor-demo.service").read_text()
    assert 'ExecStart=/bin/sh -c "echo \\"$$HOME\\" 100%%"' in service
    assert "User=ada" in service
    assert "User=" not in systemd_units(it, is_system=False)["fleet-monitor-demo.service"]
    assert "OnUnitInactiveSec=420s" in (tmp_path / "fleet-monitor-demo.timer").read_text()


def test_what_would_be_installed_is_printed_and_nothing_is_done(fleet: Fleet, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for where in ("systemd", "cron", "openclaw", "github", "prometheus", "grafana"):
        code, out, _ = fleet(where, "--print")
        assert (code, bool(out)) == (0, True)
        assert "FLEET_SECRET_MODEL" not in out
        assert "FLEET_SECRET_BOT" not in out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_gateway_gets_a_job_that_asks_no_model(fleet: Fleet, tmp_path: Path) -> None:
    program(tmp_path, "openclaw", f'printf "%s\\n" "$@" >{tmp_path}/said\n')
    assert fleet("openclaw")[0] == 0
    said = (tmp_path / "said").read_text().splitlines()
    assert said[:2] == ["cron", "add"]
    assert ("--no-deliver" in said, "--message" in said) == (True, False)
    argv = json.loads(said[said.index("--command-argv") + 1])
    assert argv[-2:] == ["monitor", "--quiet"]
    assert said[said.index("--every") + 1] == "600s"
    assert openclaw_job(IT)[0] == "openclaw"


def test_a_gateways_job_is_taken_away_by_the_id_that_it_tells(fleet: Fleet, tmp_path: Path) -> None:
    jobs = json.dumps({"jobs": [{"id": "a-1", "name": "heartbeat"}, {"id": "b-2", "name": "fleet-monitor-demo"}]})
    program(tmp_path, "openclaw", f'echo "$@" >>{tmp_path}/said; [ "$2" != list ] || echo \'{jobs}\'\n')
    code, out, _ = fleet("openclaw", "--remove")
    assert (code, "Deleted: the job fleet-monitor-demo" in out) == (0, True)
    assert (tmp_path / "said").read_text().splitlines() == ["cron list --json", "cron rm b-2"]
    program(tmp_path, "openclaw", "echo '{\"jobs\": []}'\n")
    assert fleet("openclaw", "--remove")[:2] == (0, "It is not there.\n")
    program(tmp_path, "openclaw", "echo nonsense\n")
    code, _, err = fleet("openclaw", "--remove")
    assert (code, "openclaw cron rm ID" in err) == (1, True)


def test_what_it_needs_is_said_by_name(fleet: Fleet, tmp_path: Path) -> None:
    a_crontab(tmp_path, None)
    _, _, err = fleet("cron")
    assert f"{tmp_path}/config/demo.env" in err
    assert "    FLEET_KEY='...'\n    FLEET_SECRET_HCLOUD='...'\n    FLEET_SECRET_SLACK='...'\n" in err
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "demo.env").touch()
    assert fleet("cron")[2] == ""


def test_a_file_that_somebody_has_changed_is_written_over_by_force_alone(fleet: Fleet, tmp_path: Path) -> None:
    path = tmp_path / ".github/workflows/fleet-monitor.yaml"
    code, _, err = fleet("github")
    assert (code, path.exists()) == (0, True), err
    assert "It needs these secrets of the repository: FLEET_KEY, FLEET_SECRET_HCLOUD, FLEET_SECRET_SLACK." in err
    assert fleet("github")[1].startswith("It is there already")
    path.write_text("mine")
    code, _, err = fleet("github")
    assert (code, path.read_text(), "--force" in err) == (4, "mine", True)
    assert fleet("github", "--force")[0] == 0
    assert path.with_name("fleet-monitor.yaml.before").read_text() == "mine"
    assert fleet("prometheus", "--to", str(tmp_path / "rules.yaml"))[0] == 0
    assert (tmp_path / "rules.yaml").read_text().startswith("# Alert rules")
    assert fleet("grafana")[0] == 0
    assert json.loads((tmp_path / "fleet-monitor.dashboard.json").read_text())["title"] == "OpenClaw fleet"


def test_words_that_do_not_go_together_are_refused(fleet: Fleet) -> None:
    assert fleet("github", "--remove")[0] == 64
    assert fleet("cron", "--to", "x")[0] == 64
    assert fleet("launchd")[0] == 64


def test_places_that_a_workflow_cannot_read_are_said(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FILE.replace("env:FLEET_SECRET_SLACK", "file:slack.url"))
    assert "Warning: file:slack.url is not there" in fleet("github")[2]
    (tmp_path / "fleet.yaml").write_text(FILE.replace("FLEET_SECRET_HCLOUD", "HCLOUD_TOKEN"))
    assert "Warning: env:HCLOUD_TOKEN may not be used under CI" in fleet("github", "--force")[2]


# --- the workflow, run as GitHub runs it --------------------------------------------------------------------------


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], int]:
    """A run of the workflow's own steps, with a stand-in for `fleet` and one for `gh` that keeps issues as files."""
    (tmp_path / "programs").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    issues = tmp_path / "issues"
    issues.mkdir()
    program(
        tmp_path,
        "gh",
        f"""cd {issues}
given() {{ while [ $# -gt 0 ]; do [ "$1" != "$wanted" ] || {{ echo "$2"; return; }}; shift; done; }}
case "$1 $2" in
  "issue list") for one in *.open; do [ ! -e "$one" ] || echo "${{one%.open}}"; done | head -n 1 ;;
  "issue close") mv "$3.open" "$3.closed" ;;
  "issue edit") wanted=--body-file; cp "{tmp_path}/$(given "$@")" "$3.open" ;;
  "issue create") wanted=--body-file; n=$(ls | wc -l); cp "{tmp_path}/$(given "$@")" "$((n + 1)).open" ;;
  "label create") ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
""",
    )
    steps = yaml.safe_load(workflow(IT))["jobs"]["pass"]["steps"]
    runs = [step["run"] for step in steps if step.get("shell") == "bash"]

    def once(code: int, text: str) -> int:
        program(tmp_path, "fleet", f"printf '%s' {shlex.quote(text)}; exit {code}\n")
        output = tmp_path / "output"
        output.write_text("")
        environment: dict[str, str] = {**os.environ, "GITHUB_OUTPUT": str(output)}
        ended = 0
        for run_ in runs:
            environment["CODE"] = output.read_text().strip().removeprefix("code=")
            words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run_]
            ended = subprocess.run(words, env=environment, capture_output=True, check=False).returncode or ended
        return ended

    return once


def test_one_issue_is_opened_updated_and_closed(job: Callable[[int, str], int], tmp_path: Path) -> None:
    issues = tmp_path / "issues"
    assert job(0, "") == 0
    assert list(issues.iterdir()) == []
    assert job(2, "alice UNREACHABLE\n") == 0
    assert job(2, "alice UNREACHABLE\n```\n# bob OFFLINE\n") == 0
    [only] = issues.iterdir()
    assert (only.name, "    alice UNREACHABLE\n    ```\n    # bob OFFLINE" in only.read_text()) == ("1.open", True)
    assert job(0, "") == 0
    assert [it.name for it in issues.iterdir()] == ["1.closed"]
    assert job(2, "again") == 0
    assert sorted(it.name for it in issues.iterdir()) == ["1.closed", "2.open"]


def test_a_pass_that_could_not_be_made_fails_the_job_and_is_said(
    job: Callable[[int, str], int], tmp_path: Path
) -> None:
    assert job(1, "no token") == 1
    assert "no token" in (tmp_path / "issues" / "1.open").read_text()


def test_the_workflow_has_what_github_asks_for() -> None:
    found: dict[Any, Any] = yaml.load(workflow(IT), yaml.BaseLoader)  # noqa: S506  # `on` is a word
    assert found["on"]["schedule"] == [{"cron": "*/5 * * * *"}]
    assert found["permissions"] == {"contents": "read", "issues": "write"}
    assert found["jobs"]["pass"]["env"] == {
        "FLEET_KEY": "${{ secrets.FLEET_KEY }}",
        "FLEET_SECRET_HCLOUD": "${{ secrets.FLEET_SECRET_HCLOUD }}",
    }
    assert "@" not in workflow(IT).replace("actions/", "").replace("@v4", "").replace("@v5", "")
