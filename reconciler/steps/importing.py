"""A server that exists comes under the fleet: each step is safe to run again after a crash anywhere.

Name and labels come last and in one request, so until the server is ours the cloud knows nothing of it, and the same
import can be run again. The identity that was given keeps working all the while; no step takes it away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from reconciler import commands, keys
from reconciler.commands import importing
from reconciler.errors import CommandFailed, HostError, LoginRefused
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, ChildSpec, Fleet, HostAddress, Secret, Server
from reconciler.ports import Host, Ports
from reconciler.steps.work import CONNECT_TIMEOUT, SSH_PORT, address_of

PATIENCE: Final = 30.0  # seconds; a reload of sshd refuses for a moment
PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found. `gateway` are paths and running units of an OpenClaw that is there already."""

    system: str
    machine: str
    gateway: tuple[str, ...]
    running: tuple[str, ...]
    was_ours: bool  # an apply of this tool has been at work on it
    has_account: bool


@dataclass(slots=True)
class Arrival:
    """One server on its way. `server` is as the cloud has it now, `future` as it shall be: its uid gives the keys."""

    fleet: Fleet
    ports: Ports
    server: Server
    future: Server
    given: HostAddress
    host: Host | None = None
    survey: Survey | None = None

    def connection(self) -> Host:
        assert self.host is not None, "the first step connects"
        return self.host

    def move_to(self, host: Host) -> None:
        """From now on over this connection."""
        if self.host is not None:
            self.host.close()
        self.host = host


def arrival(fleet: Fleet, spec: ChildSpec, server: Server, given: HostAddress, run: str, ports: Ports) -> Arrival:
    """The server as it will be, and every key that it may know by now if an earlier import did not end."""
    uid = keys.imported_uid(ports.fleet_key, server.id)
    future = replace(
        server, name=f"{fleet.name}-{spec.name}", labels=labels_of(fleet, spec, server, uid, run, ports.fleet_key)
    )
    ours = address_of(future, fleet, ports)
    both = replace(
        given,
        login_keys=(*given.login_keys, *ours.login_keys),
        host_keys=(*given.host_keys, *ours.host_keys),
    )
    return Arrival(fleet, ports, server, future, both)


def ensure_entered(work: Arrival) -> None:
    """In, with the identity and the host key that were given. Nothing is trusted at first sight."""
    work.move_to(work.ports.dialer.connect(work.given, CONNECT_TIMEOUT))


def ensure_suitable(work: Arrival) -> None:
    """A system that we can run. Raises HostError, before anything is changed."""
    facts = [line.partition(" ") for line in _said(work).splitlines()]
    found = {key: tuple(value for name, _, value in facts if name == key) for key, _, _ in facts}
    where = work.server.name
    if "init" not in found or "system" not in found:
        raise HostError(
            f"{where} does not run systemd", "this tool keeps Debian and Ubuntu servers; nothing was changed"
        )
    if "sudo" not in found:
        raise HostError(f"{where} has no sudo", "install it there and import again: apt-get install sudo")
    if str(SSH_PORT) not in found.get("port", ()):
        raise HostError(
            f"sshd on {where} does not listen on port {SSH_PORT}, where this tool will look for it",
            f"add `Port {SSH_PORT}` to its configuration, reload it, and import again",
        )
    work.survey = Survey(
        system=found["system"][0],
        machine="".join(found.get("machine", ())),
        gateway=found.get("gateway", ()),
        running=found.get("running", ()),
        was_ours="applied" in found,
        has_account="account" in found,
    )


def ensure_account(work: Arrival) -> None:
    """The account `fleet`, and only our key logs in to it."""
    host, ours = work.connection(), address_of(work.future, work.fleet, work.ports)
    host.run(importing.make_login_account(files.LOGIN_USER, files.SUDOERS_PATH, files.SUDOERS))
    line = files.login_lines(keys.public_key(ours.login_keys[0]))
    host.run(commands.set_authorized_keys(files.LOGIN_USER, line))


def ensure_host_key(work: Arrival) -> None:
    """sshd shows the key that derives from the fleet key."""
    generation = work.fleet.ssh_generation
    key = keys.host_key(work.ports.fleet_key, str(work.future.uid), generation)
    work.connection().run(commands.rotate_host_key(key, keys.public_key(key)))


def ensure_proven(work: Arrival) -> None:
    """A new connection with our key to our key, and from it to root. Only then may anybody call the server ours."""
    ours = address_of(work.future, work.fleet, work.ports)
    wanted = replace(ours, login_keys=ours.login_keys[:1], host_keys=ours.host_keys[:1])
    try:
        work.move_to(_connect_patiently(work, wanted))
        work.connection().run(importing.prove_root())
    except HostError as error:
        raise _unproven(error) from error


def ensure_ours(work: Arrival) -> None:
    """Name and labels in one request, for they must agree. One says `unfinished`: the next apply finishes it."""
    work.server = work.ports.cloud.rename(work.server.id, work.future.name, dict(work.future.labels))


STEPS: Final[tuple[tuple[str, Callable[[Arrival], None]], ...]] = (
    ("connect", ensure_entered),
    ("look around", ensure_suitable),
    ("account", ensure_account),
    ("host key", ensure_host_key),
    ("prove", ensure_proven),
    ("name and labels", ensure_ours),
)


def labels_of(fleet: Fleet, spec: ChildSpec, server: Server, uid: str, run: str, fleet_key: Secret) -> dict[str, str]:
    """The label set after the import: of ours none of before, of others' all."""
    others = {name: value for name, value in server.labels.items() if not name.startswith(LABEL_PREFIX)}
    ours = {
        "fleet": fleet.name,
        "fleet-id": keys.fleet_id(fleet_key),
        "child": spec.name,
        "uid": uid,
        "nonce": run,
        "unfinished": "true",
        **({"protect": "true"} if spec.protect else {}),
    }
    return {**others, **spec.labels, **{LABEL_PREFIX + name: value for name, value in ours.items()}}


def _said(work: Arrival) -> str:
    return work.connection().run(importing.survey(files.LOGIN_USER)).stdout.decode("utf-8", "replace")


def _unproven(error: HostError) -> HostError:
    """With what mends this one: a connection that broke off says nothing about sshd or sudo."""
    if error.temporary:
        advice = "look whether the server still answers, and import again: what is done stays done"
        return HostError(f"the new way in is not proven yet: {error.summary}", advice)
    match error:
        case LoginRefused():
            culprit = f"whether sshd's AllowUsers, DenyUsers or Match keep out the account {files.LOGIN_USER}"
        case CommandFailed():
            culprit = f"what /etc/sudoers and /etc/sudoers.d say of the account {files.LOGIN_USER}"
        case _:
            culprit = "which HostKey the configuration of its sshd names"
    return HostError(
        f"the new way in does not work: {error.summary}",
        f"the old one does: look {culprit}, mend that, and import again",
    )


def _connect_patiently(work: Arrival, address: HostAddress) -> Host:
    clock = work.ports.clock
    deadline = clock.monotonic() + PATIENCE
    while True:
        try:
            return work.ports.dialer.connect(address, CONNECT_TIMEOUT)
        except HostError as error:
            if not error.temporary or clock.monotonic() > deadline:
                raise
        clock.sleep(PAUSE)
