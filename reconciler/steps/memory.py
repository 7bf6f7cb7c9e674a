"""What a gateway remembers: a last copy before its server goes, and what it is given before it starts on a new one."""

from __future__ import annotations

from contextlib import suppress

from reconciler import commands, keys
from reconciler.commands.backups import PLACED
from reconciler.errors import HostError, Refused
from reconciler.fleet import former_names
from reconciler.managed import files
from reconciler.model import Purpose, ServerStatus, Sleep
from reconciler.steps import backups
from reconciler.steps.backups import Memory
from reconciler.steps.earlier import keep_earlier
from reconciler.steps.guards import reread
from reconciler.steps.holds import carried, keep_holds, without_hold
from reconciler.steps.server import check_stock
from reconciler.steps.shelf import shelf_of
from reconciler.steps.sleeping import set_sleep
from reconciler.steps.versions import linked
from reconciler.steps.work import CONNECT_TIMEOUT, Work, address_of, uid_of


def ensure_last_copy(work: Work) -> bool:
    """The same as `ensure_copy`, of who is deleted for good."""
    return ensure_copy(work, Purpose.LAST)


def ensure_copy_to_sleep(work: Work) -> bool:
    """The same, of who goes to sleep: it is known by this copy too that nobody shall make it a server without it."""
    return ensure_copy(work, Purpose.SLEEP)


def ensure_copy(work: Work, purpose: Purpose, *, earlier_is_kept: bool = False) -> bool:
    """Its gateway is stopped, and all that it remembers is kept off its host and read back: only then its server goes.

    So is what the host has kept of before, its checkpoints and what was set aside, unless it is already.

    Nothing is copied where no gateway has ever started, or of a server that serves no user; nor where a person has said
    so. Until the server is gone no boot starts the gateway; where it fails it starts again. Raises HostError,
    VaultError, Refused.
    """
    if work.server is None or work.server.is_throwaway or reread(work) is None:
        return False
    if work.asked.without_copy:
        work.note("memory-given-up", durable=True, server=work.server.id)
        return False
    if not may_remember(work):
        return False
    is_stopped = work.keeping.starts_again  # by whoever has silenced it for this
    try:
        host = work.connection()
        work.keeping.starts_again = work.keeping.starts_again or not work.is_first or work.look().gateway.is_running
        if work.facts is not None and work.facts.switch is not None:
            host.run(commands.go_back())  # between two versions its state is in two places
            work.look()
            earlier_is_kept = False  # what it gives up by that is set aside
        declared = work.fleet.children.get(work.name)  # also of one that is destroyed as if the file had it no more
        settings = declared.backup if declared is not None else work.fleet.backup
        shelf = shelf_of(settings, work.fleet, work.ports)
        if not earlier_is_kept:
            keep_earlier(work, shelf, settings)  # while it still answers
        is_stopped = True
        host.run(commands.disable_unit(files.UNIT))
        host.run(commands.stop_unit(files.UNIT))
        work.keeping.last_copy = copy = backups.make_last(work, shelf, settings, purpose)
    except Exception as error:  # whatever it was: its user waits for an answer
        if is_stopped:
            _start(work)
        if work.is_first and isinstance(error, HostError):
            raise _not_copied(work, error) from error
        raise
    work.note("backup-made", durable=True, backup=copy.id, version=copy.version)
    return True


def ensure_still_silent(work: Work) -> bool:
    """Nobody has started its gateway since its last copy was taken: what that was told would go with its server.

    Raises HostError.
    """
    if work.keeping.last_copy is None or not work.look().gateway.is_running:
        return False
    raise HostError(
        f"somebody has started the gateway of {work.name} after its last copy was taken, so its server is kept",
        f"find out who: fleet journal {work.name}, on every machine that applies; then do this once more",
    )


def may_remember(work: Work) -> bool:
    """Whether its server has what nobody else may know. Where no first apply has ended, its host is asked for that.

    Raises Refused where it does not answer, and nothing proves that no gateway has ever started there.
    """
    if work.existing().is_throwaway:
        return False
    if not work.is_first:
        return True
    server = reread(work)
    if server is None or server.is_untouched or server.status is ServerStatus.INITIALIZING:
        return False
    try:
        if work.host is None:  # its first host key may still be the one it has
            address = address_of(server, work.fleet, work.ports, first_boot=True)
            work.host = work.ports.dialer.connect(address, CONNECT_TIMEOUT)
        return work.host.run(commands.find_state()).stdout != b""
    except HostError as error:
        raise _not_copied(work, error) from error


