"""A server's power: on; off, gently first; and pulled only when it does not listen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from reconciler.errors import HostError
from reconciler.model import Server, ServerStatus
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.work import Work

POWER_TIMEOUT: Final = 120.0  # seconds for an action that switches
BOOT_PATIENCE: Final = 300.0  # seconds from the button to a host that answers; systemd gives a unit 90 to stop
OFF_PATIENCE: Final = 120.0  # seconds from the power button to OFF; systemd gives a unit 90 to stop
_PAUSES: Final = (2.0, 10.0)  # between looks, from and to


def ensure_powered(work: Work) -> bool:
    """The server runs."""
    server = work.existing()
    if server.status is not ServerStatus.OFF:
        return False
    cloud = work.ports.cloud
    cloud.wait(when_unlocked(work, lambda: cloud.power_on(server.id)), POWER_TIMEOUT)
    work.server = replace(server, status=ServerStatus.RUNNING)
    return True


def ensure_rebooted(work: Work) -> bool:
    """Its server has booted anew, where a person wants that; what ran on it was told to end, and the host answers."""
    if not work.asked.reboots:
        return False
    if work.booted_before is None:
        work.look()
    boot_anew(work, work.ports.cloud.reboot, "reboot-intended")
    work.asked.reboots = False
    return True


def boot_anew(work: Work, switch: Callable[[int], Sequence[int]], event: str) -> None:
    """By this power switch, and until its host answers in another boot than the one it was in, as far as that is known.

    Where the button was pressed before, and what came of that was not heard, it is only waited for. Raises HostError.
    """
    server, clock = work.existing(), work.ports.clock
    if work.booted_before is None:
        before = _boot_id(work)
        work.note(event, durable=True, server=server.id, name=server.name)
        work.hang_up()
        pressed = when_unlocked(work, lambda: switch(server.id))
        work.booted_before = before
        work.ports.cloud.wait(pressed, POWER_TIMEOUT)
    deadline = clock.monotonic() + BOOT_PATIENCE
    while not has_booted(work, work.booted_before):
        if clock.monotonic() > deadline:
            raise HostError(
                f"it has not booted anew in {BOOT_PATIENCE:.0f} s",
                f"fleet status {work.name} says whether it answers; its console at the cloud says more",
            )
        clock.sleep(_PAUSES[0])
    work.booted_before = None


def _boot_id(work: Work) -> str:
    """Empty where it does not say: then any answer is one of after it."""
    try:
        return work.look().boot_id
    except HostError:
        return ""


def has_booted(work: Work, before: str) -> bool:
    """Its host answers, and not in the boot of this id. Never raises HostError."""
    try:
        return work.look().boot_id != before
    except HostError:  # whatever it says while it goes down and comes up
        work.hang_up()
        return False


def ensure_off(work: Work) -> bool:
    """The server is off, and what ran on it was told to end. It keeps its disk, its addresses and its price."""
    server = work.server = present(work)
    if server.status is ServerStatus.OFF:
        return False
    work.note("stop-intended", durable=True, server=server.id, name=server.name)
    power_down(work, server)
    return True


def power_down(work: Work, server: Server) -> None:
    """Press the power button, wait, and only then pull the plug. `work.server` is OFF afterwards."""
    cloud = work.ports.cloud
    work.hang_up()
    cloud.wait(when_unlocked(work, lambda: cloud.shutdown(server.id)), POWER_TIMEOUT)
    if not _goes_off(work, server.id):
        work.note("power-off-intended", durable=True, server=server.id)
        cloud.wait(when_unlocked(work, lambda: cloud.power_off(server.id)), POWER_TIMEOUT)
    work.server = replace(server, status=ServerStatus.OFF)


def _goes_off(work: Work, server_id: int) -> bool:
    """Whether it does within OFF_PATIENCE; the action's own success only says that the button was pressed."""
    clock = work.ports.clock
    deadline = clock.monotonic() + OFF_PATIENCE
    pause, longest = _PAUSES
    while clock.monotonic() < deadline:
        clock.sleep(pause)
        now = work.ports.cloud.server(server_id)
        if now is None or now.status is ServerStatus.OFF:
            return True
        pause = min(1.5 * pause, longest)
    return False
