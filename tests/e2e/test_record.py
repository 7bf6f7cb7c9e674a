"""The test of record: from an empty directory to three bots that answer, through drift, loss and removal.

The tests of this file are one story on one fleet and run in order.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.sandbox.anthropic import ModelRequest
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.paths import Paths
from tests.e2e.machinery import Operator, tree, wait_until

ALLOWED, STRANGER = 4242, 777
FLEET: dict[str, Any] = {
    "fleet": "record",
    "cloud": {"provider": "sandbox"},
    "defaults": {
        "server_type": "cx23",
        "image": "debian-12",
        "version": "2026.9.6",
        "model": {"provider": "anthropic", "name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
    },
    "children": {
        "alice": {
            "region": "nbg1",
            "bot": {"token": "env:ALICE_BOT_TOKEN"},
            "users": {"allowed": [ALLOWED], "owner": ALLOWED},
        },
        "bob": {"region": "fsn1", "bot": {"token": "env:BOB_BOT_TOKEN"}},
        "carol": {"region": "fsn1", "bot": {"token": "env:CAROL_BOT_TOKEN"}},
    },
}
CHILDREN = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def operator(
    sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path
) -> Iterator[Operator]:
    operator = Operator(tmp_path_factory.mktemp("record"), operator_home)
    yield operator
    operator.fleet("destroy", "--all", "--yes")


def test_init_and_validate(operator: Operator) -> None:
    operator.fleet("init", "--sandbox", "--name", "record")
    operator.fleet("validate")
    write_fleet(operator, FLEET)
    operator.fleet("validate")


def test_the_first_plan_creates_three(operator: Operator) -> None:
    text = operator.fleet("plan")
    assert "Plan: 3 to create, " in text
    operator.fleet("plan", "--detailed-exitcode", code=2)


def test_apply_needs_consent(operator: Operator) -> None:
    operator.fleet("apply", code=4)
    assert "no server" in operator.fleet("list")


def test_apply_makes_three_healthy_children(operator: Operator, sandbox: SandboxClient) -> None:
    operator.fleet("apply", "--yes", timeout=900)
    assert {name: child["health"] for name, child in operator.status().items()} == dict.fromkeys(CHILDREN, "HEALTHY")
    assert creates(sandbox) == {f"record-{name}": 1 for name in CHILDREN}


def test_a_second_plan_says_nothing_and_writes_nothing(operator: Operator, sandbox: SandboxClient) -> None:
    before, requests = tree(operator.directory), len(sandbox.cloud_log())
    said = operator.fleet("plan", "--detailed-exitcode").splitlines()
    assert said[0] == "No changes: 3 children as the fleet file says."
    assert [line.partition(":")[0] for line in said[1:]] == ["Costs"]
    assert tree(operator.directory) == before
    assert {entry["method"] for entry in sandbox.cloud_log()[requests:]} == {"GET"}


def test_a_gateway_is_refused_on_every_other_address(operator: Operator) -> None:
    address = operator.status()["alice"]["server"]["address"]
    url = f"http://{address}:18789/healthz"
    operator.on("alice", "curl", "-sS", "-m", "3", url, code=7)
    outside = subprocess.run(["curl", "-sS", "-m", "3", url], capture_output=True, timeout=10)
    assert outside.returncode in (7, 28), "refused, or dropped by the firewall"
    operator.on("alice", "curl", "-sS", "-m", "3", "http://127.0.0.1:18789/healthz")


def test_an_allowed_user_gets_an_answer_from_the_model(operator: Operator, sandbox: SandboxClient) -> None:
    bot, text = bots(operator)["alice"], f"please repeat {secrets.token_hex(8)}"
    sandbox.say(bot, ALLOWED, text)
    wait_until(lambda: bool(questions(sandbox, text)), "the model saw it", 90)
    request = questions(sandbox, text)[0]
    assert request.client == operator.status()["alice"]["server"]["address"]
    wait_until(lambda: any(request.answer in reply for reply in sandbox.replies(bot, ALLOWED)), "the answer came back")


def test_a_stranger_is_asked_to_pair_and_reaches_no_model(operator: Operator, sandbox: SandboxClient) -> None:
    bot, text = bots(operator)["bob"], f"let me in {secrets.token_hex(8)}"
    sandbox.say(bot, STRANGER, text)
    wait_until(lambda: bool(sandbox.replies(bot, STRANGER)), "an answer to the stranger")
    assert "Pairing code" in sandbox.replies(bot, STRANGER)[0]
    # The pairing answer comes in milliseconds; a turn of the model would have begun by then.
    time.sleep(5)
    assert not [request for request in sandbox.model_requests() if text in request.text]


def test_a_stopped_unit_is_seen_and_started(operator: Operator) -> None:
    with others_untouched(operator, "alice"):
        operator.on("alice", "sudo", "-n", "systemctl", "stop", "openclaw-gateway.service")
        plan = operator.fleet("plan", "--detailed-exitcode", code=2)
        assert "> alice  start: the gateway does not run: its unit was stopped" in plan
        assert operator.status()["alice"]["health"] == "OFFLINE"
        operator.fleet("apply", "--yes")
    assert_in_sync(operator)


def test_a_changed_managed_key_is_seen_and_put_back_without_a_restart(operator: Operator) -> None:
    before = operator.status()["bob"]["gateway"]
    with others_untouched(operator, "bob"):
        path = "/var/lib/openclaw/.openclaw/openclaw.json"
        operator.on("bob", "sudo", "-n", "sed", "-i", 's/"dmPolicy": *"pairing"/"dmPolicy": "open"/', path)
        plan = operator.fleet("plan", "--detailed-exitcode", code=2)
        assert "~ bob  update: drift: changed outside, not in the fleet file" in plan
        assert 'config.channels.telegram.dmPolicy: "open" -> "pairing"' in plan
        operator.fleet("apply", "--yes")
    assert_in_sync(operator)
    after = operator.status()["bob"]["gateway"]
    assert (after["main_pid"], after["starts"]) == (before["main_pid"], before["starts"])


def test_a_firewall_rule_added_by_hand_is_seen_and_removed(operator: Operator) -> None:
    with others_untouched(operator):
        operator.on("carol", "sudo", "-n", "ufw", "allow", "8080/tcp")
        plan = operator.fleet("plan", "--detailed-exitcode", code=2)
        assert "~ carol  update: drift: changed outside, not in the fleet file" in plan
        assert 'firewall.rules: ["22/tcp", "8080/tcp"] -> ["22/tcp"]' in plan
        operator.fleet("apply", "--yes")
    assert_in_sync(operator)
    assert "8080" not in operator.on("carol", "sudo", "-n", "ufw", "status")


def test_what_is_undone_behind_a_units_back_is_seen_and_mended(operator: Operator) -> None:
    node = "/opt/openclaw/node-24.21.0/bin/node"
    with others_untouched(operator, "bob"):
        undo = f"nft delete table inet openclaw_deploy; rm {node}; ln -sfn /opt/openclaw/build /opt/openclaw/current"
        operator.on("bob", "sudo", "-n", "sh", "-c", undo)
        plan = operator.fleet("plan", "--detailed-exitcode", code=2)
        assert "metadata rules in force" in plan
        assert "node.program: false -> true" in plan
        assert 'release.link: "/opt/openclaw/build" -> "/opt/openclaw/releases/2026.9.6"' in plan
        operator.fleet("apply", "--yes")
    assert_in_sync(operator)


def test_a_new_key_generation_replaces_login_and_host_keys(operator: Operator) -> None:
    write_fleet(operator, FLEET | {"keys": {"ssh": 2}})
    plan = operator.fleet("plan", "--detailed-exitcode", code=2)
    assert "host key.sha256" in plan
    assert "login key.sha256" in plan
    with others_untouched(operator):
        operator.fleet("apply", "--yes")
    assert_in_sync(operator)


def test_protection_given_later_keeps_the_server(operator: Operator) -> None:
    children: dict[str, Any] = dict(FLEET["children"])
    protected = {"carol": children["carol"] | {"protect": True}}
    write_fleet(operator, FLEET | {"keys": {"ssh": 2}, "children": children | protected})
    assert "labels.openclaw-deploy/protect" in operator.fleet("plan")
    operator.fleet("apply", "--yes")
    del children["carol"]
    write_fleet(operator, FLEET | {"keys": {"ssh": 2}, "children": children})
    assert "carol is protected" in operator.fleet("plan", code=1)
    operator.fleet("destroy", "carol", "--yes", code=4)
    write_fleet(operator, FLEET | {"keys": {"ssh": 2}})
    operator.fleet("apply", "--yes")
    assert_in_sync(operator)


def test_a_lost_state_directory_changes_nothing(operator: Operator) -> None:
    shutil.rmtree(operator.directory / "state")
    assert_in_sync(operator)


def test_another_account_with_the_key_and_the_token_sees_the_same(operator: Operator, stranger_place: Path) -> None:
    place = stranger_place
    mounts = {"python": sys.base_prefix, "checkout": str(Path(__file__).parents[2])}
    binds = "".join(
        f"mkdir {place}/{name} && mount --bind {source} {place}/{name} && " for name, source in mounts.items()
    )
    packages = Path(yaml.__file__).parents[1].relative_to(Path(__file__).parents[2])
    (place / "fleet.yaml").write_text((operator.directory / "fleet.yaml").read_text())
    environment = {
        "HOME": str(place / "home"),
        "PYTHONHOME": f"{place}/python",
        "PYTHONPATH": f"{place}/checkout:{place}/checkout/{packages}",
        "FLEET_KEY": fleet_key(operator),
        "FLEET_SANDBOX_TOKEN": Paths.default().token.read_text().strip(),
        "PATH": "/usr/bin:/bin",
    }
    python = f"{place}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{binds} cd {place} && exec {as_nobody} {python} -m reconciler plan"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "No changes: 3 children as the fleet file says."


def test_the_gateways_account_can_do_no_harm(operator: Operator) -> None:
    assert_confined(operator, "alice")
    boot = operator.status()["alice"]["boot_id"]
    operator.on("alice", "sudo", "-n", "systemctl", "reboot", code=None)
    wait_until(lambda: _boot_id(operator, "alice") not in (None, boot), "alice is back after a reboot", 90)
    assert_confined(operator, "alice")
    wait_until(lambda: operator.status()["alice"]["health"] == "HEALTHY", "alice is healthy after a reboot", 120)


def test_a_removed_child_is_destroyed_after_consent(operator: Operator, sandbox: SandboxClient) -> None:
    left: dict[str, Any] = {name: child for name, child in FLEET["children"].items() if name != "carol"}
    write_fleet(operator, FLEET | {"keys": {"ssh": 2}, "children": left})
    plan = operator.fleet("plan", "--detailed-exitcode", code=2)
    assert "- carol  destroy: no longer in the fleet file" in plan
    operator.fleet("apply", code=4)
    assert "carol" in operator.fleet("list")
    operator.fleet("apply", "--yes")
    assert set(json.loads(operator.fleet("status", "--json")) and operator.status()) == {"alice", "bob"}
    assert creates(sandbox) == {f"record-{name}": 1 for name in CHILDREN}


def write_fleet(operator: Operator, fleet: dict[str, Any]) -> None:
    (operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))


def creates(sandbox: SandboxClient) -> dict[str, int]:
    """How many servers of this fleet the cloud was told to make and did, by name: from the emulator's own log."""
    names = [
        entry["body"]["name"]  # type: ignore[index,call-overload]
        for entry in sandbox.cloud_log()
        if entry["method"] == "POST" and entry["path"] == "/servers" and entry["status"] == 201
    ]
    return {str(name): names.count(name) for name in names if str(name).startswith("record-")}


