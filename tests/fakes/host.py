"""Hosts in memory: the simulated machine of the sandbox, asked directly instead of over SSH.

What no host would be asked (an unknown command, a file pulled away under a running gateway) is an AssertionError.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from reconciler import keys
from reconciler.errors import CommandFailed, HostError
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Command, Completed, Json, Secret, ServerRequest
from reconciler.ports import Clock
from reconciler.sandbox.simulated.disk import File as FakeFile
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.table import execute

__all__ = ["WANTED_FIREWALL", "FakeFile", "FakeHost", "public_key"]

WANTED_FIREWALL: Final = {"enabled": True, "incoming": "deny", "outgoing": "allow", "rules": ["22/tcp"], "foreign": []}


class FakeHost(SimulatedHost):
    """Implements ports.Host. `fails` maps the beginning of a command's name to errors to raise, one per run of it.

    `claims` is what its gateway's user makes it say that an archive holds, `says` what it prints instead of what a
    command of that name does; `programs` are those that no command of ours is.
    """

    def __init__(self, request: ServerRequest, clock: Clock) -> None:
        # By its child: a successor's own name has its uid in it, and two runs would differ by what follows from that.
        labels = [request.labels.get(LABEL_PREFIX + part) for part in ("fleet", "child")]
        name = "-".join(part for part in labels if part) or request.name
        super().__init__(name, request.user_data.reveal(), lambda: clock.now().timestamp())
        self.fails: list[tuple[str, HostError]] = []
        self.ran: list[str] = []
        self.claims: Json = None
        self.says: dict[str, bytes] = {}
        self.programs: dict[str, Callable[[Command], Completed]] = {}
        self.forwarded: list[tuple[int, int]] = []
        self.lasts = 0

    def run(self, command: Command) -> Completed:
        self.tick()
        self.ran.append(command.name)
        failure = next((failure for failure in self.fails if command.name.startswith(failure[0])), None)
        if failure:
            self.fails.remove(failure)
            raise failure[1]
        if not command.as_root and command.line.startswith("set -- "):
            return self.programs[shlex.split(command.line)[2].rstrip(";")](command)
        completed = execute(self, command.line, command.stdin)
        if command.name in self.says:
            completed = Completed(0, self.says[command.name], b"")
        assert self.objections == [], command.name
        if command.check and completed.exit_code != 0:
            raise CommandFailed(f"{command.name}: {completed.stderr.decode().strip()}")
        if command.name in ("make an archive", "copy the state") and self.claims is not None:
            said = json.dumps({**json.loads(completed.stdout), "holds": self.claims}).encode()
            return replace(completed, stdout=said)
        if command.name.startswith("wait for"):
            self.ran[-1] = "first boot is over"
        return completed

    def copy(self, clock: Clock) -> FakeHost:
        """The same host, that goes its own way from here by this clock."""
        twin = copy.deepcopy(self)
        twin.now = lambda: clock.now().timestamp()
        return twin

    def interact(self) -> int:
        return 0

    @contextlib.contextmanager
    def forwarding(self, here: int, there: int) -> Iterator[None]:
        """Nothing is sent on: `forwarded` are the ports while it lasts."""
        self.forwarded.append((here, there))
        yield
        self.forwarded.remove((here, there))

    def expect_within(self, seconds: float) -> None:
        """It takes up everything at once."""

    @property
    def is_open(self) -> bool:
        """Until it has been asked as often as `lasts` says."""
        self.lasts -= 1
        return self.lasts >= 0

    def close(self) -> None:
        """Nothing is kept open."""

    def config(self) -> Any:
        return json.loads(self.content(files.CONFIG_PATH) or b"{}")

    def write_config(self, config: Any) -> None:
        self.files[files.CONFIG_PATH] = FakeFile(json.dumps(config).encode(), "openclaw:openclaw", "0600")

    @property
    def metadata_rules(self) -> bytes:
        """What the kernel works by."""
        return "\n".join(self.kernel.tables.get("inet openclaw_deploy", [])).encode()


@functools.cache
def public_key(private_key: str) -> str:
    return keys.public_key(Secret(private_key))
