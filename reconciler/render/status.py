"""The fleet's state as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from reconciler.checks import judge
from reconciler.model import Child, Finding, Health, Json, Server, Sync, Verdict
from reconciler.render.text import harmless

COLORS = {Health.HEALTHY: "green", Health.DEGRADED: "yellow", Health.OFFLINE: "red", Health.UNREACHABLE: "red"}


def status_table(children: Mapping[str, Child], sync: Mapping[str, Sync]) -> Table:
    """One line per child: both axes, what runs, and the first finding that is not OK."""
    table = _table("CHILD", "HEALTH", "SYNC", "VERSION", "BOT", "ADDRESS", "FINDING")
    for name, child in sorted(children.items()):
        health, findings = _judged(child, sync[name])
        gateway = child.facts.gateway if child.facts else None
        table.add_row(
            Text(name),
            Text(health, style=COLORS[health]) if health else Text("-"),
            Text(sync[name]),
            _text(gateway.version if gateway else None),
            _text(f"@{bot}" if (bot := _bot(child)) else None),
            _text(child.server.address if child.server else None),
            _text(_first_problem(findings) if health else "switched off, as the fleet file says"),
        )
    return table


def status_json(children: Mapping[str, Child], sync: Mapping[str, Sync]) -> Json:
    """Everything a machine wants to know about each child; digests of secrets never."""
    return [_child_json(child, sync[name]) for name, child in sorted(children.items())]


def server_table(servers: Mapping[str, Server | None]) -> Table:
    """The cloud's own view, without any SSH."""
    table = _table("CHILD", "STATUS", "ID", "TYPE", "REGION", "ADDRESS", "CREATED")
    for name, server in sorted(servers.items()):
        if server is None:
            table.add_row(Text(name), "no server", *["-"] * 5)
            continue
        created = f"{server.created:%Y-%m-%d %H:%M}"
        cells = (server.status, str(server.id), server.server_type, server.region, server.address or "-", created)
        table.add_row(Text(name), *(Text(harmless(cell)) for cell in cells))
    return table


def server_json(servers: Mapping[str, Server | None]) -> Json:
    rows = [{"child": name, "server": server and asdict(server)} for name, server in sorted(servers.items())]
    value: Json = json.loads(json.dumps(rows, default=str))
    return value


def _judged(child: Child, sync: Sync) -> tuple[Health | None, tuple[Finding, ...]]:
    """What shall be off has no health."""
    return (None, ()) if sync is Sync.SUSPENDED else judge(child)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column != "FINDING", overflow="fold")
    return table


def _text(value: str | None) -> Text:
    return Text(harmless(value)) if value else Text("-")


def _first_problem(findings: tuple[Finding, ...]) -> str | None:
    for finding in findings:
        if finding.verdict in (Verdict.FAILED, Verdict.UNKNOWN):
            return f"{finding.check}: {finding.text}"
    return None


def _bot(child: Child) -> str | None:
    return child.facts.applied.bot if child.facts and child.facts.applied else None


def _child_json(child: Child, sync: Sync) -> Json:
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
