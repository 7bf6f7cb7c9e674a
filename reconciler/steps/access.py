"""The way in: first boot survived, the first host key replaced, only our login key left."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.errors import CommandFailed, HostError
from reconciler.keys import host_key_label
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, HostAddress
from reconciler.ports import Host
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.work import CONNECT_TIMEOUT, NEXT_HOST_KEY, Work, address_of

BOOT_TIMEOUT: Final = 300.0  # from a new server's first packet to a login
ANSWER_TIMEOUT: Final = 60.0  # a finished child that the plan has just talked to
CLOUD_INIT_TIMEOUT: Final = 300

_LOGIN: Final = (
    *("login key", "other login keys", "sshd", "sshd in force", "login account", "sudoers", "other sudoers"),
)


def ensure_reachable(work: Work) -> bool:
    """A pinned connection, first boot over, and fresh facts."""
    work.host = _first_connection(work)
    if work.is_first:
        _wait_for_first_boot(work.host)
    work.look()
    return True


def ensure_host_key(work: Work) -> bool:
    """The host shows its derived key; the one that came in user_data, readable in the cloud's metadata, is gone."""
    if work.is_right("host key", "host key file"):
        return False
    materials = work.materials()
    host = work.host = work.host or _first_connection(work)  # if it broke off, the first key may still be shown
    if materials.probe_public_key is not None and not work.is_first:
        _announce(materials.host_public_key, work)
    host.run(commands.arm_access())
    host.run(commands.rotate_host_key(materials.host_private_key, materials.host_public_key))
    # Only a new connection proves that sshd uses it; from here on no other key is accepted.
    _confirm(work, replace(address_of(work.existing(), work.fleet, work.ports), host_keys=(materials.host_public_key,)))
    return True


def _announce(public: str, work: Work) -> None:
    """Who has a probe key takes both from here on: an apply may die between the new key and the label that says it."""
    server = present(work)
    labels = {**server.labels, LABEL_PREFIX + NEXT_HOST_KEY: host_key_label(public)}
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))


def ensure_login(work: Work) -> bool:
    """Only our key logs in, only as `fleet`, never with a password; and only `fleet` becomes root without one."""
    if work.is_right(*_LOGIN):
        return False
    host = work.connection()
    host.run(commands.arm_access())
    lines = files.login_lines(work.materials().login_public_key, work.materials().probe_public_key)
    host.run(commands.set_authorized_keys(files.LOGIN_USER, lines))
    for path in files.OTHER_KEYS:
        host.run(commands.remove_file(path))
    host.run(commands.make_system_user(files.LOGIN_USER, files.LOGIN_HOME, "/bin/sh"))
    sudoers = files.SUDOERS_PATH.rpartition("/")[2]
    host.run(commands.grant_sudo(files.LOGIN_USER, sudoers, files.SUDOERS))
    host.run(commands.install_file(files.SSHD_PATH, files.SSHD.encode(), "root:root", "0644"))
    host.run(commands.set_aside_drop_ins(files.SSHD_PATH.rpartition("/")[2]))
    host.run(commands.reload_sshd())
    _confirm(work, address_of(work.existing(), work.fleet, work.ports))
    return True


def _confirm(work: Work, address: HostAddress) -> None:
    """A new connection gets in and says so; without it the host takes the change back by itself.

    The old connection outlives any lock-out, so it is given up only then. A reload of sshd closes the listening socket
    for a moment, so the first try may be refused.
    """
    fresh = _connect_patiently(work, address)
    fresh.run(commands.confirm_access())
    work.hang_up()
    work.host = fresh


def _first_connection(work: Work) -> Host:
    """To a child that is not finished yet also by the host key that came in user_data."""
    return _connect_patiently(work, address_of(work.existing(), work.fleet, work.ports, first_boot=work.is_first))


def _connect_patiently(work: Work, address: HostAddress) -> Host:
    clock = work.ports.clock
    deadline = clock.monotonic() + (BOOT_TIMEOUT if work.is_first else ANSWER_TIMEOUT)
    while True:
        try:
            return work.ports.dialer.connect(address, CONNECT_TIMEOUT)
        except HostError as error:
            # A machine that boots refuses, then hangs, then lets nobody in until cloud-init has made the account.
            if not (error.temporary or work.is_first) or clock.monotonic() > deadline:
                raise
        clock.sleep(0.5)


def _wait_for_first_boot(host: Host) -> None:
    try:
        host.run(commands.wait_for_cloud_init(CLOUD_INIT_TIMEOUT))
    except CommandFailed as error:
        raise HostError(
            error.summary,
            "look at /var/log/cloud-init-output.log on the host; "
            "if it cannot be mended, remove the child and add it again",
        ) from error
