"""Hosts in memory: they understand the commands of reconciler.commands.

A host boots from the user_data of its create request. It keeps files, units, accounts and the firewall, and beside what
lies on the disk what is in force (sshd's key and configuration, loaded units, kernel rules), for these differ after a
crash. What no host would do (an unknown command, a file of an account that is not there) is an AssertionError.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from reconciler import keys
from reconciler.errors import CommandFailed, HostError
from reconciler.managed import files
from reconciler.model import Command, Completed, Secret, ServerRequest
from reconciler.ports import Clock
from tests.fakes.gateway import FakeGateway
from tests.fakes.looks import look_at
from tests.fakes.words import arguments_of

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where libyaml is there
REVERT_AFTER: Final = 60.0
WANTED_FIREWALL: Final = {"enabled": True, "incoming": "deny", "outgoing": "allow", "rules": ["22/tcp"], "foreign": []}


@dataclass(slots=True)
class FakeFile:
    content: bytes
    owner: str = "root:root"
    mode: str = "0644"


class FakeHost:
    """One machine. `fails` maps the beginning of a command's name to errors to raise, one per run of it."""

    def __init__(self, request: ServerRequest, clock: Clock) -> None:
        config: Any = yaml.load(request.user_data.reveal(), Loader=LOADER)  # noqa: S506  # a safe one
        self.clock = clock
        self.files = {item["path"]: FakeFile(item["content"].encode()) for item in config["write_files"]}
        self.directories: dict[str, tuple[str, str]] = {}
        self.links: dict[str, str] = {}
        self.accounts: dict[str, tuple[str, str]] = {"root": ("/root", "/bin/sh"), "fleet": ("/home/fleet", "/bin/sh")}
        self.packages: set[str] = set()
        self.releases: set[str] = set()
        self.enabled = {files.METADATA_UNIT}
        self.active = {files.METADATA_UNIT}
        self.loaded: dict[str, bytes] = {}
        self.firewall: dict[str, Any] = WANTED_FIREWALL | {"enabled": False, "incoming": "allow", "rules": []}
        self.firewall_before: tuple[float, dict[str, Any]] | None = None
        self.shown_key = config["ssh_keys"]["ed25519_public"]
        self.sshd_config = self.content(files.SSHD_PATH)
        self.metadata_rules = self.content(files.METADATA_RULES_PATH)
        self.gateway = FakeGateway(self)
        self.invalid_config = ""  # why the release refuses every configuration
        self.fails: list[tuple[str, HostError]] = []
        self.ran: list[str] = []
        login = config["users"][0]["ssh_authorized_keys"][0] + "\n"
        self.files[files.AUTHORIZED_KEYS_PATH] = FakeFile(login.encode(), "fleet:fleet", "0600")
        self.files[f"{files.HOST_KEY_PATH}.pub"] = FakeFile(f"{self.shown_key}\n".encode())

    # --- what others ask of it --------------------------------------------------------------------------------

    def content(self, path: str) -> bytes:
        return self.files[path].content if path in self.files else b""

    def config(self) -> Any:
        return json.loads(self.content(files.CONFIG_PATH) or b"{}")

    def write_config(self, config: Any) -> None:
        self.files[files.CONFIG_PATH] = FakeFile(json.dumps(config).encode(), "openclaw:openclaw", "0600")

    def stamp(self, path: str) -> str | None:
        data = self.links[path].encode() if path in self.links else self.content(path)
        return hashlib.sha256(data).hexdigest() if data else None

    def tick(self) -> None:
        """A firewall change that nobody confirmed takes itself back."""
        if self.firewall_before and self.clock.monotonic() - self.firewall_before[0] > REVERT_AFTER:
            self.firewall, self.firewall_before = self.firewall_before[1], None

    # --- the Host port ----------------------------------------------------------------------------------------

    def run(self, command: Command) -> Completed:
        self.tick()
        self.ran.append(command.name)
        failure = next((failure for failure in self.fails if command.name.startswith(failure[0])), None)
        if failure:
            self.fails.remove(failure)
            raise failure[1]
        method = next((method for prefix, method in COMMANDS if command.name.startswith(prefix)), None)
        assert method is not None, f"no host knows this command: {command.name}"
        answer = method(self, arguments_of(command), command.stdin)
        if isinstance(answer, Completed):
            return answer
        return Completed(0, answer or b"", b"")

    def interact(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is kept open."""

    # --- commands: each takes the positional parameters and stdin ---------------------------------------------

    def _wait(self, words: list[str], stdin: bytes) -> None:
        self.ran[-1] = "first boot is over"

    def _replace_host_key(self, words: list[str], stdin: bytes) -> None:
        assert public_key(stdin.decode()) == words[0], "not the wanted key"
        self.shown_key = words[0]
        self.files[f"{files.HOST_KEY_PATH}.pub"] = FakeFile(f"{words[0]}\n".encode())

    def _set_login_keys(self, words: list[str], stdin: bytes) -> None:
        self.files[f"/home/{words[0]}/.ssh/authorized_keys"] = FakeFile(stdin, f"{words[0]}:{words[0]}", "0600")

    def _reload_sshd(self, words: list[str], stdin: bytes) -> None:
        self.sshd_config = self.content(files.SSHD_PATH)

    def _write(self, words: list[str], stdin: bytes) -> None:
        path, owner, mode, _, size = words
        assert len(stdin) == int(size)
        assert path != files.CONFIG_PATH or self.gateway.active != "active", "written under a running gateway"
        owner = owner or "openclaw:openclaw"
        assert set(owner.split(":")) <= set(self.accounts), f"{path}: no account {owner}"
        self.files[path] = FakeFile(stdin, owner, mode)

    def _read(self, words: list[str], stdin: bytes) -> Completed:
        return Completed(0 if words[0] in self.files else 1, self.content(words[0]), b"")

    def _remove(self, words: list[str], stdin: bytes) -> None:
        self.files.pop(words[0], None)

    def _make_account(self, words: list[str], stdin: bytes) -> None:
        self.accounts[words[0]] = words[1], words[2]

    def _make_directory(self, words: list[str], stdin: bytes) -> None:
        owner = words[1] or "openclaw:openclaw"
        assert set(owner.split(":")) <= set(self.accounts), f"{words[0]}: no account {owner}"
        self.directories[words[0]] = owner, words[2]

    def _link(self, words: list[str], stdin: bytes) -> None:
        self.links[words[1]] = words[0]

    def _install_packages(self, words: list[str], stdin: bytes) -> None:
        self.packages |= set(words)

    def _nothing(self, words: list[str], stdin: bytes) -> None:
        """Done, and nothing that anybody looks at has changed."""

    def _fetch(self, words: list[str], stdin: bytes) -> None:
        self.directories[words[2]] = "root:root", "0755"

    def _install_release(self, words: list[str], stdin: bytes) -> None:
        assert words[1] in self.directories, "npm without node"
        self.releases.add(f"{files.RELEASES}/{words[0]}")

    def _set_firewall(self, words: list[str], stdin: bytes) -> None:
        assert "ufw" in self.packages, "ufw is not installed"
        before = self.firewall_before[1] if self.firewall_before else self.firewall
        self.firewall_before = self.clock.monotonic(), before
        self.firewall = WANTED_FIREWALL | {"rules": [f"{port}/tcp" for port in words]}

    def _confirm_firewall(self, words: list[str], stdin: bytes) -> None:
        if self.firewall_before is None:
            raise CommandFailed("confirm the firewall: the change was already taken back")
        self.firewall_before = None

    def _reload_units(self, words: list[str], stdin: bytes) -> None:
        self.loaded |= {path: file.content for path, file in self.files.items() if path.endswith(".service")}

    def _enable(self, words: list[str], stdin: bytes) -> None:
        self._reload_units([], b"")  # as systemctl enable does
        self.enabled.add(words[1])

    def _restart(self, words: list[str], stdin: bytes) -> None:
        path = f"/etc/systemd/system/{words[1]}"
        self.loaded.setdefault(path, self.content(path))
        self.active.add(words[1])
        if words[1] == files.METADATA_UNIT:
            self.metadata_rules = self.content(files.METADATA_RULES_PATH)
        if words[1] == files.UNIT:
            self.gateway.start(self.loaded.get(files.UNIT_PATH))

    def _stop(self, words: list[str], stdin: bytes) -> None:
        self.active.discard(words[1])
        self.gateway.stop()  # by itself, or because what it Requires= is stopped

    def _validate(self, words: list[str], stdin: bytes) -> Completed:
        assert f"{files.RELEASES}/{words[0]}" in self.releases, "judged by a release that is not there"
        json.loads(stdin)
        return Completed(1 if self.invalid_config else 0, self.invalid_config.encode(), b"")

    def _rpc(self, words: list[str], stdin: bytes) -> bytes:
        body = json.loads(stdin)["body"]
        return json.dumps(self.gateway.rpc(body["method"], body["params"])).encode()

    def _probe(self, words: list[str], stdin: bytes) -> bytes:
        request = json.loads(stdin.partition(b"\n")[2])
        applied = self.content(request["applied_path"])
        answer = {
            "boot_id": "b0",
            "clock": self.clock.now().timestamp(),
            "architecture": "x86_64",
            "managed": {name: look_at(self, look, request["digest_key"]) for name, look in request["looks"].items()},
            "gateway": self.gateway.facts(),
            "applied": json.loads(applied) if applied else None,
            "disk_free_mb": 30_000,
            "memory_free_mb": 2_000,
        }
        return json.dumps(answer).encode()


COMMANDS: Final[tuple[tuple[str, Callable[[FakeHost, list[str], bytes], Completed | bytes | None]], ...]] = (
    ("wait for cloud-init", FakeHost._wait),
    ("replace the host key", FakeHost._replace_host_key),
    ("set the login keys", FakeHost._set_login_keys),
    ("reload sshd", FakeHost._reload_sshd),
    ("write ", FakeHost._write),
    ("read ", FakeHost._read),
    ("remove ", FakeHost._remove),
    ("make the account", FakeHost._make_account),
    ("make ", FakeHost._make_directory),
    ("point ", FakeHost._link),
    ("repair packages", FakeHost._nothing),
    ("refresh the package lists", FakeHost._nothing),
    ("fetch ", FakeHost._fetch),
    ("install OpenClaw", FakeHost._install_release),
    ("install ", FakeHost._install_packages),
    ("set the firewall", FakeHost._set_firewall),
    ("confirm the firewall", FakeHost._confirm_firewall),
    ("reload the unit files", FakeHost._reload_units),
    ("enable ", FakeHost._enable),
    ("reset-failed ", FakeHost._nothing),
    ("forget the backups", FakeHost._nothing),
    ("reload-or-restart ", FakeHost._restart),
    ("restart ", FakeHost._restart),
    ("stop ", FakeHost._stop),
    ("validate the configuration", FakeHost._validate),
    ("call ", FakeHost._rpc),
    ("probe", FakeHost._probe),
)


@functools.cache
def public_key(private_key: str) -> str:
    return keys.public_key(Secret(private_key))
