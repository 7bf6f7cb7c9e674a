"""SSH: opens connections to hosts and runs commands there. The only module that knows fabric and paramiko.

It trusts nothing outside its arguments: no known_hosts, no ~/.ssh/config, no agent, no key files. The shape (own
socket without Nagle's delay, a Config per connection, raw channels, a bound on output and time) is measured; the
figures and the traps behind each line are in the performance notes. It must not know what the commands are for.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import paramiko
from fabric.config import Config
from fabric.connection import Connection

from reconciler.errors import CommandFailed, HostError, HostRefused, HostTimedOut, LoginRefused, WrongHostKey
from reconciler.model import Command, Completed, HostAddress, Secret
from reconciler.terminal import hand_over, terminal_size
from reconciler.wire import QuickSocket, exchange

KILL_AFTER: Final = 2  # seconds between the host's TERM and KILL
GRACE: Final = 5  # seconds beyond both in which the host may still tell how it ended
ERROR_TAIL: Final = 800  # characters of stderr that an error shows
TIMED_OUT_ON_HOST: Final = 124  # what timeout(1) answers
KILLED: Final = 137  # what a shell says of a command that SIGKILL ended
KEEPALIVE: Final = 15  # seconds

_SILENT: Final = (
    "If it has just been started, try again in a minute. Else look at its console in the cloud: does it run, does "
    "sshd, and do the cloud's firewall and ufw let you in?"
)
_BUSY: Final = "Try again; if it stays so, look at its console in the cloud: it may be out of memory, or its disk full."
# paramiko's words where it waited for a banner in vain; which of them comes is a race of two timers.
_SAID_NOTHING: Final = ("No existing session", "Error reading SSH protocol banner")
_NO_COMMON_KIND: Final = "Unable to agree on a pubkey algorithm"  # paramiko says it of RSA alone

# Without a handler of its own paramiko's thread prints tracebacks on our stderr; what matters is raised as well.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class FabricDialer:
    """Implements `ports.Dialer`."""

    def connect(self, address: HostAddress, timeout: float) -> FabricHost:
        """An authenticated connection; `timeout` (seconds) bounds each of: TCP, banner, key exchange, login.

        Raises HostRefused, HostTimedOut, WrongHostKey or LoginRefused.
        """
        where = _where(address)
        sock = _dial(address, timeout)
        pins = _Pins(where, address.host_keys)
        login = _Login(where, address)
        connection = _connection(address, timeout, sock, pins, login)
        try:
            transport = _open(connection, pins)
        except BaseException as error:
            sock.close()
            _raise_translated(error, where)
            raise
        return FabricHost(connection, transport, address, pins.shown)


class FabricHost:
    """Implements `ports.Host`. Used by one thread at a time.

    `host_key` is the pin that the host showed: not the first of its address when its key is still to be replaced.
    """

    def __init__(
        self, connection: Connection, transport: paramiko.Transport, address: HostAddress, host_key: str
    ) -> None:
        self._connection = connection  # paramiko closes the transport of a client that nobody holds
        self._transport = transport
        self._address = address
        self._patience: float | None = None  # as long as the command may last
        self.host_key = host_key

    def run(self, command: Command) -> Completed:
        """Run it as root (or as the login user) under the host's own timeout(1), which also ends its children.

        Raises CommandFailed when `command.check` and the code isn't 0, HostTimedOut when it did not end in time
        or the connection broke off.
        """
        where = _where(self._address)
        started = time.monotonic()
        try:
            completed = self._execute(command, started + command.timeout + KILL_AFTER + GRACE)
            if completed and completed.exit_code < 0 and not self._transport.is_active():
                raise EOFError
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostTimedOut(
                f"{where}: the connection broke off during {command.name}", "Run the same command again."
            ) from error
        was_killed = completed is not None and completed.exit_code in (-1, TIMED_OUT_ON_HOST)
        if completed is None or (was_killed and time.monotonic() - started >= command.timeout):
            raise HostTimedOut(f"{where}: {command.name} did not end within {command.timeout:g} seconds", _BUSY)
        if completed.exit_code < 0:
            completed = replace(completed, exit_code=KILLED)
        if command.check and completed.exit_code != 0:
            raise _failure(where, command, completed)
        return completed

    def interact(self) -> int:
        """A login shell on the local terminal, or on the standard streams when they are none; its exit code."""
        channel = self._transport.open_session()
        try:
            size = terminal_size()
            if size:
                channel.get_pty(term=size.term, width=size.columns, height=size.rows)
            channel.invoke_shell()
            hand_over(channel, resize=lambda new: channel.resize_pty(width=new.columns, height=new.rows))
            return channel.recv_exit_status()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostTimedOut(f"{_where(self._address)}: the connection broke off", "Run it again.") from error
        finally:
            channel.close()

    @contextlib.contextmanager
    def forwarding(self, here: int, there: int) -> Iterator[None]:
        """Whoever connects to the port `here` on this machine's loopback reaches `there` on the host's own."""
        loopback = "127.0.0.1"
        with self._connection.forward_local(here, there, remote_host=loopback, local_host=loopback):
            yield

    def expect_within(self, seconds: float) -> None:
        self._patience = seconds

    @property
    def is_open(self) -> bool:
        return bool(self._transport.is_active())

    def close(self) -> None:
        self._connection.close()  # type: ignore[no-untyped-call]

    def _execute(self, command: Command, deadline: float) -> Completed | None:
        longest = command.timeout + KILL_AFTER
        channel = self._transport.open_session(timeout=longest if self._patience is None else self._patience)
        try:
            channel.settimeout(GRACE)
            channel.exec_command(_remote_line(command, self._address.user))
            return exchange(channel, command.stdin, deadline)
        finally:
            channel.close()


class _Pins(paramiko.RejectPolicy):
    """Accepts exactly the pinned keys. paramiko's own store holds one key per type, and we may expect two."""

    def __init__(self, where: str, host_keys: Sequence[str]) -> None:
        self._where = where
        self._pins = tuple(tuple(pin.split()[:2]) for pin in host_keys)
        self.shown = ""

    @property
    def types(self) -> list[str]:
        return list(dict.fromkeys(pin[0] for pin in self._pins))

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # type: ignore[override]
        if (key.get_name(), key.get_base64()) not in self._pins:
            raise WrongHostKey(
                f"{self._where} shows the host key {key.fingerprint}, which is not the one we gave it",
                "Somebody may sit in between, the server was rebuilt, or `keys.ssh` was changed by more than one: only "
                "the wanted generation and the one before are tried. Nothing was sent to it. "
                "Look at the fleet file, and at the server in the cloud's console, before anything else.",
            )
        self.shown = f"{key.get_name()} {key.get_base64()}"


