"""How often it was tried to bring a child back, as labels of its server: there the next runner sees it.

Two limits. Of each rung two tries in a day: what has not lasted twice does not last. And two ends without warning in
five minutes: with a third the gateway holds back its channels (facts on real gateways, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from reconciler.model import LABEL_PREFIX, Rung, Server, ServerStatus
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.work import Work

TRIES: Final = 2
DAY: Final = timedelta(days=1)
KILLS: Final = 2
BREAKER: Final = timedelta(minutes=5)
TRIED: Final = LABEL_PREFIX + "rungs"
KILLED: Final = LABEL_PREFIX + "killed"
_FORM: Final = "%Y%m%dT%H%M%SZ"  # a label's value holds 63 characters
_LETTERS: Final = MappingProxyType(dict(zip("crfdpoikbxn", Rung, strict=True)))
_TRIED: Final = re.compile(r"(?P<since>[0-9]{8}T[0-9]{6}Z)(?P<rungs>(?:\.[a-z][0-9])+)")
_STOPPING: Final = frozenset(
    {Rung.RESTART, Rung.CONFIG, Rung.DISK, Rung.PORT, Rung.DOCTOR, Rung.REINSTALL, Rung.CHECKPOINT, Rung.REBOOT}
)


def tries_of(server: Server, now: datetime) -> Mapping[Rung, int]:
    """How often each rung was tried in the day that began with the first; too often where nobody can read the label."""
    text = server.labels.get(TRIED)
    if text is None:
        return {}
    found, since = _TRIED.fullmatch(text), _since(text)
    if found is None or since is None:
        return dict.fromkeys(Rung, TRIES)
    if now - since > DAY:
        return {}
    return {_LETTERS[it[0]]: int(it[1]) for it in found["rungs"].split(".")[1:] if it[0] in _LETTERS}


def spent(server: Server | None, now: datetime) -> frozenset[Rung]:
    """What is not tried again in this day."""
    return frozenset() if server is None else frozenset(it for it, n in tries_of(server, now).items() if n >= TRIES)


def ensure_noted(work: Work) -> bool:
    """The try is counted before it is made; one that may end the gateway without warning waits until that is harmless.

    Raises CloudError, Refused.
    """
    rung = work.rung
    if rung is None or work.is_counted:
        return False
    server, clock = present(work), work.ports.clock
    killed = kills_of(server)
    if _may_kill(work):
        while len(recent := [it for it in killed if clock.now() - it < BREAKER]) >= KILLS:
            work.note("waits-for-breaker", rung=rung)
            clock.sleep((recent[-KILLS] + BREAKER - clock.now()).total_seconds() + 1)
        killed = (*recent[1 - KILLS :], clock.now())
    labels = {**server.labels, TRIED: _counted(server, rung, clock.now(), forgets=work.forgets)}
    if killed:
        labels[KILLED] = "-".join(f"{at:{_FORM}}" for at in killed[-KILLS:])
    work.note("rung-intended", durable=True, rung=rung)
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))
    work.is_counted = True
    return True


def kills_of(server: Server) -> tuple[datetime, ...]:
    """When the gateway may have been ended without warning, the last two; what nobody can read is left out."""
    times = (_since(part) for part in server.labels.get(KILLED, "").split("-"))
    return tuple(at for at in times if at is not None)


def labels_of_tries(server: Server | None) -> dict[str, str]:
    """For another server that takes its place: what was tried for the child was."""
    labels = server.labels if server is not None else {}
    return {name: labels[name] for name in (TRIED, KILLED) if name in labels}


def _counted(server: Server, rung: Rung, now: datetime, *, forgets: bool) -> str:
    before = {} if forgets else {**tries_of(server, now)}
    since = _since(server.labels.get(TRIED, "")) if before else None
    before[rung] = min(9, before.get(rung, 0) + 1)
    words = (f"{letter}{before[it]}" for letter, it in _LETTERS.items() if before.get(it))
    return f"{since or now:{_FORM}}." + ".".join(words)


def _may_kill(work: Work) -> bool:
    """A gateway that answers nobody may not end when it is told to; then systemd kills it."""
    if work.existing().status is ServerStatus.OFF:
        return False
    if work.rung is Rung.RESET:
        return True
    gateway = work.facts.gateway if work.facts is not None else None
    return work.rung in _STOPPING and (gateway is None or (gateway.is_running and gateway.ready is None))


def _since(text: str) -> datetime | None:
    try:
        return datetime.strptime(f"{text[:16]}+0000", f"{_FORM}%z")
    except ValueError:
        return None
