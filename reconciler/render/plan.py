"""A plan as text for people and as JSON for machines (schemas/plan.schema.json)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from reconciler.actions import MODULE_OF
from reconciler.model import LATEST, Action, Change, Child, ChildSpec, Diagnostic, Json, Kind, Plan, Server, Severity
from reconciler.planner.money import has_backups_afterwards
from reconciler.render.changes import parts, sides
from reconciler.render.summary import (
    REFUSED,
    WORST_FIRST,
    costs,
    counts,
    in_batches,
    monthly,
    nothing_to_do,
    shared_kind,
    takes,
)
from reconciler.render.text import folded, harmless

Line = tuple[str, str | None]  # the text, and its colour in click's names

FORMAT: Final = 1  # of the JSON; grows when a reader of the old one would go wrong
COLORS: Final[Mapping[Kind, str]] = {
    Kind.CREATE: "green",
    Kind.UPDATE: "yellow",
    Kind.RESIZE: "yellow",
    Kind.START: "yellow",
    Kind.STOP: "yellow",
    Kind.RESTART: "yellow",
    Kind.RESUSCITATE: "yellow",
    Kind.CONFIGURE: "yellow",
    Kind.REPLACE: "red",
    Kind.HIBERNATE: "yellow",
    Kind.DESTROY: "red",
}
SEVERITY_COLORS: Final[Mapping[Severity, str | None]] = {
    Severity.ERROR: "red",
    Severity.REFUSED: "red",
    Severity.WARNING: "yellow",
    Severity.NOTE: None,
}


def plan_lines(plan: Plan, children: Mapping[str, Child], width: int | None = None) -> list[Line]:
    """The lines of a plan, each with its colour or None; folded to `width` columns where it is given."""
    return [(piece, color) for line, color in _lines(plan, children) for piece in folded(line, width)]


def plan_json(plan: Plan) -> dict[str, Json]:
    """The plan for machines, as schemas/plan.schema.json has it. Secrets appear as `secret: true`, without values."""
    return {
        "format": FORMAT,
        "fleet": plan.fleet,
        "at": plan.now.isoformat(),
        "refused": plan.is_refused,
        "actions": [_action_json(action) for action in plan.actions],
        "shared": [_change_json(change) for change in plan.shared],
        "diagnostics": [diagnostic_json(diagnostic) for diagnostic in plan.diagnostics],
        "sync": {name: str(sync) for name, sync in plan.sync.items()},
        "cost": {
            "currency": plan.currency,
            "monthly": plan.monthly,
            "total": plan.total,
            "old_prices": plan.old_prices,
        },
        "requests": plan.requests,
        "quarantined": {version: dict(asdict(hold)) for version, hold in plan.quarantined.items()},
    }


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, Json]:
    return {**asdict(diagnostic), "severity": str(diagnostic.severity)}


def facts(action: Action, child: Child) -> dict[str, str]:
    """By short names, what a new child will be, what its server will be, or which server goes."""
    spec, server = child.spec, child.server
    if action.kind is Kind.CREATE and spec is not None and server is None:
        return _creation_facts(spec, action)
    if action.kind is Kind.REPLACE and spec is not None:
        return {"server": _wanted_server(spec, action)}
    if action.kind is Kind.RESIZE and spec is not None and server is not None:
        where = f"{action.server_type} in {action.region}"
        backups = has_backups_afterwards(action, spec, server)
        return {"server": ", ".join((where, *_extras(ipv4=server.ipv4, backups=backups)))}
    if action.kind in (Kind.HIBERNATE, Kind.DESTROY) and server is not None:
        return {"server": _server_text(server)}
    return {}


def shown_changes(action: Action) -> list[Change]:
    """All but the release's link where one version becomes another: that says the same in more words."""
    is_other = any(change.path == "release.version" and change.before is not None for change in action.reason.changes)
    return [change for change in action.reason.changes if not (is_other and change.path == "release.link")]


def change_lines(change: Change) -> list[str]:
    """One line, or a heading and its entries, indented."""
    where = harmless(change.path)
    if change.secret:
        return [f"{where}: changed"]
    if entries := parts(change):
        return [f"{where}: {entries[0]}", *(f"  {entry}" for entry in entries[1:])]
    return [f"{where}: {' -> '.join(sides(change))}"]


