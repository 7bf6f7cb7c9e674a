"""What several actions ask of a child. Pure."""

from __future__ import annotations

from reconciler.model import Child, ServerStatus, Silence, Situation
from reconciler.steps.comparison import has_other_networks


def has_expired(child: Child, situation: Situation) -> bool:
    """Its time in the file has come."""
    return child.spec is not None and child.spec.expires is not None and child.spec.expires <= situation.now


def shall_go(child: Child, situation: Situation) -> bool:
    """Nobody wants its server any more, or one for it. What is gone from the file has no spec.

    Protection wins over an expiry as long as there is a server to protect: none is made for whose time is over.
    """
    return child.spec is None or (has_expired(child, situation) and not is_protected(child))


def is_asleep(child: Child) -> bool:
    """It shall have no server until a person wakes it."""
    return child.asleep is not None and not child.asleep.is_waking


def shall_run(child: Child, situation: Situation) -> bool:
    """Declared, switched on and awake, and its time has not come."""
    if child.spec is None or is_asleep(child):
        return False
    return child.spec.enabled and not shall_go(child, situation)


def is_off(child: Child) -> bool:
    """It has a server, and nobody can look at its host now."""
    return child.server is not None and child.server.status is ServerStatus.OFF


def is_locked_out(child: Child) -> bool:
    """It does not answer, and its firewall at the cloud, which may be why, is not the file's or was never proven."""
    return child.silence in (Silence.TIMED_OUT, Silence.REFUSED) and has_other_networks(child)


def is_protected(child: Child) -> bool:
    """Its server is kept, whatever else is asked.

    The label outlives `protect: true` in the file: it holds until an apply has taken it away, so that giving up a
    server is two decisions of a person and never one.
    """
    if child.server is None:
        return False
    return child.server.is_protected or (child.spec is not None and child.spec.protect)
