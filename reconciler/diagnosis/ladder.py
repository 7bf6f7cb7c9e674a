"""Which rungs there are for a cause, the lowest first. Pure.

A rung is there where it can mend the cause, and where it does no harm if it does not. Of what only a person can mend (a
token that was revoked, a provider that refuses its key, a stranger that answers at its address) nothing is tried.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from reconciler.model import Cause, Diagnosis, Ladder, Rung

# Of a gateway that was started, and is not well: what it reads, what it has, where it is.
_GATEWAY: Final = (Rung.DOCTOR, Rung.REINSTALL, Rung.CHECKPOINT, Rung.REBOOT, Rung.REBUILD)
_HOST: Final = (Rung.REBOOT, Rung.RESET, Rung.REBUILD)
_PUT_BACK: Final = (Rung.REINSTALL, Rung.REBUILD)

RUNGS_OF: Final[Mapping[Cause, tuple[Rung, ...]]] = {
    Cause.SERVER_OFF: (Rung.RESTART,),
    Cause.HOST_SILENT: _HOST,
    Cause.SSH_REFUSED: _HOST,
    Cause.HOST_BROKEN: _HOST,
    Cause.LOGIN_REFUSED: (Rung.REBUILD,),
    Cause.DISK_FULL: (Rung.DISK,),
    Cause.INODES_GONE: (Rung.DISK,),
    Cause.OUT_OF_MEMORY: (Rung.RESTART,),
    Cause.MEMORY_SHORT: (Rung.RESTART, Rung.REBOOT),
    Cause.NODE_BROKEN: _PUT_BACK,
    Cause.RELEASE_BROKEN: _PUT_BACK,
    Cause.SECRET_MISSING: _PUT_BACK,
    Cause.UNIT_CHANGED: _PUT_BACK,
    Cause.OPEN_TO_OTHERS: (Rung.REINSTALL,),
    Cause.CONFIG_REFUSED: (Rung.CONFIG, Rung.DOCTOR, Rung.REINSTALL, Rung.CHECKPOINT, Rung.REBUILD),
    Cause.REFUSES_TO_START: (Rung.CONFIG, *_GATEWAY),
    Cause.PORT_TAKEN: (Rung.PORT, Rung.REBOOT),
    Cause.SECOND_GATEWAY: (Rung.PORT, Rung.REBOOT),
    Cause.STATE_NEWER: (Rung.CHECKPOINT,),
    Cause.STOPPED: (Rung.RESTART, *_GATEWAY),
    Cause.KEEPS_ENDING: (Rung.RESTART, *_GATEWAY),
    Cause.GATEWAY_SILENT: (Rung.RESTART, Rung.DOCTOR, Rung.REINSTALL, Rung.CHECKPOINT, *_HOST),
    Cause.NOT_READY: (Rung.RESTART, *_GATEWAY),
    Cause.OLD_PROCESS: (Rung.RESTART, Rung.REINSTALL),
    Cause.TOKEN_REFUSED: (Rung.RESTART, Rung.REINSTALL),
    Cause.CHANNELS_SUPPRESSED: (Rung.CHANNEL, Rung.RESTART),
    Cause.TELEGRAM_SILENT: (Rung.CHANNEL, Rung.RESTART),
    Cause.POLLER_STUCK: (Rung.CHANNEL, Rung.RESTART, Rung.REBOOT),
    Cause.NO_REPLY: (Rung.RESTART,),
}
RUNGS: Final = tuple(Rung)
BOOTING: Final = frozenset(_HOST)
# Where a host is silent, it may be our own network: then one child is tried before the next.
SILENT: Final = frozenset({Cause.HOST_SILENT, Cause.SSH_REFUSED})


def ladder(found: Diagnosis, up_to: Rung, tried: Collection[Rung] = (), spent: Collection[Rung] = ()) -> Ladder:
    """What there is left to try for this child: what was `tried` in this run is not, and what is `spent` neither."""
    if found.cause is None:
        return Ladder(found.child, found, ())
    highest = RUNGS.index(up_to)
    left = [it for it in RUNGS_OF.get(found.cause, ()) if it not in tried and RUNGS.index(it) <= highest]
    due, over = (tuple(it for it in left if (it in spent) is is_spent) for is_spent in (False, True))
    return Ladder(found.child, found, due, over)
