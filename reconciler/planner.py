"""plan(fleet, children, catalog, now) -> Plan. Pure: the same world gives the same plan, and nothing here acts.

Guards come first (protection, silence, a server in transition, capacity); then the first action module with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from reconciler import __version__
from reconciler.actions import ACTIONS
from reconciler.model import (
    SETTLED,
    Action,
    Catalog,
    Change,
    Child,
    Diagnostic,
    Fleet,
    Kind,
    Plan,
    ReasonCode,
    Severity,
    Sync,
)
from reconciler.steps.comparison import fixed_at_creation


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
        elif changes := fixed_at_creation(child):
            diagnostics.append(_needs_a_new_server(child, changes))
        if obstacle:
            diagnostics.append(obstacle)
        elif action:
            actions.append(action)
        sync[name] = _sync(child, action, obstacle)
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
            Severity.ERROR,
            f"{child.name} does not answer ({child.silence}): nothing is planned for it",
            child.silence_detail,
            address=child.name,
        )
    if child.facts and child.facts.applied and _is_newer(child.facts.applied.tool):
        return Diagnostic(
            Severity.ERROR,
            f"{child.name} was last applied by version {child.facts.applied.tool} of this tool, which is newer",
            f"nothing is planned for it: this is version {__version__}; install the newer one",
            address=child.name,
        )
    return None


def _is_newer(tool: str) -> bool:
    """Whether a version such as 0.1.0 is higher than ours; what is no version is not."""

    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".") if part.isdigit()]

    return numbers(tool) > numbers(__version__)


def _needs_a_new_server(child: Child, changes: tuple[Change, ...]) -> Diagnostic:
    what = ", ".join(f"{change.path} {json.dumps(change.before)} -> {json.dumps(change.after)}" for change in changes)
    return Diagnostic(
        Severity.ERROR,
        f"{child.name}: {what} cannot be changed on its server",
        "put the old value back; or destroy the child and apply, which makes a new server without its memory",
        address=child.name,
        line=child.spec.line if child.spec else 0,
    )


def _cannot_be_had(child: Child, catalog: Catalog | None) -> Diagnostic | None:
    """What the cloud would refuse anyway, said before anything is touched."""
    if child.spec is None or catalog is None:
        return None
    spec, problem = child.spec, ""
    region, server_type = spec.regions[0], spec.server_types[0]
    if spec.image not in catalog.images:
        problem, had = f"there is no image {spec.image}", f"images: {', '.join(sorted(catalog.images))}"
    elif region not in catalog.regions:
        problem, had = f"there is no region {region}", f"regions: {', '.join(catalog.regions)}"
    elif server_type not in catalog.types:
        problem, had = f"there is no server type {server_type}", _available(catalog, region)
    elif not catalog.types[server_type].regions.get(region):
        problem = f"server type {server_type} cannot be had in {region} now"
        had = _available(catalog, region)
    if not problem:
        return None
    return Diagnostic(Severity.ERROR, f"{child.name}: {problem}", had, address=child.name, line=spec.line)


def _available(catalog: Catalog, region: str) -> str:
    """What can be ordered there, cheapest first."""
    types = sorted(catalog.types.values(), key=lambda kind: (float(kind.monthly.get(region, "inf")), kind.name))
    return "to be had there: " + (", ".join(kind.name for kind in types if kind.regions.get(region)) or "nothing")


def _sync(child: Child, action: Action | None, obstacle: Diagnostic | None) -> Sync:
    if child.spec is None:
        return Sync.UNDECLARED
    if child.silence is not None:
        return Sync.UNKNOWN
    if child.server is not None and child.server.status not in SETTLED:
        return Sync.PROGRESSING
    if action is None and obstacle is not None:
        return Sync.UNKNOWN
    if action is None:
        return Sync.PENDING if fixed_at_creation(child) else Sync.IN_SYNC
    drifted = action.reason.code in (ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE)
    return Sync.DRIFTED if drifted else Sync.PENDING