def _lines(plan: Plan, children: Mapping[str, Child]) -> Iterator[Line]:
    width = max((len(action.child) for action in plan.actions), default=0)
    for action in plan.actions:
        yield from _action_lines(action, children[action.child], plan, width)
    if plan.shared:
        kind = shared_kind(plan)
        yield f"{MODULE_OF[kind].SYMBOL:>3} the fleet's firewalls at the cloud", COLORS[kind]
        yield from ((f"      {line}", None) for change in plan.shared for line in change_lines(change))
    if plan.diagnostics and not plan.is_empty:
        yield "", None
    yield from _diagnostic_lines(plan)
    if plan.is_empty:
        yield nothing_to_do(plan), None
        yield costs(plan), None
        return
    yield "", None
    yield f"Plan: {counts(plan)}.", None
    if batches := in_batches(plan):
        yield batches, None
    yield f"{costs(plan)} {takes(plan)}", None
    if plan.is_refused:
        yield REFUSED, "red"


def _action_lines(action: Action, child: Child, plan: Plan, width: int) -> Iterator[Line]:
    symbol, color = MODULE_OF[action.kind].SYMBOL, COLORS[action.kind]
    yield f"{symbol:>3} {action.child:<{width}}  {action.kind}: {harmless(action.reason.text)}", color
    for detail in _details(action, child):
        yield f"      {detail}", None
    cost = monthly(action, plan)
    if cost is not None:
        yield f"      cost     {cost}", None
    for note in action.notes:
        yield f"      note     {harmless(note)}", None


def _details(action: Action, child: Child) -> list[str]:
    told = [f"{name:<8} {harmless(text)}" for name, text in facts(action, child).items()]
    return [*told, *(line for change in shown_changes(action) for line in change_lines(change))]


def _creation_facts(spec: ChildSpec, action: Action) -> dict[str, str]:
    return {
        "server": _wanted_server(spec, action),
        "release": f"OpenClaw {_release(spec)}, {spec.model.provider}/{spec.model.name}",
        "bot": str(spec.bot_token),
        "users": f"{spec.users.policy}, allowed: {', '.join(map(str, spec.users.allowed)) or 'nobody yet'}",
    }


def _server_text(server: Server) -> str:
    where = f"{server.id} ({server.server_type} in {server.region}), {server.address}"
    return f"{where}, since {server.created:%Y-%m-%d}"


def _wanted_server(spec: ChildSpec, action: Action) -> str:
    """What is tried first; the lists that it was taken from where there is a choice."""
    server_type, region = action.server_type or spec.server_types[0], action.region or spec.regions[0]
    extras = _extras(ipv4=spec.ipv4, backups=spec.backups)
    text = ", ".join((f"{server_type} in {region}", spec.image, *extras))
    if len(spec.server_types) == len(spec.regions) == 1:
        return text
    return f"{text}; the first to be had of {', '.join(spec.server_types)} in {', '.join(spec.regions)}"


def _extras(*, ipv4: bool, backups: bool) -> list[str]:
    return [*([] if ipv4 else ["without IPv4"]), *(["with backups"] if backups else [])]


def _release(spec: ChildSpec) -> str:
    """Only the child's own host asks which one is the newest, so no plan knows."""
    return f"{spec.version} (the newest release when it is made)" if spec.version == LATEST else spec.version


def _diagnostic_lines(plan: Plan) -> Iterator[Line]:
    for found in sorted(plan.diagnostics, key=lambda found: WORST_FIRST.index(found.severity)):
        place = f" ({found.file}:{found.line})" if found.file and found.line else ""
        yield harmless(f"{found.severity.capitalize()}: {found.summary}{place}"), SEVERITY_COLORS[found.severity]
        for line in found.detail.splitlines():
            yield f"  {harmless(line)}", None


def _action_json(action: Action) -> dict[str, Json]:
    return {
        "kind": str(action.kind),
        "child": action.child,
        "wave": action.wave,
        "reason": {
            "code": str(action.reason.code),
            "text": action.reason.text,
            "changes": [_change_json(change) for change in action.reason.changes],
        },
        "monthly": action.monthly,
        "server_type": action.server_type,
        "region": action.region,
        "notes": list(action.notes),
        "left_alone": list(action.left_alone),
        "batch": action.batch,
        "checkpoint": action.rollback.checkpoint.id if action.rollback else None,
    }


def _change_json(change: Change) -> dict[str, Json]:
    return dict(asdict(change))
