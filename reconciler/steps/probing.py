"""What a host is asked: all that an apply has to know in one trip, and for who watches more than that."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from reconciler import commands, keys
from reconciler.answers import examination_of, parse_answer
from reconciler.commands import forced
from reconciler.diff import digest
from reconciler.managed import looks
from reconciler.managed.questions import closer_look, probe_request
from reconciler.model import ChildSpec, Examination, HostFacts, Json
from reconciler.ports import Host, Ports

# What is wanted of these nobody knows who has not resolved them.
RESOLVED: Final = ("bot token", "model key")
UNRESOLVED: Final[Json] = {"hmac": "as it was applied"}  # and it is another by now
# And of these nobody who has not the fleet key.
DERIVED: Final = ("login key", "host key", "host key file", "gateway token", "probe program")


def probe(host: Host, uid: str, ports: Ports, spec: ChildSpec | None = None) -> HostFacts:
    """All facts of one host in one trip: of a declared child also what only its spec names. Raises HostError."""
    return parse_answer(host.run(commands.run_probe(_request(uid, ports, spec))).stdout)


def watch(host: Host, uid: str, ports: Ports, spec: ChildSpec | None) -> tuple[HostFacts, Examination | None]:
    """The same and a closer look, in one trip; None where that has failed. Raises HostError."""
    began = ports.clock.now()
    if keys.is_probe_key(ports.fleet_key):
        question = forced.ask(forced.WATCH)
    else:
        question = commands.watch(_request(uid, ports, spec), closer_look())
    printed, _, closer = host.run(question).stdout.partition(b"\n")
    facts = parse_answer(printed)
    skew = _skew(facts.clock, began, ports.clock.now())
    return facts, examination_of(closer, skew) if closer.strip() else None


def as_applied(name: str, facts: HostFacts) -> Json:
    """A managed thing that nobody knows what is wanted of: as it is, if that is what was applied."""
    live = facts.managed.get(name)
    if facts.applied is None or facts.applied.digests.get(name) in (None, digest(live)):
        return live
    return UNRESOLVED


def _skew(clock: float, began: datetime, ended: datetime) -> float:
    """How far a clock is from ours that was read somewhere between these two."""
    if clock < began.timestamp():
        return clock - began.timestamp()
    return max(0.0, clock - ended.timestamp())


def _request(uid: str, ports: Ports, spec: ChildSpec | None) -> dict[str, Json]:
    with_spending = spec is not None and spec.model.spend_limit is not None
    return probe_request(keys.digest_key(ports.fleet_key, uid), looks(spec), with_spending=with_spending)
