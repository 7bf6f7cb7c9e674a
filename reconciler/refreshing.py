"""Rebuilds the records in state/ from the live hosts: they can be lost, and nothing else is changed for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model import Child, Fleet, Record
from reconciler.observe import observe
from reconciler.ports import Ports


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of the records: rebuilt from a live host, left as they were (and why), forgotten without a server."""

    rebuilt: tuple[str, ...]
    kept: dict[str, str]
    forgotten: tuple[str, ...]


def refresh(fleet: Fleet, ports: Ports, names: Iterable[str] | None = None) -> Refreshed:
    """Of the named children, or of all. The caller holds the lock. Raises CloudError, SecretError."""
    seen = observe(fleet, ports, names).children
    store, rebuilt, kept = ports.store, [], {}
    gone = [name for name, child in seen.items() if child.server is None]
    if names is None:
        gone += [name for name in store.records() if name not in seen]
    gone = [name for name in gone if name in store.records()]
    for name, child in seen.items():
        record = _record(child)
        if record is not None:
            store.save(record)
            rebuilt.append(name)
        elif child.server is not None:
            kept[name] = child.silence_detail or "no apply has finished on it"
    for name in gone:
        store.forget(name)
    return Refreshed(tuple(rebuilt), kept, tuple(sorted(gone)))


def _record(child: Child) -> Record | None:
    """What the host itself says of its last apply; None when it says nothing."""
    applied = child.facts.applied if child.facts else None
    if child.server is None or applied is None or not applied.is_finished:
        return None
    return Record(
        child=child.name,
        server_id=child.server.id,
        address=child.server.address,
        created=child.server.created.isoformat(timespec="seconds"),
        version=applied.version or (child.spec.version if child.spec else ""),
        bot=applied.bot,
        spec_digest=applied.spec_digest,
        outcome="done",
        at=applied.at,
    )
