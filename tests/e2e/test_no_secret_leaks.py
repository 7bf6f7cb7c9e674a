"""Secrets on real machines: in no process's words or environment, no log, and no file but those that are theirs.

The machines' processes are seen from outside, and their disks are the upper layers of their overlays: what is there has
changed since the image. The tests of this file are one story and run in order.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from reconciler import keys
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Secret, SecretRef
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.disk import Description
from reconciler.sandbox.paths import MachinePaths, Paths
from tests.contract.secrets.watching import Seen, watching_processes
from tests.e2e.machinery import Operator
from tests.planted import Planted, finds, planted_key, planted_text

BOT, MODEL = SecretRef("env", "NINA_BOT_TOKEN"), SecretRef("env", "ANTHROPIC_API_KEY")
AGENTS = planted_text("agent's", "agents-own-planted-0123456789-nobody-may-see")
CHILD = {
    "region": "fsn1",
    "version": "2026.9.6",
    "bot": {"token": str(BOT)},
    "model": {"name": "claude-sonnet-4-6", "key": str(MODEL)},
}
# Where which kind may lie on the machine, with its mode. cloud-init keeps the user_data that it was given, for root.
ALLOWED = {
    files.GATEWAY_TOKEN_PATH: ("gateway token", 0o400),
    files.TELEGRAM_TOKEN_PATH: ("bot token", 0o400),
    files.MODEL_KEY_PATH: ("model key", 0o400),
    files.HOST_KEY_PATH: ("host key", 0o600),
    files.CONFIG_PATH: ("agent's", 0o600),
}
FIRST_BOOT = "/var/lib/cloud/"
# What packages brought: read by no step of ours, and too much to read.
PACKAGES = ("/usr/lib/", "/usr/share/", "/var/lib/apt/", "/var/cache/apt/", "/opt/openclaw/")
LARGEST = 16 << 20  # bytes


@dataclass(frozen=True)
class Story:
    operator: Operator
    disk: MachinePaths
    secrets: list[Planted]
    seen: Seen  # while the child was made

    def kinds_in(self, *haystacks: bytes) -> set[str]:
        return {find.kind for haystack in haystacks for find in finds(haystack, self.secrets)}

    def root(self, text: str) -> str:
        return self.operator.on("nina", "sudo", "-n", "sh", "-c", text)


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("leaks")
    operator = Operator(directory, operator_home, {"FLEET_LOG": str(directory / "fleet.log"), "FLEET_DEBUG": "1"})
    operator.fleet("init", "--sandbox", "--name", "leaks")
    fleet = {"fleet": "leaks", "cloud": {"provider": "sandbox"}, "children": {"nina": CHILD}}
    (directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
    try:
        with watching_processes() as seen:
            operator.fleet("apply", "--yes", timeout=900)
        key = Secret((operator_home / ".config/openclaw-deploy/leaks.key").read_text().strip())
        yield Story(operator, disk_of("leaks-nina"), secrets_of(key, uid_of(sandbox, "leaks-nina")), seen)
    finally:
        operator.fleet("destroy", "--all", "--yes")


def test_the_watch_sees_what_runs_on_the_machine(story: Story) -> None:
    """The control: what is put into a command line or an environment there is seen here."""
    (token,) = (secret.value.decode() for secret in story.secrets if secret.kind == "bot token")
    with watching_processes() as seen:
        story.operator.on("nina", "env", f"X={token}", "sleep", "20")  # a busy machine is looked at every few seconds
    there = [words for words in seen.argv if words.startswith(b"env\0X=") or b"sh\0-c\0env" in words]
    assert story.kinds_in(*there) == story.kinds_in(*seen.environs) == {"bot token"}


def test_no_process_had_one_in_its_words_or_environment(story: Story) -> None:
    assert any(b"openclaw.mjs" in words for words in story.seen.argv), "the gateway was seen"
    assert story.kinds_in(*story.seen.argv) == set()
    assert story.kinds_in(*story.seen.environs) == set()


def test_no_process_that_is_there_has_one(story: Story) -> None:
    with watching_processes() as seen:
        story.operator.fleet("status")
    assert any(b"openclaw.mjs" in words for words in seen.argv)
    assert story.kinds_in(*seen.argv, *seen.environs) == set()


def test_no_journal_holds_one(story: Story) -> None:
    journal = subprocess.run(
        ["journalctl", "--quiet", "--all", "-o", "export", f"--directory={story.disk.upper}/var/log/journal"],
        capture_output=True,
        check=True,
    ).stdout
    assert b"openclaw-gateway" in journal
    outer = [story.disk.console, story.disk.supervisor_log, Paths.default().daemon_log, Paths.default().cloud_log]
    assert story.kinds_in(journal, *(path.read_bytes() for path in outer if path.exists())) == set()


def test_every_file_that_changed_holds_only_its_own(story: Story) -> None:
    found: set[str] = set()
    for path in story.disk.upper.rglob("*"):
        place = "/" + str(path.relative_to(story.disk.upper))
        if place.startswith(PACKAGES) or path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        kinds, mode = story.kinds_in(path.read_bytes()), path.stat().st_mode & 0o777
        if place.startswith(FIRST_BOOT):
            assert kinds <= {"first host key"}
            assert not kinds or mode & 0o077 == 0, place
        elif kinds:
            assert (place, *kinds, mode) == (place, *ALLOWED.get(place, ()))
            found.add(place)
    assert found == ALLOWED.keys() - {files.CONFIG_PATH}


def test_the_operators_files_hold_none(story: Story) -> None:
    for path in story.operator.directory.rglob("*"):
        assert not path.is_file() or story.kinds_in(path.read_bytes()) == set(), path


def test_what_the_agent_keeps_in_its_configuration_is_in_no_error(story: Story) -> None:
    """The release refuses the file, and the gateway may say so: neither is repeated with what stands in it."""
    config = json.loads(story.root(f"cat {files.CONFIG_PATH}"))
    secret = AGENTS.value.decode()
    config["channels"]["telegram"]["dmPolicy"] = "open"
    config["models"]["providers"]["mine"] = {"baseUrl": f"https://agent:{secret}@127.0.0.1", "apiKey": secret, "api": 5}
    config["madeUp"] = {"apiKey": secret}
    write_config(story, config)
    lines = ("plan", "plan --json", "status", "apply --yes", "journal")
    printed = [story.operator.run(*line.split()) for line in lines]
    assert story.kinds_in(*(f"{done.stdout}{done.stderr}".encode() for done in printed)) == set()
    assert "config.models.providers.mine" in printed[0].stdout
    assert printed[3].returncode == 1, "nothing that the release refuses is written"
    assert story.kinds_in((story.operator.directory / "state" / "journal.jsonl").read_bytes()) == set()
    del config["madeUp"]
    write_config(story, config)
    story.operator.fleet("apply", "--yes", timeout=600)
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def secrets_of(key: Secret, uid: str) -> list[Planted]:
    return [
        planted_text("fleet key", key),
        planted_text("cloud token", Paths.default().token.read_text().strip()),
        planted_text("bot token", keys.sandbox_bot_token(key, BOT)),
        planted_text("model key", keys.sandbox_model_key(key, MODEL)),
        planted_text("gateway token", keys.gateway_token(key, uid, 1)),
        planted_text("digest key", keys.digest_key(key, uid)),
        planted_text("plan key", keys.plan_key(key)),
        planted_key("login key", keys.login_key(key, uid, 1)),
        planted_key("first host key", keys.host_key(key, uid, 0)),
        planted_key("host key", keys.host_key(key, uid, 1)),
        AGENTS,
    ]


def uid_of(sandbox: SandboxClient, name: str) -> str:
    """From the request that made the server."""
    for entry in sandbox.cloud_log():
        body = entry["body"]
        if entry["method"] == "POST" and isinstance(body, dict) and body.get("name") == name:
            labels = body["labels"]
            assert isinstance(labels, dict)
            return str(labels[f"{LABEL_PREFIX}uid"])
    raise AssertionError(f"nobody made {name}")


def disk_of(hostname: str) -> MachinePaths:
    paths = Paths.default()
    machines = [paths.machine(number) for number in paths.machine_ids()]
    return next(disk for disk in machines if Description.from_file(disk.description).hostname == hostname)


def write_config(story: Story, config: object) -> None:
    """As the agent does. The machine's journal has the line afterwards, as all of sudo's: it is looked at before."""
    text = base64.b64encode(json.dumps(config).encode()).decode()
    story.root(f"echo {text} | base64 -d | install -o openclaw -g openclaw -m 600 /dev/stdin {files.CONFIG_PATH}")
