"""A plan as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from reconciler.actions import ACTIONS, MODULE_OF
from reconciler.model import Action, Change, Child, ChildSpec, Diagnostic, Json, Kind, Plan, Server, Severity
from reconciler.render.text import count_text, harmless, value_text

COLORS: Mapping[Kind, str] = {
    Kind.CREATE: "green",
    Kind.UPDATE: "yellow",
    Kind.START: "yellow",
    Kind.RESTART: "yellow",
    Kind.DESTROY: "red",
}


def plan_lines(plan: Plan, children: Mapping[str, Child]) -> list[tuple[str, str | None]]:
    """The lines of a plan, each with its colour or None."""
    if plan.is_empty:
        return [*_diagnostic_lines(plan), (_no_changes(plan), None)]
    lines: list[tuple[str, str | None]] = []
    width = max(len(action.child) for action in plan.actions)
    for action in plan.actions:
        lines += _action_lines(action, children[action.child], width)
    return [*lines, *_diagnostic_lines(plan), ("", None), (_summary(plan), None)]


def plan_json(plan: Plan) -> Json:
    """The plan for machines. Secrets appear as `secret: true`, without values."""
    return {
        "fleet": plan.fleet,
        "at": plan.now.isoformat(),
        "actions": [
            {
                "kind": action.kind,
                "child": action.child,
                "wave": action.wave,
                "reason": {
                    "code": action.reason.code,
                    "text": action.reason.text,
                    "changes": [dict(asdict(change)) for change in action.reason.changes],
                },
            }
            for action in plan.actions
        ],
        "diagnostics": [diagnostic_json(diagnostic) for diagnostic in plan.diagnostics],
        "sync": {name: str(sync) for name, sync in plan.sync.items()},
    }


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, Json]:
    return dict(asdict(diagnostic))


def _action_lines(action: Action, child: Child, width: int) -> list[tuple[str, str | None]]:
    symbol, color = MODULE_OF[action.kind].SYMBOL, COLORS[action.kind]
    head = f"  {symbol} {action.child:<{width}}  {action.kind}: {harmless(action.reason.text)}"
    return [(head, color), *((f"      {line}", None) for line in _details(action, child))]


def _details(action: Action, child: Child) -> list[str]:
    if action.kind is Kind.CREATE and child.spec is not None:
        return _creation(child.spec)
    if action.kind is Kind.DESTROY and child.server is not None:
        return [_server_text(child.server)]
    return [_change_text(change) for change in action.reason.changes]


def _creation(spec: ChildSpec) -> list[str]:
    allowed = ", ".join(map(str, spec.users.allowed)) or "nobody yet"
    return [
        f"server   {' or '.join(spec.server_types)} in {' or '.join(spec.regions)}, {spec.image}",
        f"release  OpenClaw {spec.version}, {spec.model.provider}/{spec.model.name}",
        f"bot      {spec.bot_token}",
        f"users    {spec.users.policy}, allowed: {allowed}",
    ]


def _server_text(server: Server) -> str:
    where = f"{server.id} ({server.server_type} in {server.region}), {server.address}"
    return f"server   {where}, since {server.created:%Y-%m-%d}"


def _change_text(change: Change) -> str:
    where = harmless(change.path)
    if change.secret:
        return f"{where}: changed"
    return f"{where}: {value_text(change.before)} -> {value_text(change.after)}"


def _diagnostic_lines(plan: Plan) -> list[tuple[str, str | None]]:
    lines: list[tuple[str, str | None]] = []
    for diagnostic in plan.diagnostics:
        color = "red" if diagnostic.severity is Severity.ERROR else "yellow"
        lines.append((f"{diagnostic.severity.capitalize()}: {harmless(diagnostic.summary)}", color))
        lines.append((f"  {harmless(diagnostic.detail)}", None))
    return lines


def _no_changes(plan: Plan) -> str:
    if plan.diagnostics:
        return "No changes planned; see above for what stands in the way."
    return f"No changes: {count_text(len(plan.sync), 'child', 'children')} as the fleet file says."


def _summary(plan: Plan) -> str:
    counts = {module.KIND: 0 for module in ACTIONS}
    for action in plan.actions:
        counts[action.kind] += 1
    order = (Kind.CREATE, Kind.UPDATE, Kind.START, Kind.RESTART, Kind.DESTROY)
    return "Plan: " + ", ".join(f"{counts[kind]} to {kind}" for kind in order) + "."
