"""What several actions ask of a child. Pure."""

from __future__ import annotations

from reconciler.model import Child, Situation


def has_expired(child: Child, situation: Situation) -> bool:
    """Its time in the file has come."""
    return child.spec is not None and child.spec.expires is not None and child.spec.expires <= situation.now


def shall_go(child: Child, situation: Situation) -> bool:
    """Nobody wants its server any more. Protection wins over an expiry; what is gone from the file has no spec."""
    return child.spec is None or (has_expired(child, situation) and not child.spec.protect)


def shall_run(child: Child, situation: Situation) -> bool:
    """Declared, switched on, and its time has not come."""
    return child.spec is not None and child.spec.enabled and not shall_go(child, situation)
