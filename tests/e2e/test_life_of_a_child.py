"""What changes the server of a child, on a real machine: taken in, resized, updated, replaced, rebuilt.

One story in order. What the agent has written survives all of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator, ask_cloud, wait_until
from tests.e2e.striking import BRIDGE, plug

pytestmark = pytest.mark.e2e

OLDER, NEWER = "2026.9.5", "2026.9.6"
NOTE: Final = f"{files.HOME}/.openclaw/NOTES.md"
CHILD: Final[dict[str, Any]] = {
    "region": "nbg1",
    "server_type": "cx23",
    "image": "debian-12",
    "version": OLDER,
    "bot": {"token": "env:ROSA_BOT_TOKEN"},
    "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
}


@dataclass(frozen=True)
class Story:
    operator: Operator
    host_key: str  # the server's own, before it was ours
    identity: Path

    def declare(self, **changes: object) -> None:
        fleet = {"fleet": "life", "cloud": {"provider": "sandbox"}, "children": {"rosa": {**CHILD, **changes}}}
        (self.operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))

    def apply(self, *more: str) -> str:
        said = self.operator.fleet("apply", "--yes", *more, timeout=900)
        assert "No changes" in self.operator.fleet("plan", "--detailed-exitcode")
        return said

    def root(self, text: str, code: int | None = 0) -> str:
        return self.operator.on("rosa", "sudo", "-n", "sh", "-c", text, code=code).strip()

    def status(self) -> dict[str, Any]:
        return self.operator.status()["rosa"]

    def server(self) -> dict[str, Any]:
        (row,) = ask_cloud("GET", "/servers", params={"label_selector": "openclaw-deploy/child=rosa"})["servers"]
        found: dict[str, Any] = row
        return found

    def marks(self) -> tuple[int, str]:
        """What only a new server or a restarted machine changes."""
        return int(self.server()["id"]), self.root("cat /proc/sys/kernel/random/boot_id")


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("life")
    operator = Operator(directory, operator_home)
    operator.fleet("init", "--sandbox", "--name", "life")
    for name in ("identity", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    story = Story(operator, (directory / "host.pub").read_text().strip(), directory / "identity")
    made = ask_cloud("POST", "/servers", json=by_hand(directory))["server"]["id"]
    try:
        yield story
    finally:
        operator.fleet("destroy", "--all", "--yes")
        for row in ask_cloud("GET", "/servers")["servers"]:  # where it never came under the fleet
            if row["id"] == made:
                ask_cloud("DELETE", f"/servers/{made}")


def test_a_server_made_by_hand_comes_under_the_fleet(story: Story) -> None:
    story.declare()
    taken_in = ("import", "old-pet", "--as", "rosa", "--user", "ops", "--identity", str(story.identity))
    another = Path(f"{story.identity}.pub").read_text().strip()

    def refused() -> bool:
        said = story.operator.run(*taken_in, "--host-key", another)
        return said.returncode == 1 and "which is not the one" in said.stderr

    wait_until(refused, "it shows its host key, and that is not the one given", 90)
    story.operator.fleet(*taken_in, "--host-key", story.host_key)
    assert story.server()["labels"]["openclaw-deploy/unfinished"] == "true"
    assert "rosa  create: its server exists, but the first apply did not finish" in story.operator.fleet("plan")
    story.apply()
    assert (story.status()["health"], story.status()["gateway"]["version"]) == ("HEALTHY", OLDER)
    assert "openclaw-deploy/unfinished" not in story.server()["labels"]
    assert story.root("id -nG ops; test -e /etc/sudoers.d/90-cloud-init-users; echo $?").endswith("1"), "no other root"


def test_a_resize_keeps_address_disk_and_memory(story: Story) -> None:
    story.root(f"echo remember | install -o openclaw -g openclaw -m 600 /dev/stdin {NOTE}")
    before, address = story.marks(), story.server()["public_net"]["ipv4"]["ip"]
    story.declare(server_type="cx33")
    assert "rosa  resize" in story.apply()
    after = story.marks()
    assert (after[0], story.server()["public_net"]["ipv4"]["ip"]) == (before[0], address)
    assert after[1] != before[1], "it was off"
    assert (story.server()["server_type"]["name"], story.server()["primary_disk_size"]) == ("cx33", 40)
    assert (story.status()["health"], story.root(f"cat {NOTE}")) == ("HEALTHY", "remember")


def test_another_version_is_installed_beside_and_switched_to(story: Story) -> None:
    before = story.marks()
    story.declare(server_type="cx33", version=NEWER)
    assert "rosa  update" in story.apply()
    assert (story.status()["health"], story.status()["gateway"]["version"]) == ("HEALTHY", NEWER)
    assert story.marks() == before
    assert set(story.root(f"ls {files.RELEASES}").split()) == {OLDER, NEWER}
    assert story.root(f"cat {NOTE}") == "remember"


def test_a_change_at_the_cloud_that_cuts_us_off_is_taken_back(story: Story) -> None:
    """The sandbox's cloud keeps no packet away, so the cable is pulled in the moment in which its firewall would."""
    before, labels, machine = story.marks(), story.server()["labels"], story.server()["id"]
    story.declare(server_type="cx33", version=NEWER, access={"ssh_from": ["203.0.113.0/24"]})
    journal = story.operator.directory / "state/journal.jsonl"
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(story.operator.run, "apply", "--yes", timeout=300)
        wait_until(lambda: "ssh-from-intended" in journal.read_text(), "the label is about to change")
        wait_until(lambda: story.server()["labels"] != labels, "the label has changed")
        plug(machine, "nomaster")
        try:
            done = applying.result()
        finally:
            plug(machine, "master", BRIDGE)
    assert (done.returncode, "so the change was taken back" in done.stdout) == (1, True), done
    assert story.server()["labels"] == labels
    story.declare(server_type="cx33", version=NEWER)
    story.apply()
    # Its long poll hangs as long as nothing tells it that the cable was out.
    wait_until(lambda: story.status()["health"] == "HEALTHY", "its bot is polled again", 240)
    assert story.marks() == before


