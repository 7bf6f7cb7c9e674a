"""What a simulated host says when it is asked closely."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from reconciler.sandbox.simulated.calls import Call
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.probe import probe

LONG_AGO = 3600.0


def examine(host: SimulatedHost, call: Call) -> bytes:
    """`host.closer` holds what a test wants to be said instead."""
    wanted = json.loads(call.stdin)
    run, gateway = host.systemd.state(wanted["unit"]), host.gateway
    is_up = run.active == "active"
    node = wanted["node"].rpartition("/bin/")[0]
    heard = gateway.heard if is_up else {}
    said: dict[str, Any] = {
        "first_boot": "done",
        "inodes_free": 1_000_000,
        "disk_free_mb": 30_000,
        "node": f"v{node.rpartition('-')[2]}" if f"{node}/bin/node" in host.files else "",
        "lacking_secrets": [path for path in wanted["secrets"] if _lacks(host, path, wanted["user"])],
        "listeners": [{"pid": run.main_pid, "name": "openclaw-gateway", "is_ours": True}] if is_up else [],
        "strays": [],
        "up_for": LONG_AGO if is_up else None,
        "clock": host.now(),
        "probe_problem": "",
        "inbound": _seconds(heard.get("lastInboundAt")),
        "outbound": _seconds(heard.get("lastOutboundAt")),
        "load": 0.1,
        "open_ports": [22],
        "killed": 0,
        "reboot_due": False,
        "config_at": _written_at(host, wanted["config"]),
    }
    return json.dumps(said | host.closer).encode()


def _written_at(host: SimulatedHost, path: str) -> float | None:
    """When somebody saw that its content is another; what was there at the first look is older than its gateway."""
    if path not in host.files:
        return None
    content = host.files[path].content
    seen = host.seen.get(path)
    if seen is None or seen[0] != content:
        seen = host.seen[path] = content, host.now() - (2 * LONG_AGO if seen is None else 0.0)
    return seen[1]


def watch(host: SimulatedHost, call: Call) -> bytes:
    """What the probe prints, and what the closer look does."""
    program, asked, closer = call.stdin.split(b"\n", 2)
    said = probe(host, replace(call, stdin=b"\n".join((program, asked))))
    return said + b"\n" + examine(host, replace(call, stdin=closer))


def _lacks(host: SimulatedHost, path: str, user: str) -> bool:
    file = host.files.get(path)
    return file is None or not file.content or file.owner.partition(":")[0] != user


def _seconds(milliseconds: Any) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
