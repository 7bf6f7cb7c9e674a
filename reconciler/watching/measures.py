"""What a watch counts of a child, whatever anybody thinks of it: for curves. Pure."""

from __future__ import annotations

from typing import Final

from reconciler.model import Examination, HostFacts, Measures
from reconciler.watching.case import Watched

_MEBIBYTE: Final = 1 << 20


def measures_of(it: Watched) -> Measures:
    spec, server, gateway = it.case.child.spec, it.case.child.server, it.gateway
    host, examined = it.facts, it.examined
    runs = gateway.is_running
    return Measures(
        group=(spec.group if spec else None) or "",
        region=server.region if server else "",
        server_type=server.server_type if server else "",
        version=(gateway.version if runs else None) or "",
        disk_free=_disk(host, examined),
        memory_free=host.memory_free_mb * _MEBIBYTE if host else None,
        load=examined.load if examined else None,
        skew=examined.skew if examined else None,
        up_for=examined.up_for if examined and runs else None,
        restarts=gateway.restarts if host else None,
        errors=gateway.errors,
        spent=gateway.spent,
        activity=gateway.channel_activity,
        inbound=examined.inbound if examined else None,
        outbound=examined.outbound if examined else None,
        backup=it.backup_at.timestamp() if it.backup_at else None,
        proven=it.proven_at.timestamp() if it.proven_at else None,
    )


def _disk(host: HostFacts | None, examined: Examination | None) -> int | None:
    """Where the gateway's state is, else of the whole machine."""
    near = examined.disk_free_mb if examined else None
    found = near if near is not None else host.disk_free_mb if host else None
    return None if found is None else found * _MEBIBYTE
