"""What every step that changes a server at the cloud goes through: is it still the one that was planned, is it free.

Must not change anything itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from reconciler.errors import NotFound, Refused, ResourceLocked
from reconciler.model import Server
from reconciler.steps.work import Work

LOCK_PATIENCE: Final = 120.0  # seconds; a firewall's selector locks a new server for some of them
LOCK_PAUSE: Final = 2.0

Answer = TypeVar("Answer")
Identity = tuple[str | None, ...]


def identity(server: Server) -> Identity:
    """What must be as the plan saw it before anything is changed or deleted."""
    return (server.name, server.label("fleet-id"), server.child, server.uid)


def reread(work: Work, *also: Identity) -> Server | None:
    """The child's server as it is now, None when it is gone. Refused when it is neither the planned one nor `also`."""
    planned = work.existing()
    now = work.ports.cloud.server(planned.id)
    if now is not None and identity(now) not in (identity(planned), *also):
        raise Refused(
            f"server {planned.id} is no longer what the plan saw ({now.name}, child {now.child})",
            "run `fleet plan` again and look at it in the cloud's console",
        )
    return now


def deletable(work: Work) -> Server | None:
    """The same, where it is to be deleted: no plan deletes a protected one, so it was protected since, and is kept."""
    now = reread(work)
    if now is not None and now.is_protected:
        raise Refused(
            f"server {now.name} ({now.id}) was protected after the plan was made, so it is not deleted",
            "find out who has put the label on it, then run `fleet plan` again",
        )
    return now


def present(work: Work, *also: Identity) -> Server:
    """The same, where it must still be there. Raises Refused, NotFound."""
    now = reread(work, *also)
    if now is None:
        raise NotFound(f"server {work.existing().id} of {work.name} is gone", "run `fleet plan` again")
    return now


def when_unlocked(work: Work, request: Callable[[], Answer]) -> Answer:
    """The answer of a request, sent again while another action runs on the server: the cloud runs one at a time."""
    clock = work.ports.clock
    deadline = clock.monotonic() + LOCK_PATIENCE
    while True:
        try:
            return request()
        except ResourceLocked:
            if clock.monotonic() >= deadline:
                raise
        clock.sleep(LOCK_PAUSE)
