"""Everything that we own on a host, damaged on a real machine in every way there is, and mended by one apply each.

One machine, and one story in order. The damages are in managed_cases.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler import commands
from reconciler.managed import MANAGED, PACKAGES, files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator, wait_until
from tests.e2e.managed_cases import ALONE, FOREIGN_KEY, KINDS, SKILL, damaged, edited, script
from tests.extent import FULL

CHILD: dict[str, Any] = {
    "region": "nbg1",
    "server_type": "cx23",
    "image": "debian-12",
    "version": "latest",
    "bot": {"token": "env:MIA_BOT_TOKEN"},
    "model": {
        "name": "claude-sonnet-4-6",
        "key": "env:ANTHROPIC_API_KEY",
        "fallback": ["claude-haiku-4-5"],
        "spend_limit": 20,
    },
    "access": {"ssh_from": ["10.0.0.0/8", "2001:db8::/32"]},
    "config": {"agents": {"defaults": {"thinkingDefault": "low"}}, "messages": {"ackReactionScope": "all"}},
    "files": {
        "SOUL.md": {"text": "You are {{ name }}.\n"},
        "skills/greet/SKILL.md": {"text": "---\nname: greet\ndescription: says hello\n---\n", "mode": "managed"},
    },
}

WRITTEN_TO: Final = (
    *("/etc/openclaw*", "/etc/systemd/system/openclaw-*", "/etc/ssh/sshd_config.d", "/etc/sudoers.d"),
    *("/usr/local/lib/openclaw-deploy", "/var/lib/openclaw-deploy", f"{files.LOGIN_HOME}/.ssh"),
    *("/run/openclaw*", "/var/log/openclaw"),
)
# Debian's and cloud-init's, the gateway's log, and what a host notes until its next boot.
OTHERS: Final = {
    *("/etc/ssh/sshd_config.d", "/etc/ssh/sshd_config.d/50-cloud-init.conf"),
    *("/etc/sudoers.d", "/etc/sudoers.d/README", "/etc/sudoers.d/90-cloud-init-users"),
    *(f"{files.LOGIN_HOME}/.ssh", "/var/log/openclaw", "/var/log/openclaw/openclaw.log"),
    *("/run/openclaw-deploy", "/run/openclaw-deploy.lock", "/run/openclaw-gateway", files.STARTED_PATH),
}


@pytest.fixture(scope="module")
def operator(
    sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path
) -> Iterator[Operator]:
    operator = Operator(tmp_path_factory.mktemp("managed"), operator_home)
    operator.fleet("init", "--sandbox", "--name", "managed")
    write_fleet(operator, CHILD)
    operator.fleet("apply", "--yes", timeout=900)
    yield operator
    operator.fleet("destroy", "--all", "--yes")


def test_the_newest_release_is_pinned_when_the_child_is_made(operator: Operator) -> None:
    applied = json.loads(root(operator, f"cat {files.APPLIED_PATH}"))
    assert commands.is_exact(applied["version"])
    assert operator.status()["mia"]["gateway"]["version"] == applied["version"]
    assert_in_sync(operator)


def test_no_file_of_ours_is_without_an_entry(operator: Operator) -> None:
    """Every path where we write is a managed file, a managed directory, in a tree that has a fingerprint, or OTHERS."""
    known = {entry.file.path for entry in MANAGED if entry.file} | {e.directory.path for e in MANAGED if e.directory}
    known |= {files.APPLIED_PATH, files.CURRENT, f"/opt/openclaw/node-{files.NODE_VERSION}"}
    version = operator.status()["mia"]["gateway"]["version"]
    whole = " ".join(WRITTEN_TO)
    found = root(operator, f"find {whole}; find /opt/openclaw -maxdepth 1; find {files.RELEASES} -maxdepth 1").split()
    assert set(found) - known - OTHERS == {f"{files.RELEASES}/{version}"}
    assert OTHERS - set(found) == set()


@pytest.mark.parametrize(("name", "kind"), ALONE)
def test_what_differs_alone_is_seen_and_mended(operator: Operator, name: str, kind: str) -> None:
    root(operator, script(kind, alone=name))
    assert {entry_of(change["path"]) for change in planned_changes(operator)} == {name}
    operator.fleet("apply", "--yes", timeout=900)
    assert_in_sync(operator)


@pytest.mark.parametrize("kind", KINDS if FULL else ("changed", "added"))
def test_one_apply_mends_every_damage(operator: Operator, kind: str) -> None:
    root(operator, script(kind))
    seen = planned_changes(operator)
    assert damaged(kind) - {entry_of(change["path"]) for change in seen} == set()
    missing = {f"packages.{name}" for name in PACKAGES} if kind == "deleted" else set()
    assert missing - {change["path"] for change in seen} == set()
    # With our notes deleted nobody can say whether it was the file or the host that changed.
    assert kind == "deleted" or all(change["drift"] for change in seen), [c for c in seen if not c["drift"]]
    operator.fleet("apply", "--yes", timeout=900)
    assert_in_sync(operator)
    assert operator.status()["mia"]["health"] != "OFFLINE"


def test_nothing_that_was_set_aside_is_in_force(operator: Operator) -> None:
    assert "THEIRS" not in root(operator, f"systemctl show -p Environment {files.UNIT}")
    assert root(operator, "sshd -T -C user=root,host=x,addr=192.0.2.1 | grep -c '^permitrootlogin no'") == "1"
    assert root(operator, "ls /etc/sudoers.d/theirs.off /etc/ssh/sshd_config.d/*.off | wc -l") == "3"


def test_what_is_the_agents_is_no_drift(operator: Operator) -> None:
    """An edit of other keys, a seed that was deleted, what `doctor --fix` writes."""
    root(operator, edited('c["tools"] = {"profile": "coding"}; c["messages"]["queue"] = {"mode": "collect"}'))
    root(operator, f"rm {files.WORKSPACE}/SOUL.md; systemctl stop {files.UNIT}")
    node = f"/opt/openclaw/node-{files.NODE_VERSION}/bin"
    environment = f"env HOME={files.HOME} PATH={node}:/usr/bin:/bin OPENCLAW_NO_AUTO_UPDATE=1"
    program = f"{files.CURRENT}/node_modules/openclaw/openclaw.mjs doctor --fix --non-interactive"
    said = root(operator, f"cd {files.HOME}; runuser -u openclaw -- {environment} {node}/node {program} </dev/null")
    assert "could not" not in said
    (action,) = json.loads(operator.fleet("plan", "--json"))["actions"]
    assert action["kind"] == "start"
    operator.fleet("apply", "--yes")
    assert_in_sync(operator)


def test_what_leaves_the_fleet_file_leaves_the_host(operator: Operator) -> None:
    before = operator.status()["mia"]["gateway"]
    less = {key: value for key, value in CHILD.items() if key not in ("config", "files")}
    write_fleet(operator, less | {"config": {"agents": {"defaults": {"thinkingDefault": None}}}})
    paths = {change["path"] for change in planned_changes(operator)}
    assert {"config.agents.defaults.thinkingDefault", "config.messages"} <= paths
    operator.fleet("apply", "--yes")
    config = json.loads(root(operator, f"cat {files.CONFIG_PATH}"))
    assert "thinkingDefault" not in config["agents"]["defaults"]
    assert config["messages"] == {"queue": {"mode": "collect"}}, "the agent's own key beside ours"
    assert config["tools"] == {"profile": "coding"}
    assert root(operator, f"ls {SKILL} 2>/dev/null || echo gone") == "gone"
    after = operator.status()["mia"]["gateway"]
    assert (after["main_pid"], after["starts"]) == (before["main_pid"], before["starts"])
    assert_in_sync(operator)


def test_an_operator_who_is_cut_off_gets_in_again(operator: Operator) -> None:
    """The keys are changed as a step would, and whoever did it is dead before he could prove that he gets in."""
    lines = f"{FOREIGN_KEY}\n"
    lock_out = commands.set_authorized_keys(files.LOGIN_USER, lines)
    root(operator, commands.arm_access().line)
    root(operator, f"printf '%s' {shlex.quote(lines)} | sh -c {shlex.quote(lock_out.line)}")
    assert "login refused" in operator.fleet("plan", code=1)
    wait_until(lambda: operator.run("ssh", "mia", "--", "true").returncode == 0, "the way in is back", 90)
    assert_in_sync(operator)


def write_fleet(operator: Operator, child: dict[str, Any]) -> None:
    fleet = {
        "fleet": "managed",
        "cloud": {"provider": "sandbox"},
        "keys": {"probe": 1},
        "children": {"mia": child},
    }
    (operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))


def root(operator: Operator, text: str) -> str:
    """What a script prints that root runs on the machine."""
    return operator.on("mia", "sudo", "-n", "sh", "-c", text).strip()


def planned_changes(operator: Operator) -> list[dict[str, Any]]:
    plan = json.loads(operator.fleet("plan", "--json"))
    (action,) = plan["actions"]
    return list(action["reason"]["changes"])


def entry_of(path: str) -> str:
    """The managed thing that a path of a plan speaks of."""
    return max((entry.name for entry in MANAGED if path == entry.name or path.startswith(f"{entry.name}.")), key=len)


def assert_in_sync(operator: Operator) -> None:
    assert "No changes" in operator.fleet("plan", "--detailed-exitcode")
