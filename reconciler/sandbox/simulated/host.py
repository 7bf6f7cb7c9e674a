"""The state of one simulated host: its disk, its accounts and packages, and what is in force whatever lies on the disk.

What a reboot forgets (the kernel's rules, /run, loaded units, what sshd has read) is kept apart from what it keeps. It
knows no command: table.py does. Not thread-safe: whoever shares a host runs one thing at a time.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, Final

from reconciler.commands.switching import RETURN_SERVICE, RETURN_TIMER
from reconciler.sandbox.simulated import first_boot
from reconciler.sandbox.simulated.calls import Fails
from reconciler.sandbox.simulated.disk import Disk, File
from reconciler.sandbox.simulated.first_boot import HOST_KEY
from reconciler.sandbox.simulated.gateway import SimulatedGateway
from reconciler.sandbox.simulated.kernel import Kernel
from reconciler.sandbox.simulated.keys import public_key
from reconciler.sandbox.simulated.systemd import Systemd

REVERT_AFTER: Final = 60.0  # seconds until an unconfirmed firewall takes itself back
SSHD_DROP_INS: Final = "/etc/ssh/sshd_config.d/"
ACCESS: Final = (SSHD_DROP_INS, HOST_KEY, "/etc/sudoers.d/", "/home/fleet/.ssh/authorized_keys")  # what may lock us out

Firewall = dict[str, Any]  # the probe's words


class SimulatedHost:
    """One machine's inside. `now` gives epoch seconds; `name` makes its boot ids. First boot is over when it is made.

    `objections` lists what no careful operator does: commands that nobody knows, a file pulled away under a running
    gateway. Tests assert that it is empty.
    """

    def __init__(self, name: str, user_data: str, now: Callable[[], float], disk: Disk | None = None) -> None:
        self.name = name
        self.now = now
        self.architecture = "x86_64"
        self.boots = 0
        self.objections: list[str] = []
        self.disk = disk or first_boot.fresh_disk()
        # its parts by name: most of what happens on a host happens to them
        self.files, self.directories, self.links = self.disk.files, self.disk.directories, self.disk.links
        self.accounts, self.packages, self.releases = self.disk.accounts, self.disk.packages, self.disk.releases
        self.packages_interrupted = False  # dpkg was killed at work
        # in force until the next boot
        self.firewall_before: tuple[float, Firewall] | None = None
        self.access_before: tuple[float, dict[str, File]] | None = None
        self.sshd_config = b""
        self.shown_key = ""
        self.private_key = b""
        self.kernel = Kernel(self)
        self.systemd = Systemd(self)
        self.gateway = SimulatedGateway(self)
        self.newest_release = "2026.9.6"  # what the registry calls latest
        self.dependency = "1.0.0"  # the newest version of what OpenClaw depends on
        self.messages: list[tuple[int, str]] = []  # what its bot was made to tell users
        self.times: dict[str, float] = {}  # when files were written, by path, where a test says so; else now
        self.log: list[dict[str, Any]] = []  # what its gateway has logged: {"at", "level", "name", "text"}
        self.journal: list[dict[str, Any]] = []  # the same of the journal, whose levels are numbers
        self.talk: list[dict[str, Any]] = []  # {"id", "at", "role", "session", "length", "text"}
        self.seen: dict[str, tuple[bytes, float]] = {}  # by path: what a file held, and since when
        self.models = "200"  # what its provider answers
        self.bot = {"code": "200", "webhook": ""}  # what Telegram answers
        self.updates = 0  # of security, that wait; apt has asked for them just now
        self.closer: dict[str, Any] = {}  # what it says when it is looked at closely, instead of what is
        self.invalid_config = ""  # why the release refuses every configuration
        self.disk_free_mb = 30_000
        self.clearable_mb = 0  # of its disk, that can be fetched or made again
        self.doctor_mends: tuple[str, ...] = ()  # versions whose flaw OpenClaw's doctor mends
        config = first_boot.read_user_data(user_data)
        first_boot.lay_down(self, config)
        self.boot()
        first_boot.run_commands(self, config)

    @property
    def firewall(self) -> Firewall:
        return self.disk.firewall

    @firewall.setter
    def firewall(self, firewall: Firewall) -> None:
        self.disk.firewall = firewall

    @property
    def boot_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.name} {self.boots}"))

    def boot(self) -> None:
        """Power comes back: what lies on the disk gets in force, what was only in memory is gone."""
        self.boots += 1
        self.firewall_before = self.access_before = None
        for path in [path for path in (*self.files, *self.links) if path.startswith("/run/")]:
            self.files.pop(path, None)
            self.links.pop(path, None)
        self.kernel.tables.clear()
        self.gateway.forget()
        self.load_sshd()
        self.systemd.boot()

    def tick(self) -> None:
        """What was changed and not confirmed in time takes itself back; whoever looks at times does."""
        if self.systemd.is_active(RETURN_TIMER):
            with suppress(Fails):  # its unit has failed, and the timer starts it again
                self.systemd.start(RETURN_SERVICE)
        if self.firewall_before and self.now() - self.firewall_before[0] > REVERT_AFTER:
            self.firewall, self.firewall_before = self.firewall_before[1], None
        if self.access_before and self.now() - self.access_before[0] > REVERT_AFTER:
            for path in self.access_files():
                del self.files[path]
            self.files |= self.access_before[1]
            self.access_before = None
            self.load_sshd()

    def access_files(self) -> dict[str, File]:
        """Copies of the files that decide who gets in."""
        return {path: replace(file) for path, file in self.files.items() if path.startswith(ACCESS)}

    def content(self, path: str) -> bytes:
        """What is in a file, b"" where there is none."""
        return self.files[path].content if path in self.files else b""

    def stamp(self, path: str) -> str | None:
        """The digest that the unit's stamp program makes of a file or of a link's target."""
        data = self.links[path].encode() if path in self.links else self.content(path)
        return hashlib.sha256(data).hexdigest() if data or path in self.files else None

    def read_json(self, path: str) -> Any:
        """What a JSON file says; None where it is none."""
        try:
            return json.loads(self.content(path))
        except (ValueError, RecursionError):
            return None

    def load_sshd(self) -> None:
        """sshd works by what lies on the disk now."""
        drop_ins = sorted(path for path in self.files if path.startswith(SSHD_DROP_INS) and path.endswith(".conf"))
        self.sshd_config = b"".join(self.files[path].content for path in drop_ins)
        self.private_key = self.content(HOST_KEY)
        self.shown_key = public_key(self.private_key.decode())

    def answers(self, source: str, port: int = 22) -> bool:
        """Whether the firewall lets a new connection from this address in; those that there are stay."""
        rules = [rule.partition(" from ") for rule in self.firewall["rules"]]
        return not self.firewall["enabled"] or any(
            name == f"{port}/tcp" and (not network or ip_address(source) in ip_network(network))
            for name, _, network in rules
        )

    def lets_in(self, user: str, key: str) -> str | None:
        """The options of the line by which sshd accepts this public key ("ssh-ed25519 AAAA…") for `user`.

        None where it does not, by what it has read.
        """
        words = [line.split() for line in self.sshd_config.decode("utf-8", "replace").splitlines()]
        allowed = [set(line[1:]) for line in words if line[:1] == ["AllowUsers"]]
        if user not in self.accounts or (allowed and user not in allowed[0]):
            return None
        lines = self.content(f"{self.accounts[user].home}/.ssh/authorized_keys").decode("utf-8", "replace")
        found = (f" {line} ".partition(f" {key} ") for line in lines.splitlines())
        return next((options.strip() for options, match, _ in found if match), None)