def test_a_lost_key_comes_back_from_a_copy_and_from_nothing_else(story: Story) -> None:
    place = story.operator.home / ".config/openclaw-deploy/life.key"
    copy = place.read_text()
    place.unlink()
    story.operator.fleet("plan", code=1)
    wrong = recovered(story, copy[:-6] + ("AAAAA\n" if copy[-6:] != "AAAAA\n" else "BBBBB\n"))
    assert (wrong.returncode, place.exists()) != (0, True)
    right = recovered(story, copy)
    assert (right.returncode, place.read_text(), place.stat().st_mode & 0o777) == (0, copy, 0o600), right.stderr
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_a_lost_state_directory_is_made_anew(story: Story) -> None:
    shutil.rmtree(story.operator.directory / "state")
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")
    story.operator.fleet("refresh")
    records = json.loads((story.operator.directory / "state/children/rosa.json").read_text())
    assert (records["server_id"], records["version"]) == (story.server()["id"], NEWER)


def test_a_replacement_is_a_new_server_and_only_where_it_is_allowed(story: Story) -> None:
    before = story.marks()
    story.declare(server_type="cx33", version=NEWER, region="fsn1")
    assert "takes a new server" in story.operator.fleet("apply", "--yes", code=None)
    assert story.marks() == before
    assert "rosa  replace" in story.apply("--allow-replace", "rosa")
    assert story.server()["id"] != before[0]
    assert story.server()["location"]["name"] == "fsn1"
    assert story.status()["health"] == "HEALTHY"
    assert story.root(f"cat {NOTE}") == "remember", "its memory has moved with it"


def test_a_host_that_does_not_answer_gives_way_to_a_new_server_with_the_newest_backup(story: Story) -> None:
    before = story.marks()
    story.operator.fleet("backup", "create", "rosa", timeout=300)
    story.root("systemctl disable --now ssh.socket ssh.service 2>&1; true", code=None)
    said = story.operator.run("rebuild", "rosa", "--yes", timeout=300)
    assert (said.returncode, "--no-backup rosa" in said.stdout) == (4, True), said
    said = story.operator.run("rebuild", "rosa", "--no-backup", "rosa", "--yes", timeout=900)
    assert (said.returncode, "it gets the backup" in said.stdout) == (0, True), said
    assert story.server()["id"] != before[0]
    assert story.status()["health"] == "HEALTHY"
    assert story.root(f"cat {NOTE}") == "remember", "it was in the backup"
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def recovered(story: Story, key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["python", "-m", "reconciler", "key", "recover"],
        cwd=story.operator.directory,
        env=story.operator.environment,
        input=key,
        capture_output=True,
        text=True,
        timeout=120,
    )


def by_hand(directory: Path) -> dict[str, Any]:
    """What somebody clicked together: an account of theirs that becomes root, and a host key that they know."""
    config = {
        "ssh_keys": {
            "ed25519_private": (directory / "host").read_text(),
            "ed25519_public": (directory / "host.pub").read_text().strip(),
        },
        "users": [
            {
                "name": "ops",
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [(directory / "identity.pub").read_text().strip()],
            }
        ],
    }
    text = f"#cloud-config\n{yaml.safe_dump(config)}"
    return {"name": "old-pet", "server_type": "cx23", "image": "debian-12", "location": "nbg1", "user_data": text}
