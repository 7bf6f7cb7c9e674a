"""The fleet's state as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Final, TypeAlias

from rich.text import Text

from reconciler.checks import judge
from reconciler.model import Child, Finding, Health, Json, Server, Sync, Trial, Verdict
from reconciler.ownership import Owned
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless

STATUS = ("CHILD", "HEALTH", "SYNC", "VERSION", "BOT", "ADDRESS", "FINDING")
PROVEN = "PROVEN"
LIST = ("CHILD", "STATUS", "ID", "TYPE", "REGION", "ADDRESS", "CREATED")
Trials: TypeAlias = Mapping[str, Sequence[Trial]]  # of each child the last and the last proven, the oldest first
NO_TRIALS: Final[Trials] = MappingProxyType({})
COLORS = {Health.HEALTHY: "green", Health.DEGRADED: "yellow", Health.OFFLINE: "red", Health.UNREACHABLE: "red"}


def status_table(children: Mapping[str, Child], sync: Mapping[str, Sync], trials: Trials = NO_TRIALS) -> Sheet:
    """A row per child: both axes, what runs, and the first finding that is not OK.

    Where any of them ever had a drill, also when a restore was last proven.
    """
    rows = tuple(_status_row(child, sync[name]) for name, child in sorted(children.items()))
    if not any(trials.values()):
        return Sheet(STATUS, rows)
    proven = [_proven_cell(trials.get(name, ())) for name in sorted(children)]
    with_proofs = tuple((*row[:-1], cell, row[-1]) for row, cell in zip(rows, proven, strict=True))
    return Sheet((*STATUS[:-1], PROVEN, STATUS[-1]), with_proofs)


def status_json(children: Mapping[str, Child], sync: Mapping[str, Sync], trials: Trials | None = NO_TRIALS) -> Json:
    """Everything a machine wants to know about each child; digests of secrets never.

    `trials` is None where nobody could tell: then nothing is said of drills.
    """
    found = trials or {}
    told = [] if trials is None else ["last_proven", "last_drill"]
    return [
        _child_json(child, sync[name]) | {key: _trials_json(found.get(name, ()))[key] for key in told}
        for name, child in sorted(children.items())
    ]


def server_table(servers: Mapping[str, Owned]) -> Sheet:
    """The cloud's own view, without any SSH: a row for each child, and for each server that is left beside its own."""
    rows = [row for name, found in sorted(servers.items()) for row in _server_rows(name, found)]
    return Sheet(LIST, tuple(rows))


def server_json(servers: Mapping[str, Owned]) -> Json:
    """`beside` is what a replacement that did not end has left."""
    rows = [
        {"child": name, "server": found.server and asdict(found.server), "beside": [*map(asdict, _beside(found))]}
        for name, found in sorted(servers.items())
    ]
    value: Json = json.loads(json.dumps(rows, default=str))
    return value


def _status_row(child: Child, sync: Sync) -> tuple[Text, ...]:
    health, findings = _judged(child, sync)
    gateway = child.facts.gateway if child.facts else None
    return (
        Text(child.name),
        Text(health, style=COLORS[health]) if health else Text(NO_CELL),
        Text(sync),
        _text(gateway.version if gateway else None),
        _text(f"@{bot}" if (bot := _bot(child)) else None),
        _text(child.server.address if child.server else None),
        _text((_first_problem(findings) or _why_pending(child, sync)) if health else _why_off(child)),
    )


def _why_pending(child: Child, sync: Sync) -> str | None:
    """What is due, or held back, only a plan can say."""
    return f"what is due says: fleet plan {child.name}" if sync is Sync.PENDING else None


def _why_off(child: Child) -> str:
    return f"asleep: fleet wake {child.name}" if child.asleep else "switched off, as the fleet file says"


def _beside(found: Owned) -> tuple[Server, ...]:
    return tuple(server for server in found.servers if found.server is None or server.id != found.server.id)


def _server_rows(name: str, found: Owned) -> Iterator[tuple[Text, ...]]:
    if found.server is None:
        yield (Text(name), Text("no server"), *(Text(NO_CELL) for _ in LIST[2:]))
    else:
        yield _server_row(name, found.server, found.server.status)
    for server in _beside(found):
        yield _server_row(name, server, f"{server.status}, left of a replacement")


def _server_row(name: str, server: Server, status: str) -> tuple[Text, ...]:
    created = f"{server.created:%Y-%m-%d %H:%M}"
    cells = (status, str(server.id), server.server_type, server.region, server.address, created)
    return (Text(name), *(_text(cell) for cell in cells))


def _judged(child: Child, sync: Sync) -> tuple[Health | None, tuple[Finding, ...]]:
    """What shall be off has no health."""
    return (None, ()) if sync is Sync.SUSPENDED else judge(child)


def _proven_cell(trials: Sequence[Trial]) -> Text:
    proven = [f"{trial.at:%Y-%m-%d %H:%M} UTC" for trial in trials if trial.is_proven]
    if trials and not trials[-1].is_proven:
        return Text(f"{proven[-1] if proven else 'never'} (last drill failed)", style="red")
    return _text(proven[-1] if proven else None)


def _trials_json(trials: Sequence[Trial]) -> dict[str, Json]:
    proven = [trial for trial in trials if trial.is_proven]
    return {
        "last_proven": _trial_json(proven[-1]) if proven else None,
        "last_drill": _trial_json(trials[-1]) if trials else None,
    }


def _trial_json(trial: Trial) -> Json:
    backup, at = trial.backup or None, trial.at.isoformat(timespec="seconds")
    return {"at": at, "backup": backup, "seconds": trial.seconds, "proven": trial.is_proven}


def _text(value: str | None) -> Text:
    return Text(harmless(value)) if value else Text(NO_CELL)


def _first_problem(findings: tuple[Finding, ...]) -> str | None:
    for finding in findings:
        if finding.verdict in (Verdict.FAILED, Verdict.UNKNOWN):
            return f"{finding.check}: {finding.text}"
    return None


def _bot(child: Child) -> str | None:
    return child.facts.applied.bot if child.facts and child.facts.applied else None


def _child_json(child: Child, sync: Sync) -> dict[str, Json]:
    health, findings = _judged(child, sync)
    facts, server = child.facts, child.server
    gateway = facts.gateway if facts else None
    return {
        "child": child.name,
        "health": health,
        "sync": sync,
        "findings": [{"check": f.check, "verdict": f.verdict, "text": f.text} for f in findings],
        "server": {"id": server.id, "status": server.status, "address": server.address} if server else None,
        "boot_id": facts.boot_id if facts else None,
        "gateway": {
            "version": gateway.version,
            "bot": _bot(child),
            "main_pid": gateway.main_pid,
            "starts": gateway.starts,
            "restarts": gateway.restarts,
        }
        if gateway
        else None,
        "disk_free_mb": facts.disk_free_mb if facts else None,
    }
