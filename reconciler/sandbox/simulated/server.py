"""SSH for simulated machines: one asyncssh connection per operator's connection, one session per command.

Host key and login keys are those of the simulated host at that moment. Everything here runs on the one event loop of
SimulatedMachines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import asyncssh

from reconciler.model import Completed
from reconciler.sandbox.simulated.calls import read_remote
from reconciler.sandbox.simulated.forced import question_of
from reconciler.sandbox.simulated.host import SimulatedHost

INPUT_LIMIT: Final = 64 << 20  # bytes of stdin
TIMED_OUT: Final = 124  # what timeout(1) answers
LOGIN_SERVICE: Final = b"ssh-userauth"
NOT_ASKED: Final = b"this key may only ask what the host has questions for\n"
NO_SHELL: Final = b"This machine is simulated: it has no shell and knows only the commands of OpenClaw Deploy.\n"

# One quick algorithm of each kind: the handshake is most of what a look costs.
BASE_OPTIONS: Final[dict[str, Any]] = {
    "kex_algs": ["curve25519-sha256", "curve25519-sha256@libssh.org"],
    "encryption_algs": ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr"],
    "signature_algs": ["ssh-ed25519"],
    "compression_algs": None,
    "encoding": None,
    "password_auth": False,
    "kbdint_auth": False,
    "host_based_auth": False,
    "agent_forwarding": False,
    "allow_scp": False,
    "rdns_lookup": False,
    "server_version": "OpenSSH_9.2p1-simulated",
}

logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # broken-off connections are what it is for


class Inhabited(Protocol):
    """What a session needs of the machine it came to."""

    host: SimulatedHost
    connections: set[asyncssh.SSHServerConnection]

    async def run(self, line: str, stdin: bytes, timeout: float) -> Completed | None:
        """None when nobody will ever hear the answer."""

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """It goes on although nobody waits for it."""


async def serve(machine: Inhabited, options: asyncssh.SSHServerConnectionOptions, sock: Any) -> None:
    """One connection, from its first byte to a login. Errors are the other side's to see."""
    try:
        await asyncssh.run_server(sock, options=options)
    except (OSError, asyncssh.Error, asyncio.IncompleteReadError):
        sock.close()


def options_for(machine: Inhabited) -> asyncssh.SSHServerConnectionOptions:
    """For the host key that the machine shows now."""
    key = asyncssh.import_private_key(machine.host.private_key)
    return asyncssh.SSHServerConnectionOptions(
        server_factory=lambda: _Server(machine), server_host_keys=[key], **BASE_OPTIONS
    )


class _Server(asyncssh.SSHServer):
    def __init__(self, machine: Inhabited) -> None:
        self._machine = machine
        self._user = ""
        self._options = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._machine.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._machine.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._user = username
        return True

    def public_key_auth_supported(self) -> bool:
        """Asked at every try and every refusal.

        paramiko asks for the service of logins again before each further key. sshd lets it until somebody is in, and
        asyncssh hangs up, unless it awaits that very request.
        """
        self._connection._next_service = LOGIN_SERVICE
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        text = key.export_public_key("openssh").decode().split()
        options = self._machine.host.lets_in(username, " ".join(text[:2]))
        self._options = options or ""
        return options is not None

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Forced(self._machine) if 'command="' in self._options else _Session(self._machine)


class _Session(asyncssh.SSHServerSession[bytes]):
    """One exec request: its input is gathered to its end, then it runs."""

    def __init__(self, machine: Inhabited) -> None:
        self._machine = machine
        self._stdin = bytearray()
        self._command: tuple[str, float] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def shell_requested(self) -> bool:
        return True

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = read_remote(command) or (command, 0.0)
        return True

    def session_started(self) -> None:
        if self._command is None:
            self._answer(Completed(127, b"", NO_SHELL))
        elif not self._command[1]:  # no line of ours: nobody may ever end its input
            self._start(*self._command)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if len(self._stdin) + len(data) <= INPUT_LIMIT:
            self._stdin += data

    def eof_received(self) -> bool:
        if self._command is not None and self._command[1]:
            self._start(*self._command)
        return True

    def _start(self, line: str, timeout: float) -> None:
        self._machine.keep(self._run(line, timeout))

    async def _run(self, line: str, timeout: float) -> None:
        completed = await self._machine.run(line, bytes(self._stdin), timeout)
        if completed is not None:
            self._answer(completed)

    def _answer(self, completed: Completed) -> None:
        if self._channel.is_closing():
            return
        self._channel.write(completed.stdout)
        self._channel.write_stderr(completed.stderr)
        self._channel.exit(completed.exit_code)


class _Forced(_Session):
    """Of a login whose line in authorized_keys names a program: that runs, whatever was asked for."""

    _asked: tuple[str, bytes, float] | None = None

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        return False

    def exec_requested(self, command: str) -> bool:
        self._asked = question_of(self._machine.host, command)
        return True

    def session_started(self) -> None:
        if self._asked is None:
            self._answer(Completed(1, b"", NOT_ASKED))
            return
        line, stdin, timeout = self._asked
        self._stdin[:] = stdin
        self._start(line, timeout)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The program reads none of it."""

    def eof_received(self) -> bool:
        return True