class _Login:
    """Offers our keys in their order on one connection."""

    def __init__(self, where: str, address: HostAddress) -> None:
        self._where = where
        self._user = address.user
        self._keys = [_private_key(key) for key in address.login_keys]

    def authenticate(self, transport: paramiko.Transport) -> None:
        for key in self._keys:
            try:
                transport.auth_publickey(self._user, key)
            except paramiko.AuthenticationException as refusal:
                if str(refusal).startswith(_NO_COMMON_KIND):  # the connection is closed then
                    advice = "Use an Ed25519 key: PubkeyAcceptedAlgorithms of its sshd leaves RSA out."
                    raise LoginRefused(f"{self._where} takes no RSA key", advice) from refusal
                # paramiko calls a lost connection and a silent server "authentication failed", too.
                if not transport.is_active() or "timeout" in str(refusal).lower():
                    raise EOFError(str(refusal)) from refusal
            if transport.is_authenticated():
                return
        raise LoginRefused(
            f"{self._where} does not accept our key for the user {self._user}",
            "It belongs to another fleet key (`fleet key show` tells which one this is), or its authorized_keys were "
            "changed: mend those at its console in the cloud.",
        )


def _private_key(key: Secret) -> paramiko.PKey:
    """Ours are Ed25519; the identity that a person imports a server with may be of another kind."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey):
        try:
            return kind(file_obj=io.StringIO(key.reveal()))
        except paramiko.SSHException:
            continue
    return paramiko.RSAKey(file_obj=io.StringIO(key.reveal()))


def _where(address: HostAddress) -> str:
    return f"{address.address}:{address.port}"


def _dial(address: HostAddress, timeout: float) -> QuickSocket:
    try:
        return QuickSocket.dial(address.address, address.port, timeout)
    except ConnectionRefusedError as error:
        raise HostRefused(f"{_where(address)} refuses connections: no SSH server listens there", _SILENT) from error
    except OSError as error:
        said = error.strerror or "no answer in time"
        raise HostTimedOut(f"{_where(address)} does not answer: {said}", _SILENT) from error


def _connection(address: HostAddress, timeout: float, sock: QuickSocket, pins: _Pins, login: _Login) -> Connection:
    # A Config of its own: sharing one between threads loses attributes at random.
    config = Config(  # type: ignore[no-untyped-call]
        lazy=True, ssh_config=paramiko.SSHConfig(), overrides={"load_ssh_configs": False, "run": {"in_stream": False}}
    )
    return Connection(  # type: ignore[no-untyped-call]
        address.address,
        user=address.user,
        port=address.port,
        config=config,
        connect_timeout=math.ceil(timeout),
        connect_kwargs={
            "sock": sock,
            "look_for_keys": False,
            "allow_agent": False,
            "banner_timeout": timeout,
            "auth_timeout": timeout,
            "channel_timeout": timeout,
            "auth_strategy": login,
            "transport_factory": lambda sock, **options: _transport(sock, pins.types, **options),
        },
    )


def _open(connection: Connection, pins: _Pins) -> paramiko.Transport:
    client: paramiko.SSHClient = connection.client  # type: ignore[assignment]  # None only before __init__ ends
    client.set_missing_host_key_policy(pins)  # fabric itself would accept any key
    try:
        connection.open()  # type: ignore[no-untyped-call]
        transport: paramiko.Transport = connection.transport  # type: ignore[assignment]  # set by open()
        transport.set_keepalive(KEEPALIVE)
        return transport
    except BaseException:
        client.close()
        raise


def _transport(sock: QuickSocket, host_key_types: list[str], **options: object) -> paramiko.Transport:
    transport = paramiko.Transport(sock, **options)  # type: ignore[arg-type]
    security = transport.get_security_options()
    security.key_types = host_key_types
    security.ciphers = sorted(security.ciphers, key=lambda cipher: "gcm" not in cipher)
    return transport


def _raise_translated(error: BaseException, where: str) -> None:
    if isinstance(error, HostError):
        return
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and "host key" in str(error):
        raise WrongHostKey(
            f"{where} has no host key of the kind we gave it", "Look at the server in the cloud's console."
        ) from error
    if isinstance(error, (paramiko.SSHException, OSError, EOFError)):
        is_silent = str(error).startswith(_SAID_NOTHING)
        said = "it said nothing" if is_silent else _plain(str(error)) or type(error).__name__
        raise HostTimedOut(f"{where} accepts connections but does not speak SSH in time: {said}", _BUSY) from error


def _remote_line(command: Command, user: str) -> str:
    # timeout(1) runs with the command's own rights: one that runs as `fleet` could not end what root started.
    words = ["timeout", "-k", str(KILL_AFTER), f"{command.timeout:g}", "sh", "-c", command.line]
    if command.as_root and user != "root":
        words = ["sudo", "-n", "--", *words]
    return shlex.join(words)


def _failure(where: str, command: Command, completed: Completed) -> CommandFailed:
    said = _plain(completed.stderr.decode("utf-8", "replace"))
    for line in command.stdin.decode("utf-8", "replace").splitlines():
        if len(line.strip()) >= 8:  # shorter ones name nothing and would blot out ordinary words
            said = said.replace(_plain(line), "***")
    return CommandFailed(
        f"{where}: {command.name} failed with exit code {completed.exit_code}: {_tail(said) or 'no message'}",
        "Run it again; if it stays so, look at the host with `fleet ssh CHILD`.",
        exit_code_on_host=completed.exit_code,
    )


def _tail(text: str) -> str:
    """The end of it, in whole words: half a secret would be known to nobody as one."""
    return text if len(text) <= ERROR_TAIL else text[-ERROR_TAIL:].partition(" ")[2]


def _plain(text: str) -> str:
    """One line without anything that could steer a terminal."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())
