"""What a host is asked: all that an apply has to know in one trip, and for who watches more than that."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from reconciler import commands, keys
from reconciler.answers import examination_of, parse_answer
from reconciler.diff import digest
from reconciler.managed import files, looks
from reconciler.model import ChildSpec, Command, Examination, HostFacts, Json
from reconciler.ports import Host, Ports

# What is wanted of these nobody knows who has not resolved them.
RESOLVED: Final = ("bot token", "model key")
UNRESOLVED: Final[Json] = {"hmac": "as it was applied"}  # and it is another by now
_SECRETS: Final = (files.GATEWAY_TOKEN_PATH, files.TELEGRAM_TOKEN_PATH, files.MODEL_KEY_PATH)


def probe(host: Host, uid: str, ports: Ports, spec: ChildSpec | None = None) -> HostFacts:
    """All facts of one host in one trip: of a declared child also what only its spec names. Raises HostError."""
    return parse_answer(host.run(commands.run_probe(_request(uid, ports, spec))).stdout)


def watch(host: Host, uid: str, ports: Ports, spec: ChildSpec | None) -> tuple[HostFacts, Examination | None]:
    """The same and a closer look, in one trip; None where that has failed. Raises HostError."""
    began = ports.clock.now()
    printed, _, closer = host.run(commands.watch(_request(uid, ports, spec), closer_look())).stdout.partition(b"\n")
    facts = parse_answer(printed)
    skew = _skew(facts.clock, began, ports.clock.now())
    return facts, examination_of(closer, skew) if closer.strip() else None


def closer_look() -> Command:
    """The command that `examination_of` reads."""
    return commands.examine(
        files.PORT, files.UNIT, files.SERVICE_USER, files.HOME, f"{files.NODE_DIRECTORY}/bin/node", _SECRETS,
        files.GATEWAY_TOKEN_PATH, files.CONFIG_PATH,
    )  # fmt: skip


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
    return {
        "root": "/",
        "digest_key": keys.digest_key(ports.fleet_key, uid).reveal(),
        "looks": looks(spec),
        "gateway": {
            "port": files.PORT,
            "token_path": files.GATEWAY_TOKEN_PATH,
            "unit": files.UNIT,
            "started_path": files.STARTED_PATH,
            "log_path": files.LOG_PATH,
            "spent": spec is not None and spec.model.spend_limit is not None,
        },
        "applied_path": files.APPLIED_PATH,
        "bot_token_path": files.TELEGRAM_TOKEN_PATH,
        "notes": files.NOTES,
        "releases": files.RELEASES,
    }