def questions(sandbox: SandboxClient, text: str) -> list[ModelRequest]:
    """What the configured model was asked with this text in it; a small model is asked for titles beside it."""
    model = FLEET["defaults"]["model"]["name"]
    return [request for request in sandbox.model_requests() if text in request.text and request.model == model]


def bots(operator: Operator) -> dict[str, str]:
    """Child -> its bot's id, as the gateways say it."""
    return {
        name: child["gateway"]["bot"].removeprefix("bot").removesuffix("_bot")
        for name, child in operator.status().items()
    }


def fleet_key(operator: Operator) -> str:
    return (operator.home / ".config/openclaw-deploy/record.key").read_text().strip()


def assert_in_sync(operator: Operator) -> None:
    assert "No changes" in operator.fleet("plan", "--detailed-exitcode")


class others_untouched:  # noqa: N801  # reads as a sentence in `with`
    """Boot id, main PID and start count of every other child are the same afterwards."""

    def __init__(self, operator: Operator, *touched: str) -> None:
        self._operator, self._touched = operator, touched

    def __enter__(self) -> None:
        self._before = self._marks()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        assert kind is not None or self._marks() == self._before

    def _marks(self) -> dict[str, tuple[object, ...]]:
        return {
            name: (child["boot_id"], child["gateway"]["main_pid"], child["gateway"]["starts"])
            for name, child in self._operator.status().items()
            if name not in self._touched
        }


