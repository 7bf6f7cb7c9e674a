"""The servers beside a child's own, of a replacement that did not end: silenced, copied, deleted.

No gateway of a child may start before the others of it are silent, and what only one of them knows is kept before it
goes. What leads to them, and what their labels say: steps/replacing.py.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.errors import HostError, Refused, SecretError, VaultError
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, STARTED, TOLD, Purpose, Server, ServerStatus
from reconciler.steps import backups
from reconciler.steps.guards import present, reread, when_unlocked
from reconciler.steps.power import power_down
from reconciler.steps.server import SUCCESSOR, delete
from reconciler.steps.shelf import shelf_of
from reconciler.steps.work import Work

RETIRED: Final = LABEL_PREFIX + "retired"
SILENCE_TRIES: Final = 3
SILENCE_PAUSE: Final = 2.0
_SILENT: Final = ("inactive", "failed")


def ensure_others_silent(work: Work) -> bool:
    """No other gateway of this child polls: before its own may be started, by whatever comes next.

    A successor that has started is beside the child's server only where somebody has taken `retired` away by hand.
    """
    acted = False
    if work.server is not None and work.server.is_successor and work.replacing.retired and not work.server.may_poll:
        set_label(work, {SUCCESSOR: STARTED})  # an apply died right after the commit point: its gateway starts now
        acted = True
    for spare in work.replacing.spares:
        found = beside(work, spare)
        now = reread(found) if spare.may_poll else None
        if now is not None and now.status is not ServerStatus.OFF:
            make_silent(found)
            found.hang_up()
            acted = True
    return acted


def beside(work: Work, server: Server) -> Work:
    """The same child's work on another server of it."""
    return replace(work.on(server), facts=None, is_first=False)


def make_silent(work: Work) -> None:
    """The gateway of a successor that has started runs no more, and its label says so.

    Where its host does not obey, the server is switched off: then nobody can copy what it was told, and a boot may
    start its gateway, so its label stays as it is. Raises NotFound.
    """
    for _ in range(SILENCE_TRIES):
        try:
            silence(work)
            set_label(work, {SUCCESSOR: TOLD})
            return
        except HostError:
            work.hang_up()
            work.ports.clock.sleep(SILENCE_PAUSE)
    server = present(work)
    if server.status is not ServerStatus.OFF:
        power_down(work, server)


def silence(work: Work) -> None:
    """Its gateway does not run, and no boot starts it. Raises HostError where that is not so.

    systemd calls a unit inactive when no process of its control group is left. With the processes their connections
    end, and with them the long poll: Telegram has nobody to answer. What it was about to answer was never confirmed,
    so it answers that again to whoever asks next.
    """
    host = work.connection()
    host.run(commands.disable_unit(files.UNIT))
    host.run(commands.stop_unit(files.UNIT))
    gateway = work.look().gateway
    if gateway.active not in _SILENT:
        raise HostError(f"the gateway of {work.existing().name} was stopped, and its unit is {gateway.active}", "")


def discard(work: Work, spare: Server) -> None:
    """It goes, after a copy of what only it may know; where memory is given up, after a try. Raises HostError,

    VaultError, Refused.
    """
    found = beside(work, spare)
    now = reread(found)
    if now is None:
        return
    if now.is_told:
        try:
            _keep_told(found, now)
        except (HostError, VaultError, SecretError, Refused) as error:
            if not work.asked.without_copy:
                raise
            work.note("memory-given-up", durable=True, server=now.id, error=work.quoted(error.summary))
    delete(found)


def _keep_told(work: Work, server: Server) -> None:
    if server.may_poll and server.status is not ServerStatus.OFF:
        make_silent(work)
        server = work.existing()
    if server.status is ServerStatus.OFF:  # that is what keeps its gateway silent
        raise Refused(
            f"server {server.name} ({server.id}) was to succeed that of {work.name}, and is off: "
            "what it was told cannot be copied",
            f"get what you need from its disk (the cloud's rescue system); then fleet apply --no-backup {work.name}",
        )
    _keep_fork(work)


def _keep_fork(work: Work) -> None:
    server = work.existing()
    settings = work.declared().backup if work.spec is not None else work.fleet.backup
    try:
        backup = backups.make_last(work, shelf_of(settings, work.fleet, work.ports), settings, Purpose.FORK)
    finally:
        work.hang_up()
    work.note("fork-kept", durable=True, backup=backup.id, version=backup.version, server=server.id)


def keep_if_started(work: Work) -> None:
    """Of a server that goes, and whose gateway was silenced: somebody may have started that since, and told it more.

    Its label says so before it is silenced again, until it is copied. A host that does not answer, or is off, tells
    nobody anything. Raises HostError, VaultError, SecretError, Refused; not where its memory is given up.
    """
    work.hang_up()
    server = reread(work)
    if server is None:
        return
    is_running: bool | None = None
    if server.status is not ServerStatus.OFF:
        with suppress(HostError):
            is_running = work.look().gateway.is_running
    if not (is_running or server.knows_more):
        return
    if server.is_retired and not server.knows_more:
        set_label(work, {RETIRED: f"{server.heir}.{TOLD}"})
    try:
        if is_running is None:
            raise Refused(
                f"the old server {server.name} ({server.id}) of {work.name} was told something after it was handed "
                "over, and that cannot be copied: it is off, or its host does not answer",
                f"switch it on, or see what keeps it silent, and apply again; or give that up: --no-backup {work.name}",
            )
        silence(work)
        _keep_fork(work)
    except (HostError, VaultError, SecretError, Refused) as error:
        if not work.asked.without_copy:
            raise
        work.note("memory-given-up", durable=True, server=server.id, error=work.quoted(error.summary))
    if server.is_retired:
        set_label(work, {RETIRED: str(server.heir)})


def set_label(work: Work, labels: dict[str, str]) -> None:
    server = present(work)
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, {**server.labels, **labels}))
