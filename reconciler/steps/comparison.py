"""Compares the three legs of one child: wanted, applied, live. Pure."""

from __future__ import annotations

from reconciler.diff import changes, digest
from reconciler.managed import MANAGED, Managed
from reconciler.model import LABEL_PREFIX, Change, Child, ChildSpec, Server

# Whether the gateway runs is a matter of start and stop, not of something written.
_RUNNING = "gateway"


def differences(child: Child) -> tuple[Change, ...]:
    """Every managed path whose live value is not the wanted one, each marked as a change or as drift."""
    if child.facts is None:
        return ()
    on_host = (change for entry in MANAGED for change in _entry_changes(child, entry))
    return (*_label_changes(child), *on_host)


def wanted_labels(spec: ChildSpec, server: Server) -> dict[str, str]:
    """Our labels and the declared ones over whatever else is there: labels that are not ours survive."""
    labels = {**server.labels, **spec.labels, LABEL_PREFIX + "ready": "true"}
    labels.pop(LABEL_PREFIX + "protect", None)
    return labels | ({LABEL_PREFIX + "protect": "true"} if spec.protect else {})


def fixed_at_creation(child: Child) -> tuple[Change, ...]:
    """What the file says otherwise now and only a new server could have: region, server type, image."""
    if child.spec is None or child.server is None:
        return ()
    server, spec = child.server, child.spec
    pairs = (
        ("region", server.region, spec.regions),
        ("server_type", server.server_type, spec.server_types),
        ("image", server.image, (spec.image,)),
    )
    # An image that the cloud no longer knows by name is no news about the file.
    return tuple(Change(path, had, wants[0]) for path, had, wants in pairs if had is not None and had not in wants)


def _label_changes(child: Child) -> tuple[Change, ...]:
    if child.spec is None or child.server is None:
        return ()
    now, wanted = dict(child.server.labels), wanted_labels(child.spec, child.server)
    return tuple(
        Change(f"labels.{name}", now.get(name), wanted.get(name))
        for name in sorted({*now, *wanted})
        if now.get(name) != wanted.get(name)
    )


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
