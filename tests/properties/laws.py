"""What holds for every plan of every world. Each law is a function that raises AssertionError where it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

from reconciler.model import Action, Change, Diagnostic, Kind, Percent, Plan, ReasonCode, Severity, Sync
from reconciler.render.markdown import plan_markdown
from reconciler.render.plan import plan_json, plan_lines
from tests.properties import expecting
from tests.properties.recipes import SECRET, SHARED, Case, Recipe

Law = Callable[[Case, Plan], None]

WAVES: Final = {
    Kind.STOP: 1,
    Kind.CREATE: 2,
    Kind.DESTROY: 4,
    **dict.fromkeys((Kind.UPDATE, Kind.RESIZE, Kind.REPLACE, Kind.START, Kind.RESTART), 3),
}
PRICES: Final = {"cx23": "5.49", "cx33": "8.49", "cx43": "15.99", "cpx22": "19.49", "cax11": "5.99", "cpx11": "5.49"}
IPV4: Final = Decimal("0.50")


def the_right_action_for_the_right_reason(case: Case, plan: Plan) -> None:
    found = {action.child: (action.kind, action.reason.code) for action in plan.actions}
    wanted = {name: expecting.expected(name, recipe, case.options, _prices(case)) for name, recipe in _each(case)}
    assert found == {name: action for name, action in wanted.items() if action}


def a_silent_child_is_only_switched_off_or_deleted(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if recipe.there and recipe.silence and case.children[action.child].silence:
            assert action.kind in (Kind.STOP, Kind.DESTROY)


def a_server_that_exists_is_not_made_again(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if recipe.there and action.kind is Kind.CREATE:
            assert not recipe.ready


def a_protected_child_keeps_its_server(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if action.kind in (Kind.DESTROY, Kind.REPLACE):
            assert not (recipe.protect if recipe.declared else recipe.protect_label)


def nobody_loses_a_server_unasked(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if action.kind is Kind.DESTROY:
            assert not recipe.declared or (recipe.expires is not None and recipe.expires < 0)
        if action.kind is Kind.REPLACE:
            assert case.options.may_replace(action.child)


def the_order_of_children_does_not_matter(case: Case, plan: Plan) -> None:
    backwards = dict(reversed(case.children.items()))
    assert case.planned(children=backwards) == plan == case.planned()


def the_record_only_gives_words(case: Case, plan: Plan) -> None:
    forgotten = {name: replace(child, record=None) for name, child in case.children.items()}
    bare = case.planned(children=forgotten)
    assert [_without_words(action) for action in bare.actions] == [_without_words(action) for action in plan.actions]
    gone = {action.child for action in plan.actions if action.reason.code is ReasonCode.GONE}
    assert all(bare.sync[name] is sync for name, sync in plan.sync.items() if name not in gone)
    assert (bare.diagnostics, bare.total) == (plan.diagnostics, plan.total)


def a_part_of_the_fleet_is_planned_as_in_the_whole(case: Case, plan: Plan) -> None:
    chosen = set(sorted(case.children)[::2])
    children = {name: child for name, child in case.children.items() if name in chosen}
    rest = [child.server for name, child in case.children.items() if name not in chosen and child.server]
    part = case.planned(children=children, others=(*case.others, *rest))
    assert part.actions == tuple(action for action in plan.actions if action.child in chosen)
    assert part.sync == {name: sync for name, sync in plan.sync.items() if name in chosen}


def waves_come_in_their_order(case: Case, plan: Plan) -> None:
    assert all(action.wave == WAVES[action.kind] for action in plan.actions)
    assert [(action.wave, action.child) for action in plan.actions] == sorted(
        (action.wave, action.child) for action in plan.actions
    )


def no_more_is_deleted_than_may_be(case: Case, plan: Plan) -> None:
    servers = len(case.others) + sum(recipe.there for recipe in case.found.values())
    limit = case.options.max_destroys if case.options.max_destroys is not None else case.policy.get("max_destroys")
    limit = Percent(10) if limit is None else limit
    if isinstance(limit, Percent):
        limit = max(1, servers * limit.value // 100) if limit.value else 0
    deleted = sum(action.kind in (Kind.DESTROY, Kind.REPLACE) for action in plan.actions)
    assert ("max_destroys" in _breached(plan)) == (deleted > limit)


def what_policy_forbids_is_refused(case: Case, plan: Plan) -> None:
    declared = [child.spec for child in case.children.values() if child.spec]
    limit = case.policy.get("max_children")
    wanted = {"max_children"} if limit is not None and len(declared) > limit else set()
    for key, of in (("regions", "regions"), ("server_types", "server_types"), ("versions", "version")):
        patterns: list[str] = case.policy.get(key, [])
        for spec in declared if patterns else []:
            values = getattr(spec, of)
            for value in (values,) if isinstance(values, str) else values:
                if not any(fnmatchcase(value, pattern) for pattern in patterns):
                    wanted.add(key)
    assert _breached(plan) - {"max_destroys"} == wanted
    assert plan.is_refused == bool(_breached(plan))


def who_is_not_planned_for_is_told_why(case: Case, plan: Plan) -> None:
    for name, recipe in _each(case):
        blocked = expecting.blocked(recipe)
        if blocked:
            assert [found.severity for found in _about(plan, name)][:1] == [blocked]


def what_takes_a_new_server_is_said(case: Case, plan: Plan) -> None:
    replaced = {action.child for action in plan.actions if action.kind is Kind.REPLACE}
    for name, recipe in _runnable(case):
        needs = recipe.there and expecting.needs_other_server(recipe, _prices(case))
        said = [found for found in _about(plan, name) if found.severity is Severity.REFUSED]
        pending = needs and not (case.options.may_replace(name) and not recipe.protect)
        expired = recipe.expires is not None and recipe.expires < 0 and recipe.protect
        assert len(said) == pending + expired, said
        if name in replaced:
            assert not pending


def what_the_cloud_does_not_have_is_said(case: Case, plan: Plan) -> None:
    for name, recipe in _each(case):
        if not expecting.blocked(recipe):
            errors = [found for found in _about(plan, name) if found.severity is Severity.ERROR]
            assert bool(errors) == (expecting.shall_run(recipe) and _is_short(name, recipe, case)), errors


def what_is_aimed_at_is_the_first_that_can_be_had(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        aim = (action.server_type, action.region)
        if action.kind is Kind.REPLACE or (action.kind is Kind.CREATE and not recipe.there):
            assert aim == expecting.first_to_be_had(recipe, _prices(case))
        elif action.kind is Kind.RESIZE:
            assert aim == (next(kind for kind in expecting.fitting(recipe) if kind in expecting.IN_STOCK), "nbg1")
        else:
            assert aim == (None, None)


def what_is_mended_again_and_again_waits_for_a_person(case: Case, plan: Plan) -> None:
    actions = {action.child: action for action in plan.actions}
    for name, recipe in _runnable(case):
        waits = expecting.is_left_alone(name, recipe, case.options)
        warned = any("mended 3 times" in found.summary for found in _about(plan, name))
        assert warned == waits
        if name in actions:
            assert bool(actions[name].left_alone) == waits
            assert not waits or all(change.path not in actions[name].left_alone for change in _changes(actions[name]))


def who_expires_or_sleeps_is_told_of(case: Case, plan: Plan) -> None:
    acted = {action.child for action in plan.actions}
    for name, recipe in _each(case):
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
        bool(retired) and _prices(case)
    )


def in_sync_is_who_was_seen_and_is_right(case: Case, plan: Plan) -> None:
    acted = {action.child: action for action in plan.actions}
    for name, recipe in _each(case):
        sync = plan.sync[name]
        if name in acted and recipe.declared:
            drift = acted[name].reason.code in (ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE)
            assert sync is (Sync.DRIFTED if drift else Sync.PENDING)
        if sync is Sync.IN_SYNC:
            assert expecting.is_seen(recipe) or not expecting.shall_run(recipe)
            assert not (recipe.drift and expecting.is_seen(recipe))
            assert not expecting.needs_other_server(recipe, _prices(case)) or not expecting.shall_run(recipe)
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


def what_is_not_the_files_stays(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        assert all(change.path != "labels.theirs" for change in _changes(action))


def the_bill_is_the_sum_of_its_parts(case: Case, plan: Plan) -> None:
    if not _prices(case):
        assert plan.total is None or not (plan.actions or case.others or any(it.there for it in case.found.values()))
        return
    kept = {action.child: action for action in plan.actions}
    after = [_cost(kept.get(name), recipe) for name, recipe in _each(case)]
    before = [_cost(None, recipe) for _, recipe in _each(case)]
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


def shared_things_are_left_alone_by_who_asks_for_some(case: Case, plan: Plan) -> None:
    there = any(recipe.there for recipe in case.found.values()) or bool(case.others)
    moves = any(recipe.ssh_from and _changes_labels(action, recipe) for action, recipe in _actions(case, plan))
    needs = moves or any(action.kind in (Kind.CREATE, Kind.REPLACE) for action in plan.actions)
    touched = needs if case.options.partial else there or bool(plan.actions)
    assert plan.shared == (case.shared if touched else ())
    assert case.shared in ((), SHARED)


LAWS: Final[tuple[Law, ...]] = (
    the_right_action_for_the_right_reason,
    a_silent_child_is_only_switched_off_or_deleted,
    a_server_that_exists_is_not_made_again,
    a_protected_child_keeps_its_server,
    nobody_loses_a_server_unasked,
    the_order_of_children_does_not_matter,
    the_record_only_gives_words,
    a_part_of_the_fleet_is_planned_as_in_the_whole,
    waves_come_in_their_order,
    no_more_is_deleted_than_may_be,
    what_policy_forbids_is_refused,
    who_is_not_planned_for_is_told_why,
    what_takes_a_new_server_is_said,
    what_the_cloud_does_not_have_is_said,
    what_is_aimed_at_is_the_first_that_can_be_had,
    what_is_mended_again_and_again_waits_for_a_person,
    who_expires_or_sleeps_is_told_of,
    retired_types_are_noted,
    in_sync_is_who_was_seen_and_is_right,
    every_action_says_why,
    a_secret_is_in_no_output,
    what_is_not_the_files_stays,
    the_bill_is_the_sum_of_its_parts,
    requests_are_told_of_where_there_is_something_to_do,
    shared_things_are_left_alone_by_who_asks_for_some,
)


def _each(case: Case) -> Iterator[tuple[str, Recipe]]:
    yield from case.found.items()


def _actions(case: Case, plan: Plan) -> Iterator[tuple[Action, Recipe]]:
    yield from ((action, case.found[action.child]) for action in plan.actions)


def _runnable(case: Case) -> Iterator[tuple[str, Recipe]]:
    """Children that shall run and for which something may be planned."""
    for name, recipe in _each(case):
        if expecting.shall_run(recipe) and not expecting.blocked(recipe):
            yield name, recipe


def _prices(case: Case) -> bool:
    return case.catalog is not None


def _breached(plan: Plan) -> set[str]:
    return {found.address.partition(".")[2] for found in plan.diagnostics if found.address.startswith("policy.")}


def _about(plan: Plan, name: str) -> list[Diagnostic]:
    return [found for found in plan.diagnostics if found.address == name]


def _changes(action: Action) -> tuple[Change, ...]:
    return action.reason.changes


def _changes_labels(action: Action, recipe: Recipe) -> bool:
    """A server that is off or silent keeps its labels, unless it is to be off."""
    return action.kind is Kind.STOP or (action.kind in (Kind.UPDATE, Kind.RESIZE) and expecting.is_seen(recipe))


def _without_words(action: Action) -> object:
    return replace(action, reason=replace(action.reason, code=ReasonCode.DECLARED, text=""))


def _is_short(name: str, recipe: Recipe, case: Case) -> bool:
    """Whether its server, or another type for it, is not to be had."""
    if not _prices(case):
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
