"""What every plan says: to whom something is told, what it costs, and what nobody may read in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from reconciler.model import Action, Kind, Plan, ReasonCode, Severity, Sync
from reconciler.planner.requests import LOOK
from reconciler.render.markdown import plan_markdown
from reconciler.render.plan import plan_json, plan_lines
from reconciler.steps.requests import FIREWALL, MARK, RUN, SHARED, requests_of
from tests.properties import bill, expecting, lacking
from tests.properties.asking import about, changes, each, prices
from tests.properties.cases import Case
from tests.properties.recipes import NETWORKS, SECRET, Recipe

HOW_IT_STANDS: Final = {
    "stopped": "its unit was stopped",
    "failed": "its unit failed (exit-code, exit 78)",
    "failing": "it fails again and again (exit-code, exit 1)",
}
STATES: Final[Mapping[Kind, Callable[[Recipe], str]]] = {
    Kind.START: lambda recipe: "the server is off" if recipe.status == "off" else HOW_IT_STANDS[recipe.gateway],
    Kind.RESTART: lambda recipe: "/etc/openclaw/telegram",
}


def who_is_not_planned_for_is_told_why(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        blocked = expecting.blocked(name, recipe, case.options, prices(case))
        if blocked:
            assert [found.severity for found in about(plan, name)][:1] == [blocked]


def what_takes_a_new_server_is_said(case: Case, plan: Plan) -> None:
    replaced = {action.child for action in plan.actions if action.kind is Kind.REPLACE}
    for name, recipe in each(case):
        if expecting.blocked(name, recipe, case.options, prices(case)):
            continue
        needs = expecting.shall_run(recipe) and recipe.there and expecting.needs_other_server(recipe, prices(case))
        pending = needs and not (case.options.may_replace(name) and not expecting.is_kept(recipe))
        expired = expecting.is_over(recipe) and expecting.is_kept(recipe)
        said = [found.summary for found in about(plan, name) if found.severity is Severity.REFUSED]
        stays = expecting.is_asleep(recipe) and expecting.is_kept(recipe)
        assert [f"{name} was put to sleep, and is protected: its server stays"] * stays == [
            it for it in said if "to sleep" in it
        ]
        assert len(said) == pending + expired + stays, said
        if pending:
            kept = "it is not replaced for" if case.options.may_replace(name) else "takes a new server"
            [summary] = [it for it in said if kept in it]
            assert all(f"{word} " in summary for word in expecting.what_it_never_becomes(recipe, prices(case)))
        assert not (pending and name in replaced)


def what_protection_keeps_says_how_to_let_it_go(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        for found in (
            about(plan, name)
            if recipe.declared and not expecting.blocked(name, recipe, case.options, prices(case))
            else ()
        ):
            if "not replaced" in found.summary or "not deleted" in found.summary:
                is_given_up = not recipe.protect
                assert ("is still protected" in found.summary) == is_given_up
                assert ("is protected" in found.summary) != is_given_up
                assert (f"fleet apply {name}" in found.detail) == is_given_up
                assert ("set `protect: false`" in found.detail) != is_given_up


def what_is_mended_again_and_again_waits_for_a_person(case: Case, plan: Plan) -> None:
    actions = {action.child: action for action in plan.actions}
    for name, recipe in each(case):
        if expecting.blocked(name, recipe, case.options, prices(case)):
            continue
        left = expecting.left_alone(name, recipe, case.options)
        if not expecting.shall_run(recipe) or (name in actions and actions[name].kind is Kind.REPLACE):
            left = ()  # it goes with its server
        warned = [found.summary.partition("changed again: ")[2] for found in about(plan, name)]
        assert [words for words in warned if words] == [", ".join(left)] * bool(left)
        if name in actions:
            assert actions[name].left_alone == left
            assert all(change.path not in left for change in changes(actions[name]))


def who_expires_is_told_of(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        if expecting.blocked(name, recipe, case.options, prices(case)) or not recipe.declared:
            continue
        notes = " ".join(found.summary for found in about(plan, name))
        soon = recipe.expires in (1, 168) and recipe.there
        over = recipe.expires in (-1, 0) and (expecting.is_kept(recipe) or not recipe.there)
        assert ("expires on" in notes, "expired on" in notes) == (soon, over)


def each_child_stands_to_the_file_as_its_world_says(case: Case, plan: Plan) -> None:
    acted = {action.child: action for action in plan.actions}
    for name, recipe in each(case):
        assert plan.sync[name] is _sync(name, recipe, case, acted.get(name))


def every_action_says_why(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        assert action.reason.text.strip()
        if action.kind is Kind.UPDATE and expecting.is_locked_out(case.found[action.child]):
            assert (
                action.reason.text
                == "it does not answer, and its firewall at the cloud is not the file's, or was never proven"
            )
            assert NETWORKS in {change.path for change in changes(action)}
        elif action.kind is Kind.UPDATE and action.reason.changes:
            changed, drifted = expecting.to_mend(action.child, case.found[action.child], case.options)
            assert ("the fleet file" in action.reason.text.replace("not in the fleet file", "")) == bool(changed)
            assert ("drift" in action.reason.text) == bool(drifted)
        if action.kind in STATES:
            assert STATES[action.kind](case.found[action.child]) in action.reason.text
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


def each_action_says_what_it_changes_in_the_bill(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        changed = bill.difference(action, case.found[action.child], prices(case))
        assert action.monthly == bill.in_cents(changed)


def the_bill_is_the_sum_of_its_parts(case: Case, plan: Plan) -> None:
    """To the cent, as it is read. What is unknown of one part is unknown of the sum."""
    recipes = [recipe for _, recipe in each(case)]
    changed = bill.added_up([bill.difference(it, case.found[it.child], prices(case)) for it in plan.actions])
    others = [bill.of_server("cx23", "nbg1") if prices(case) else None for _ in case.others]
    before = bill.added_up([*others, *(bill.as_it_is(recipe, prices(case)) for recipe in recipes)])
    assert plan.monthly == bill.in_cents(changed)
    assert plan.total == bill.in_cents(bill.added_up([before, changed]))
    assert plan.currency == ("EUR" if prices(case) else None)


def requests_are_added_up(case: Case, plan: Plan) -> None:
    """What each takes is measured by tests/contract/test_requests.py."""
    servers = len(case.others) + sum(recipe.there for _, recipe in each(case))
    asked = [LOOK + servers // 50, *(requests_of(action.kind) for action in plan.actions)]
    is_made = [action for action in plan.actions if action.kind in (Kind.CREATE, Kind.REPLACE)]
    asked += [RUN] if is_made else []  # one run, however many it makes
    asked += [FIREWALL] * len(plan.shared)
    waking = [it for it in plan.actions if it.kind is Kind.CREATE and case.found[it.child].asleep]
    asked += [MARK] * len(waking)
    asked += [SHARED] if is_made or plan.shared else []  # who lives behind the firewalls has to know them
    assert plan.requests == (0 if plan.is_empty else sum(asked))


def whoever_asks_for_more_than_is_left_is_warned(case: Case, plan: Plan) -> None:
    left = case.options.requests_left
    warned = any("API requests" in found.summary for found in plan.diagnostics)
    assert warned == (left is not None and plan.requests > left)


def _sync(name: str, recipe: Recipe, case: Case, action: Action | None) -> Sync:
    if not recipe.declared:
        return Sync.UNDECLARED
    if expecting.blocked(name, recipe, case.options, prices(case)):
        return Sync.PROGRESSING if recipe.there and recipe.status in expecting.MOVING else Sync.UNKNOWN
    if action is not None:
        is_drift = action.reason.code in (ReasonCode.DRIFTED, ReasonCode.STOPPED, ReasonCode.GONE)
        return Sync.DRIFTED if is_drift else Sync.PENDING
    if expecting.shall_run(recipe):
        return _sync_at_rest(name, recipe, case)
    return Sync.IN_SYNC if recipe.enabled and not expecting.is_asleep(recipe) else Sync.SUSPENDED


def _sync_at_rest(name: str, recipe: Recipe, case: Case) -> Sync:
    """Of a child that shall run, and for which there is nothing to do now."""
    if recipe.there and expecting.needs_other_server(recipe, prices(case)):
        return Sync.PENDING
    if prices(case) and lacking.lacks(name, recipe, case.options):
        return Sync.PENDING
    if expecting.left_alone(name, recipe, case.options):
        return Sync.DRIFTED
    return Sync.IN_SYNC if expecting.is_seen(recipe) else Sync.UNKNOWN