def assert_confined(operator: Operator, child: str) -> None:
    """Every door that must be shut for the gateway's account is."""
    shut = {
        "sudo -n true": "exit 1",
        "systemctl --no-ask-password restart openclaw-gateway.service": "exit 4",  # access denied
        "curl -sS -m 5 http://169.254.169.254/hetzner/v1/userdata": "exit 7",
        "cat /etc/ssh/ssh_host_ed25519_key": "exit 1",
        "cat /var/lib/openclaw-deploy/applied.json": "exit 1",
        "touch /opt/openclaw/releases/2026.9.6/mine": "exit 1",
        "touch /opt/openclaw/current/mine": "exit 1",
        "touch /etc/openclaw/mine": "exit 1",
        "touch /etc/systemd/system/mine.service": "exit 1",
    }
    for command, wanted in shut.items():
        answer = operator.as_openclaw(child, command)
        assert answer.split("\n")[-1] == wanted, f"{command}: {answer}"
    # The doors are real: root gets through the metadata one.
    assert operator.on(child, "sudo", "-n", "curl", "-sS", "-m", "5", "http://169.254.169.254/hetzner/v1/metadata")


@pytest.fixture
def stranger_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that another account can reach, with an empty home in it."""
    place = Path(subprocess.check_output(["mktemp", "-d", "--tmpdir", "fleet-other.XXXXXX"], text=True).strip())
    place.chmod(0o755)
    (place / "home").mkdir()
    shutil.chown(place / "home", 65534, 65534)
    yield place
    shutil.rmtree(place)


def _boot_id(operator: Operator, child: str) -> str | None:
    boot_id: str | None = operator.status()[child]["boot_id"]
    return boot_id
