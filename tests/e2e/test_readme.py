"""README.md is true: every command in its ```console blocks is run, or stands here with the place that runs it.

README tells one story in one directory, and its commands run so, in order. They run in the session's sandbox and boot
no machine: `fleet apply` has no terminal to ask on and is refused, and what needs a server says that there is none.
The whole way is test_record.py's.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import FLEET, Operator

ROOT: Final = Path(__file__).parents[2]

# command -> the exit code that it has here
RUN: Final = {
    "fleet init --sandbox --name demo": 0,
    "fleet sandbox up": 0,
    "fleet validate": 0,
    "fleet plan": 0,
    "fleet apply": 4,
    "fleet status": 0,
    "fleet list": 0,
    "fleet apply --repair alice": 4,
    "fleet ssh alice": 64,
    "fleet ssh alice -- sudo journalctl -u openclaw-gateway -n 20": 64,
    "fleet destroy 'ali*'": 0,
    "fleet destroy --all --yes": 0,
    "fleet plan 'ali*'": 0,
    "fleet status --all --json": 0,
    "fleet quarantine list": 0,
    "fleet quarantine clear 2026.9.7": 0,
    "fleet apply --retry alice": 4,
    "fleet checkpoints alice": 0,
    "fleet rollback alice": 4,
    "fleet backup create alice": 1,
    "fleet drill alice": 1,
    "fleet drill --sample 3": 1,
    "fleet backup list": 0,
    "fleet backup verify": 1,
    "fleet restore alice": 4,
    "fleet destroy alice --no-backup alice": 0,
    "fleet hibernate alice": 4,
    "fleet wake alice": 4,
    "fleet import legacy ./instances --name pets": 64,  # there are none
    "fleet add bob --region fsn1 --owner 4242": 0,
    "fleet update bob 2026.9.6": 4,
    "fleet adopt alice users": 4,  # it has no server
    "fleet remove bob": 0,
    "fleet restart alice": 1,  # it has no server
    "fleet config show alice": 1,
    "fleet config diff alice": 1,
    "fleet config edit alice": 1,
    "fleet config pull alice": 1,
    "fleet config push alice": 64,  # nothing was fetched
    "fleet config restore alice": 1,
    "fleet adopt alice config --key ui.theme": 1,
    "fleet diagnose alice": 2,  # it has no server
    "fleet resuscitate alice --dry-run": 2,
    "fleet resuscitate alice": 1,  # nothing but an apply helps there
    "fleet stop alice": 4,  # nobody says yes
    "fleet start alice": 1,
    "fleet tunnel alice": 64,  # it has no server
    "fleet onboard alice": 4,
    "fleet pairing list": 0,
    "fleet pairing approve alice HDMC3TZP --notify": 64,  # nobody asks
    'fleet send alice --owner "Hello, I am your assistant."': 1,
    "fleet events alice -n 50": 1,  # it has no server
    "fleet monitor": 2,  # it has no server
    "fleet monitor install systemd --print": 0,
    "fleet monitor install github": 0,
    "fleet report --html fleet.html": 2,
    "fleet alert preview": 0,
    "fleet silence alice --for 4h": 1,  # nothing was applied, so there is no firewall to note it at
    "fleet silence alice --end": 0,
    "fleet history alice": 0,
    "fleet cost": 0,
    "fleet cost --by region": 0,
    "fleet logs alice --since 1h --errors": 1,  # it has no server
    "fleet exec --all -- systemctl is-active openclaw-gateway": 1,
    "fleet bot token alice": 1,  # its token comes from the environment there
    "fleet bot check": 0,
    "fleet apply --allow-replace alice": 4,
    "fleet plan --out plan.json --format markdown": 0,
    "fleet key show": 0,
    "fleet key export --read-only": 4,  # the example's file wants none
    "fleet key recover": 1,  # nobody types a key
    "fleet journal alice --since 7d": 0,
    "fleet refresh": 0,
    "fleet ssh-config": 0,
    "fleet sandbox fault set stock 'cx23@*' sold-out": 0,
    "fleet sandbox fault list": 0,
    "fleet sandbox fault clear": 0,
}
# Their output in README is what they print, word for word. That of others is shortened, or has a server in it.
EXACT: Final = ("fleet validate", "fleet plan")
# What cannot run inside a test run: command -> the file that runs it, and how it does
ELSEWHERE: Final = {
    "sudo scripts/test": (".ci/run", "scripts/test"),
    "sudo scripts/demo": ("scripts/demo", 'part "apply" apply'),  # by hand: minutes, and a sandbox of its own
    "pip install .": ("scripts/test", "pip --quiet wheel"),
    "python3 -m venv .venv && . .venv/bin/activate": ("scripts/test", 'python3 -m venv "$place/venv"'),
    "fleet dashboard": ("tests/unit/test_dashboard.py", '"dashboard"'),
    "fleet sandbox down": ("tests/e2e/conftest.py", '"sandbox", "down"'),
    "fleet apply --plan plan.json": ("tests/unit/test_cli_changes.py", '"apply", "--plan", out'),
    'fleet import old-pet --as alice --identity ~/.ssh/id_ed25519 --host-key "ssh-ed25519 AAAA..."': (
        "tests/unit/test_cli_import.py",
        '"import", server, "--as", "bob", "--identity"',
    ),
}


def test_every_command_in_the_readme_is_known_here() -> None:
    assert {command for command, _ in shown()} == set(RUN) | set(ELSEWHERE)
    for file, text in ELSEWHERE.values():
        assert text in (ROOT / file).read_text(), f"{file} no longer has {text}"
    for script in ("scripts/demo", "scripts/test"):
        assert os.access(ROOT / script, os.X_OK)
        subprocess.run(["bash", "-n", str(ROOT / script)], check=True, timeout=10)


def test_the_readmes_story_can_be_followed(sandbox: SandboxClient, tmp_path: Path) -> None:
    operator = Operator(tmp_path, tmp_path / "home")
    before = len(sandbox.cloud_log())
    for command, output in shown():
        if command not in RUN:
            continue
        done = follow(operator, command)
        print(f"$ {command}\n{done.stdout}{done.stderr}(exit {done.returncode})")
        assert done.returncode == RUN[command], command
        assert "Traceback" not in done.stderr
        if command in EXACT:
            assert done.stdout == output, command
    fleet = yaml.safe_load((tmp_path / "fleet.yaml").read_text())["fleet"]
    asked = sandbox.cloud_log()[before:]  # others may be at work in the same cloud
    changed = [it for it in asked if it["method"] != "GET" and f'"name": "{fleet}' in json.dumps(it["body"])]
    assert (bool(asked), changed) == (True, []), "following it changed the cloud"


def test_the_example_fleet_is_valid() -> None:
    done = subprocess.run([*FLEET, "validate"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ('fleet.yaml is valid: fleet "demo" with 3 children.\n', "")


def test_the_example_fleet_can_be_planned(sandbox: SandboxClient, tmp_path: Path) -> None:
    operator = Operator(tmp_path, tmp_path / "home")
    operator.fleet("init", "--sandbox", "--name", "demo")
    example = yaml.safe_load((ROOT / "fleet.yaml").read_text()) | {"cloud": {"provider": "sandbox"}}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(example))
    assert "Plan: 3 to create, " in operator.fleet("plan", "--detailed-exitcode", code=2)


def shown() -> list[tuple[str, str]]:
    """Every command of the README's console blocks in order, with the output that is printed below it."""
    blocks = (ROOT / "README.md").read_text(encoding="utf-8").split("```console\n")[1:]
    commands: list[tuple[str, str]] = []
    for line in (line for block in blocks for line in block.partition("```")[0].splitlines()):
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ "), ""))
        else:
            command, output = commands.pop()
            commands.append((command, f"{output}{line}\n"))
    return commands


def follow(operator: Operator, command: str) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(command)
    assert program == "fleet"
    return operator.run(*arguments)


@pytest.mark.parametrize(
    "file", ["README.md", "reconciler/README.md", "tests/README.md", "examples/README.md", "CHANGELOG.md"]
)
def test_what_the_documents_link_to_is_there(file: str) -> None:
    document = ROOT / file
    links = [part.partition(")")[0] for part in document.read_text(encoding="utf-8").split("](")[1:]]
    paths = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [path for path in paths if not (document.parent / path).exists()] == []
