"""How often it was tried to bring a child back, as labels of its server: there the next runner sees it.

Two limits. Of each rung two tries in a day: what has not lasted twice does not last. And two ends without warning in
five minutes: with a third the gateway holds back its channels (facts on real gateways, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from reconciler.ids import ID_FORMAT, moment_of
from reconciler.model import LABEL_PREFIX, Rung, Server, ServerStatus
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.work import Work

TRIES: Final = 2
DAY: Final = timedelta(days=1)
KILLS: Final = 2
BREAKER: Final = timedelta(minutes=5)
TRIED: Final = LABEL_PREFIX + "tried-"  # and the rung: when it was, the last few times
KILLED: Final = LABEL_PREFIX + "killed"
KEPT: Final = 3  # moments; a label's value holds 63 characters
_STOPPING: Final = frozenset(
    {Rung.RESTART, Rung.CONFIG, Rung.DISK, Rung.PORT, Rung.DOCTOR, Rung.REINSTALL, Rung.CHECKPOINT, Rung.REBOOT}
)


def tries_of(server: Server, now: datetime) -> Mapping[Rung, int]:
    """How often each rung was tried within a day of `now`; too often where nobody can read its label."""
    found = dict[Rung, int]()
    for rung in Rung:
        text = server.labels.get(TRIED + rung)
        if text is not None:
            times = moments(text)
            number = TRIES if None in times else sum(at is not None and now - at < DAY for at in times)
            found |= {rung: number} if number else {}
    return found


def spent(server: Server | None, now: datetime) -> frozenset[Rung]:
    """What is not tried again in this day."""
    return frozenset() if server is None else frozenset(it for it, n in tries_of(server, now).items() if n >= TRIES)


def ensure_noted(work: Work) -> bool:
    """The try is counted before it is made; one that may end the gateway without warning waits until that is harmless.

    Raises CloudError, Refused.
    """
    rung = work.asked.rung
    if rung is None or work.is_counted:
        return False
    server, clock = present(work), work.ports.clock
    killed = moments(server.labels.get(KILLED, ""))
    labels = dict(server.labels)
    if _may_kill(work):
        while len(recent := sorted(it for it in killed if it and _is_recent(it, clock.now()))) >= KILLS:
            work.note("waits-for-breaker", rung=rung)
            clock.sleep((recent[-KILLS] + BREAKER - clock.now()).total_seconds() + 1)
        labels[KILLED] = _text(*recent[1 - KILLS :], clock.now())
    tried = (it for it in moments(server.labels.get(TRIED + rung, "")) if it is not None and it <= clock.now())
    labels[TRIED + rung] = _text(*tried, clock.now())
    work.note("rung-intended", durable=True, rung=rung)
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))
    work.is_counted = True
    return True


def moments(text: str) -> list[datetime | None]:
    """Those in a label; None for what is none."""
    return [moment_of(part) for part in text.split("-")] if text else []


def labels_of_tries(server: Server | None) -> dict[str, str]:
    """For another server that takes its place: what was tried for the child was."""
    labels = server.labels if server is not None else {}
    return {name: value for name, value in labels.items() if name.startswith(TRIED) or name == KILLED}


def _is_recent(at: datetime, now: datetime) -> bool:
    """What another clock has put into the future is not waited for."""
    return at <= now and now - at < BREAKER


def _may_kill(work: Work) -> bool:
    """A gateway that answers nobody may not end when it is told to; then systemd kills it."""
    if work.existing().status is ServerStatus.OFF:
        return False
    if work.asked.rung is Rung.RESET:
        return True
    gateway = work.facts.gateway if work.facts is not None else None
    return work.asked.rung in _STOPPING and (gateway is None or (gateway.is_running and gateway.ready is None))


def _text(*times: datetime) -> str:
    return "-".join(f"{at:{ID_FORMAT}}" for at in times[-KEPT:])