def ensure_not_waking(work: Work) -> bool:
    """Who is deleted in the midst of its waking does not wake, should the file declare a child of its name again."""
    return ensure_awake(work)


def start_again(work: Work) -> None:
    """Of an action that has failed: the gateway that was stopped for its last copy runs, if its server is still there.

    Where the server goes after all, nobody hears it; where the action goes on later, it is stopped and copied again.
    """
    copy = work.keeping.last_copy
    if copy is None or work.server is None or copy.uid != work.server.uid:
        return
    _start(work)


def ensure_movable(work: Work) -> bool:
    """Changes nothing, before its gateway is stopped for nothing. Raises OutOfStock where no new server can be had;

    Refused where its host cannot be asked for its memory, or nobody here could open the copy that it would be given.
    """
    if not work.replacing.spares:
        check_stock(work)
    if work.is_first and not work.asked.without_copy and may_remember(work) and linked(work.look()) is None:
        raise Refused(
            f"{work.name} is not replaced: it has a memory, and no release that could be moved with it",
            "apply without --allow-replace first: that finishes it. Or give its memory up: --no-backup",
        )
    recipient = work.declared().backup.recipient
    if recipient not in (None, keys.backup_recipient(work.ports.fleet_key)) and not work.asked.without_copy:
        sealed = f"the backups of {work.name} are sealed for {recipient}"
        raise Refused(
            f"{sealed}: nobody here could give its memory to another server",
            f"take `backup: key` out of the fleet file until {work.name} has moved; or give its memory up: --no-backup",
        )
    return False


def ensure_memory(work: Work) -> bool:
    """A gateway that has not started on this host yet remembers what it was given. Raises HostError, VaultError.

    What was copied from this very server, on its way to wake (keeper.py), has nothing that is not there already.
    """
    memory = work.keeping.memory
    if memory is None or (memory.backup.uid == uid_of(work.existing()) and not memory.is_named):
        return False
    host, backup = work.connection(), memory.backup
    if host.run(commands.read_file(PLACED)).stdout.decode("utf-8", "replace").strip() == backup.digest:
        return _keep_holds(work, memory)
    work.note("backup-sent", durable=True, backup=backup.id, version=backup.version)
    checkpoint = backups.checkpoint_of(backup, work.facts.checkpoints if work.facts is not None else ())
    backups.send(memory, work, checkpoint)
    host.run(commands.stop_unit(files.UNIT))  # a boot, or an apply that knew of no memory, may have started it
    host.run(commands.place_state(checkpoint, backup.digest))
    work.look()
    _keep_holds(work, memory)
    return True


def _keep_holds(work: Work, memory: Memory) -> bool:
    """Versions that the child was brought back from are not tried again because it has slept, or was made anew."""
    is_its_own = memory.backup.child in (work.name, *former_names(work.fleet, work.name))
    if not is_its_own or work.existing().is_throwaway:
        return False
    return keep_holds(work, carried(work, without_hold(memory.backup.version, memory.held)))


def ensure_asleep(work: Work) -> bool:
    """The fleet knows that nobody shall make this child a server, and from which copy it wakes. Raises CloudError."""
    copy, memory = work.keeping.last_copy, work.keeping.memory
    if copy is not None:
        set_sleep(work, Sleep(copy.id, work.name))
    elif memory is not None:  # it was waking, and no apply has finished on its server
        set_sleep(work, Sleep(memory.backup.id, memory.backup.child))
    elif work.asleep is None:
        raise Refused(f"there is nothing of {work.name} to keep: its server is gone, or serves nobody", "plan again")
    return True


def ensure_awake(work: Work) -> bool:
    """It runs again with its memory, so what it was woken from is of no more use."""
    if work.asleep is None:
        return False
    set_sleep(work, None)
    return True


def _start(work: Work) -> None:
    """The gateway that was stopped and disabled for its last copy runs, also after a boot; none that did not before."""
    if not work.keeping.starts_again:
        return
    with suppress(HostError):
        host = work.connection()
        host.run(commands.enable_unit(files.UNIT))
        host.run(commands.restart_unit(files.UNIT))


def _not_copied(work: Work, error: HostError) -> Refused:
    """Of a server on which no first apply has ended, so no plan could ask its host."""
    return Refused(
        f"no last copy can be taken of what {work.name} may have been told: {error.summary}",
        f"finish it first: fleet apply {work.name}; or give up what it was told since its last backup: "
        f"--no-backup {work.name}",
    )
