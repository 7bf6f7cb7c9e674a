"""One child: the action it needs, what a person must know about it, and how it stands to the fleet file. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from reconciler.actions import ACTIONS
from reconciler.actions.conditions import is_asleep, shall_run
from reconciler.model import SETTLED, Action, Child, Diagnostic, Kind, ReasonCode, Situation, Sync
from reconciler.offers import candidates, resize_target
from reconciler.planner import money, notices, versions
from reconciler.planner.guards import obstacle
from reconciler.planner.stock import shortage
from reconciler.steps.comparison import left_alone

_DRIFT: Final = frozenset({ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE})


@dataclass(frozen=True, slots=True)
class Judgement:
    """`diagnostics` are this child's own; those of the whole plan come on top."""

    action: Action | None
    diagnostics: tuple[Diagnostic, ...]
    sync: Sync


def judge(child: Child, situation: Situation) -> Judgement:
    """Guards first; then the first action with a reason, if the cloud can give what it takes."""
    blocked = obstacle(child, situation)
    if blocked is not None:
        return Judgement(None, (blocked, *notices.about_spares(child)), _blocked_sync(child))
    action = _action(child, situation)
    missing = _shortage(child, action, situation)
    if missing is not None and action is not None and _makes_server(action, child):
        action = None
    kept_from = (missing, notices.needs_replacement(child, situation), versions.stays_at_version(child, situation))
    pending = [found for found in kept_from if found]
    finding = notices.mended_too_often(child, action, situation)
    told = [*pending, *([finding] if finding else []), *notices.about_time_and_rest(child, action, situation)]
    told += notices.about_bot(child)
    if action is None and (pending or finding):
        return Judgement(None, tuple(told), Sync.PENDING if pending else Sync.DRIFTED)
    return Judgement(action, tuple(told), _sync(child, action, situation))


def _action(child: Child, situation: Situation) -> Action | None:
    for module in ACTIONS:
        reason = module.reason(child, situation)
        if reason is not None:
            action = Action(module.KIND, child.name, reason, module.WAVE, notes=module.NOTES)
            return _completed(action, child, situation)
    return None


def _completed(action: Action, child: Child, situation: Situation) -> Action:
    """The same with what it aims at, what it costs, and what a person should know."""
    server_type, region = _destination(action, child, situation)
    left = _left_alone(action, child, situation)
    aimed = replace(
        action,
        server_type=server_type,
        region=region,
        left_alone=left,
        retries=child.name in situation.options.retry,
        rollback=situation.options.rollback.get(child.name),
        without_copy=child.name in situation.options.without_copy,
    )
    amount = money.difference(aimed, child, situation.catalog)
    about = (
        *notices.about_action(aimed, child, situation),
        *versions.about_switch(aimed, child, situation),
        *versions.about_waking(child, situation),
        *versions.about_version(aimed, child, situation),
    )
    notes = (*action.notes, *about)
    return replace(aimed, monthly=money.as_text(amount), notes=notes)


def _destination(action: Action, child: Child, situation: Situation) -> tuple[str | None, str | None]:
    """The server type and region that the action goes for first."""
    if child.spec is not None and _makes_server(action, child):
        listed = child.spec.server_types[0], child.spec.regions[0]
        return next(candidates(child.spec, situation.catalog), listed)
    if action.kind is Kind.RESIZE and child.spec is not None and child.server is not None:
        return resize_target(child.server, child.spec, situation.catalog), child.server.region
    return None, None


def _left_alone(action: Action, child: Child, situation: Situation) -> tuple[str, ...]:
    """What a person has to decide about. What was changed on a server goes with it: its successor is made as wanted."""
    if action.kind is Kind.REPLACE or not shall_run(child, situation):
        return ()
    return left_alone(child, situation)


def _makes_server(action: Action, child: Child) -> bool:
    """There is none yet (then only a create is planned), or it becomes another."""
    return action.kind is Kind.REPLACE or child.server is None


def _shortage(child: Child, action: Action | None, situation: Situation) -> Diagnostic | None:
    if not shall_run(child, situation):
        return None
    new_server = action is not None and _makes_server(action, child)
    if new_server and (found := versions.is_quarantined(child, situation)):
        return found
    return shortage(child, situation.catalog, new_server=new_server)


def _blocked_sync(child: Child) -> Sync:
    if child.spec is None:
        return Sync.UNDECLARED
    is_moving = child.server is not None and child.server.status not in SETTLED
    return Sync.PROGRESSING if is_moving else Sync.UNKNOWN


def _sync(child: Child, action: Action | None, situation: Situation) -> Sync:
    if child.spec is None:
        return Sync.UNDECLARED
    if action is not None:
        return Sync.DRIFTED if action.reason.code in _DRIFT else Sync.PENDING
    if shall_run(child, situation) and child.facts is None:
        return Sync.UNKNOWN  # the cloud does not know how its server is, so nobody has looked at it
    return Sync.IN_SYNC if child.spec.enabled and not is_asleep(child) else Sync.SUSPENDED
