"""Compares the three legs of one child: wanted, applied, live. Pure."""

from __future__ import annotations

from reconciler.diff import changes, digest
from reconciler.managed import MANAGED, Managed
from reconciler.model import Change, Child

# Whether the gateway runs is a matter of start and stop, not of something written.
_RUNNING = "gateway"


def differences(child: Child) -> tuple[Change, ...]:
    """Every managed path whose live value is not the wanted one, each marked as a change or as drift."""
    if child.facts is None:
        return ()
    return tuple(change for entry in MANAGED for change in _entry_changes(child, entry))


def _entry_changes(child: Child, entry: Managed) -> tuple[Change, ...]:
    assert child.facts is not None
    live, wanted = child.facts.managed.get(entry.name), child.wanted.get(entry.name)
    if entry.name == _RUNNING and isinstance(live, dict) and isinstance(wanted, dict):
        live, wanted = {"enabled": live.get("enabled")}, {"enabled": wanted.get("enabled")}
    if live == wanted:
        return ()
    drift = _is_drift(child, entry, wanted_digest=digest(child.wanted.get(entry.name)))
    return changes(entry.name, live, wanted, secret=entry.secret, drift=drift)


def _is_drift(child: Child, entry: Managed, wanted_digest: str) -> bool:
    """Applied as wanted, and now it is something else: somebody changed it on the host."""
    applied = child.facts.applied if child.facts else None
    return applied is not None and applied.digests.get(entry.name) == wanted_digest
