"""What every plan says: to whom something is told, what it costs, and what nobody may read in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from reconciler.model import Action, Diagnostic, Kind, Plan, ReasonCode, Severity, Sync
from reconciler.render.markdown import plan_markdown
from reconciler.render.plan import plan_json, plan_lines
from tests.properties import expecting
from tests.properties.asking import changes, each, prices
from tests.properties.recipes import PATH, SECRET, Case, Recipe

PRICES: Final = {"cx23": "5.49", "cx33": "8.49", "cx43": "15.99", "cpx22": "19.49", "cax11": "5.99", "cpx11": "5.49"}
IPV4: Final = Decimal("0.50")


def who_is_not_planned_for_is_told_why(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        blocked = expecting.blocked(recipe)
        if blocked:
            assert [found.severity for found in _about(plan, name)][:1] == [blocked]


def what_takes_a_new_server_is_said(case: Case, plan: Plan) -> None:
    replaced = {action.child for action in plan.actions if action.kind is Kind.REPLACE}
    for name, recipe in each(case):
        if expecting.blocked(recipe):
            continue
        needs = expecting.shall_run(recipe) and recipe.there and expecting.needs_other_server(recipe, prices(case))
        pending = needs and not (case.options.may_replace(name) and not recipe.protect)
        expired = expecting.is_over(recipe) and recipe.protect and recipe.there
        said = [found for found in _about(plan, name) if found.severity is Severity.REFUSED]
        assert len(said) == pending + expired, said
        assert not (pending and name in replaced)


def what_the_cloud_does_not_have_is_said(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        if not expecting.blocked(recipe):
            errors = [found for found in _about(plan, name) if found.severity is Severity.ERROR]
            assert bool(errors) == (expecting.shall_run(recipe) and _is_short(name, recipe, case)), errors


def what_is_mended_again_and_again_waits_for_a_person(case: Case, plan: Plan) -> None:
    actions = {action.child: action for action in plan.actions}
    for name, recipe in _runnable(case):
        waits = expecting.is_left_alone(name, recipe, case.options)
        warned = any("mended 3 times" in found.summary for found in _about(plan, name))
        assert warned == waits
        if name in actions:
            assert actions[name].left_alone == ((PATH,) if waits else ())
            assert not waits or all(change.path not in actions[name].left_alone for change in changes(actions[name]))


def who_expires_or_sleeps_is_told_of(case: Case, plan: Plan) -> None:
    acted = {action.child for action in plan.actions}
    for name, recipe in each(case):
        if expecting.blocked(recipe) or not recipe.declared:
            continue
        notes = " ".join(found.summary for found in _about(plan, name))
        soon = recipe.expires == 1 and recipe.there
        over = recipe.expires == -1 and (recipe.protect or not recipe.there)
        asleep = not recipe.enabled and recipe.there and name not in acted
        assert ("expires on" in notes, "expired on" in notes) == (soon, over)
        assert ("is switched off and still costs" in notes) == asleep


def retired_types_are_noted(case: Case, plan: Plan) -> None:
    retired = [recipe for recipe in case.found.values() if recipe.declared and recipe.there and _is_retired(recipe)]
    assert any("is retired in" in found.summary for found in plan.diagnostics if found.severity is Severity.NOTE) == (
        bool(retired) and prices(case)
    )


def in_sync_is_who_was_seen_and_is_right(case: Case, plan: Plan) -> None:
    acted = {action.child: action for action in plan.actions}
    for name, recipe in each(case):
        sync = plan.sync[name]
        if name in acted and recipe.declared:
            drift = acted[name].reason.code in (ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE)
            assert sync is (Sync.DRIFTED if drift else Sync.PENDING)
        if sync is Sync.IN_SYNC:
            assert expecting.is_seen(recipe) or not expecting.shall_run(recipe)
            assert not (recipe.drift and expecting.is_seen(recipe))
            assert not expecting.needs_other_server(recipe, prices(case)) or not expecting.shall_run(recipe)
        assert (sync is Sync.UNDECLARED) == (not recipe.declared)
        if sync is Sync.PROGRESSING:
            assert recipe.status in expecting.MOVING


def every_action_says_why(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        assert action.reason.text.strip()
        if action.reason.code in (ReasonCode.CHANGED, ReasonCode.DRIFTED) and action.kind is Kind.UPDATE:
            assert action.reason.changes
        if action.reason.code is ReasonCode.DRIFTED:
            assert all(change.drift for change in action.reason.changes)
    assert all(found.summary.strip() for found in plan.diagnostics)


def a_secret_is_in_no_output(case: Case, plan: Plan) -> None:
    lines = "\n".join(line for line, _ in plan_lines(plan, case.children))
    for text in (lines, json.dumps(plan_json(plan)), plan_markdown(plan, case.children)):
        assert SECRET not in text
        assert "bot-token" not in text


def the_bill_is_the_sum_of_its_parts(case: Case, plan: Plan) -> None:
    if not prices(case):
        assert plan.total is None or not (plan.actions or case.others or any(it.there for it in case.found.values()))
        return
    kept = {action.child: action for action in plan.actions}
    after = [_cost(kept.get(name), recipe) for name, recipe in each(case)]
    before = [_cost(None, recipe) for _, recipe in each(case)]
    others = sum((Decimal(PRICES["cx23"]) + IPV4 for _ in case.others), Decimal(0))
    delta = sum(after, Decimal(0)) - sum(before, Decimal(0))
    assert plan.monthly is not None
    assert plan.total is not None
    assert abs(Decimal(plan.monthly) - delta) <= Decimal("0.05")
    assert abs(Decimal(plan.total) - sum(after, Decimal(0)) - others) <= Decimal("0.05")


def requests_are_told_of_where_there_is_something_to_do(case: Case, plan: Plan) -> None:
    assert (plan.requests > 0) == (not plan.is_empty)
    left = case.options.requests_left
    warned = any("API requests" in found.summary for found in plan.diagnostics)
    assert warned == (left is not None and plan.requests > left)


def _runnable(case: Case) -> Iterator[tuple[str, Recipe]]:
    """Children that shall run and for which something may be planned."""
    for name, recipe in each(case):
        if expecting.shall_run(recipe) and not expecting.blocked(recipe):
            yield name, recipe


def _about(plan: Plan, name: str) -> list[Diagnostic]:
    return [found for found in plan.diagnostics if found.address == name]


def _is_short(name: str, recipe: Recipe, case: Case) -> bool:
    """Whether its server, or another type for it, is not to be had."""
    if not prices(case):
        return False
    if expecting.mixes(recipe):
        return True
    replaced = (
        recipe.there
        and case.options.may_replace(name)
        and not recipe.protect
        and expecting.needs_other_server(recipe, True)
    )
    if not recipe.there or replaced:
        return not expecting.can_be_made(recipe, True)
    if recipe.server_type in recipe.types:
        return False
    fitting = expecting.fitting(recipe)
    unknown = not all(kind in PRICES for kind in recipe.types) or not expecting.REGIONS.issuperset(recipe.regions)
    return unknown if not fitting else not expecting.IN_STOCK.intersection(fitting)


def _is_retired(recipe: Recipe) -> bool:
    return recipe.server_type == "cpx11"


def _cost(action: Action | None, recipe: Recipe) -> Decimal:
    """Of one child in a month, as it is or after the action."""
    kind = action.kind if action else None
    if kind is Kind.DESTROY or not (recipe.there or kind is Kind.CREATE):
        return Decimal(0)
    is_new = not recipe.there or kind is Kind.REPLACE
    server_type = action.server_type if action and action.server_type else recipe.server_type
    told = kind is not None and kind not in (Kind.START, Kind.RESTART)
    backups = recipe.backups if told else recipe.server_backups
    ipv4 = recipe.ipv4 if is_new else True
    price = Decimal(PRICES[server_type])
    return price * (Decimal("1.2") if backups else 1) + (IPV4 if ipv4 else 0)
