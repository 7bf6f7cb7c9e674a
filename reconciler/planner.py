"""plan(fleet, children, catalog, now) -> Plan. Pure: the same world gives the same plan, and nothing here acts.

Guards come first (protection, silence, a server in transition, capacity); then the first action module with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.actions import ACTIONS
from reconciler.model import (
    SETTLED,
    Action,
    Catalog,
    Child,
    Diagnostic,
    Fleet,
    Kind,
    Plan,
    ReasonCode,
    Severity,
    Sync,
)


def plan(fleet: Fleet, children: Mapping[str, Child], catalog: Catalog | None, now: datetime) -> Plan:
    """Which actions each child needs and why, in waves and within a wave by name."""
    actions: list[Action] = []
    diagnostics: list[Diagnostic] = []
    sync: dict[str, Sync] = {}
    for name, child in sorted(children.items()):
        obstacle = _obstacle(child)
        action = None if obstacle else _action(child)
        if action and action.kind is Kind.CREATE and child.server is None:
            obstacle = _cannot_be_had(child, catalog)
        if obstacle:
            diagnostics.append(obstacle)
        elif action:
            actions.append(action)
        sync[name] = _sync(child, action)
    ordered = tuple(sorted(actions, key=lambda action: (action.wave, action.child)))
    return Plan(fleet.name, ordered, tuple(diagnostics), sync, now)


def _action(child: Child) -> Action | None:
    for module in ACTIONS:
        reason = module.reason(child)
        if reason is not None:
            return Action(module.KIND, child.name, reason, module.WAVE)
    return None


def _obstacle(child: Child) -> Diagnostic | None:
    if child.spec is None and child.server is not None and child.server.label("protect"):
        return Diagnostic(
            Severity.ERROR,
            f"{child.name} is protected and no longer in the fleet file: its server is not deleted",
            "put it back with `protect: false`, apply, and remove it then",
            address=child.name,
        )
    if child.spec is None or child.server is None:
        return None
    if child.server.status not in SETTLED:
        return Diagnostic(
            Severity.WARNING,
            f"{child.name}: its server is {child.server.status}; nothing is planned until that has ended",
            "run the plan again in a minute",
            address=child.name,
        )
    if child.silence is not None:
        return Diagnostic(
            Severity.WARNING,
            f"{child.name} does not answer ({child.silence}): nothing is planned for it",
            child.silence_detail,
            address=child.name,
        )
    return None


def _cannot_be_had(child: Child, catalog: Catalog | None) -> Diagnostic | None:
    """What the cloud would refuse anyway, said before anything is touched."""
    if child.spec is None or catalog is None:
        return None
    wanted = catalog.types.get(child.spec.server_type)
    if wanted is not None and wanted.regions.get(child.spec.region) and child.spec.image in catalog.images:
        return None
    if child.spec.image not in catalog.images:
        problem = f"there is no image {child.spec.image}"
        had = f"images: {', '.join(sorted(catalog.images))}"
    else:
        problem = f"server type {child.spec.server_type} cannot be had in {child.spec.region} now"
        had = f"to be had there: {_available(catalog, child.spec.region) or 'nothing'}"
    return Diagnostic(Severity.ERROR, f"{child.name}: {problem}", had, address=child.name, line=child.spec.line)


def _available(catalog: Catalog, region: str) -> str:
    types = sorted(catalog.types.values(), key=lambda kind: (float(kind.monthly.get(region, "inf")), kind.name))
    return ", ".join(kind.name for kind in types if kind.regions.get(region))


def _sync(child: Child, action: Action | None) -> Sync:
    if child.spec is None:
        return Sync.UNDECLARED
    if child.silence is not None:
        return Sync.UNKNOWN
    if child.server is not None and child.server.status not in SETTLED:
        return Sync.PROGRESSING
    if action is None:
        return Sync.IN_SYNC
    drifted = action.reason.code in (ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE)
    return Sync.DRIFTED if drifted else Sync.PENDING
