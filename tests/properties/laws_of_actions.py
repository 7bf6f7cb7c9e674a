"""What holds for the actions of every plan in every world. A law raises AssertionError where it does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

from reconciler.actions import steps_of
from reconciler.model import Action, Kind, Percent, Plan, ReasonCode
from tests.properties import expecting
from tests.properties.asking import changes, each, prices
from tests.properties.cases import MANY, SHARED, UNUSED, Case
from tests.properties.recipes import NETWORKS, Recipe

OURS, NOT_OURS = "(in the fleet file)", "(not in the fleet file)"
WAVES: Final = {
    Kind.STOP: 1,
    Kind.CREATE: 2,
    Kind.HIBERNATE: 4,
    Kind.DESTROY: 4,
    **dict.fromkeys((Kind.UPDATE, Kind.RESIZE, Kind.REPLACE, Kind.START, Kind.RESTART), 3),
}

LAST: Final = {Kind.STOP: "labels", Kind.HIBERNATE: "delete server", Kind.DESTROY: "delete server"}  # of its steps
PROOF: Final = "prove healthy"


def the_right_action_for_the_right_reason(case: Case, plan: Plan) -> None:
    found = {action.child: (action.kind, action.reason.code) for action in plan.actions}
    wanted = {name: expecting.expected(name, recipe, case.options, prices(case)) for name, recipe in each(case)}
    assert found == {name: action for name, action in wanted.items() if action}


def a_silent_child_is_only_switched_off_or_deleted(case: Case, plan: Plan) -> None:
    """Or made anew, where somebody has given its memory up by name."""
    for action, recipe in _actions(case, plan):
        if recipe.there and recipe.silence and case.children[action.child].silence:
            is_let_in = expecting.is_locked_out(recipe) and action.reason.code is ReasonCode.UNFINISHED
            is_given_up = action.kind is Kind.REPLACE and action.child in case.options.without_copy
            assert action.kind in (Kind.STOP, Kind.HIBERNATE, Kind.DESTROY) or is_let_in or is_given_up


def a_server_that_exists_is_not_made_again(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if recipe.there and action.kind is Kind.CREATE:
            assert not recipe.ready


def a_protected_child_keeps_its_server(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if action.kind in (Kind.DESTROY, Kind.HIBERNATE, Kind.REPLACE):
            assert recipe.protect_label is None
            assert not (recipe.declared and recipe.protect)


def nobody_loses_a_server_unasked(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if action.kind is Kind.DESTROY:
            assert not recipe.declared or (recipe.expires is not None and recipe.expires <= 0)
        if action.kind is Kind.REPLACE:
            assert case.options.may_replace(action.child)
        if action.kind is Kind.HIBERNATE:
            assert action.child in case.options.hibernate or expecting.is_asleep(recipe)


def no_memory_goes_without_a_copy_unless_somebody_says_so(case: Case, plan: Plan) -> None:
    """Of a gateway that never served a user there is none, and of a host that does not answer nobody can take it."""
    for action, recipe in _actions(case, plan):
        assert action.without_copy == (action.child in case.options.without_copy)
        if action.kind in (Kind.DESTROY, Kind.HIBERNATE) and recipe.ready and not recipe.throwaway:
            assert action.without_copy or case.children[action.child].facts is not None


def who_sleeps_is_not_made_a_server_before_it_wakes(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if expecting.is_asleep(recipe) and recipe.declared:
            assert action.kind in (Kind.HIBERNATE, Kind.DESTROY)


def who_was_off_is_brought_to_the_file_by_its_start(case: Case, plan: Plan) -> None:
    """Nobody could look at its host. Where somebody has, a start of the unit is all."""
    for action, recipe in _actions(case, plan):
        is_whole = action.kind not in (Kind.START, Kind.RESTART) or _starts_server(action, recipe)
        assert steps_of(action, case.children[action.child])[-1].name == LAST.get(
            action.kind, "bot profile" if is_whole else PROOF
        )
        if action.kind is Kind.START:
            assert bool(changes(action)) == (is_whole and expecting.differs_at_cloud(recipe))


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
    assert _by_name(part.actions) == _by_name(action for action in plan.actions if action.child in chosen)
    assert part.sync == {name: sync for name, sync in plan.sync.items() if name in chosen}


def waves_come_in_their_order(case: Case, plan: Plan) -> None:
    assert all(action.wave == WAVES[action.kind] for action in plan.actions)
    places = [(action.wave, action.batch, action.child) for action in plan.actions]
    assert places == sorted(places)


def _by_name(actions: Iterable[Action]) -> list[Action]:
    """Who goes over to another version when depends on who else does."""
    return sorted((replace(action, batch=0) for action in actions), key=lambda action: action.child)


def no_more_is_deleted_than_may_be(case: Case, plan: Plan) -> None:
    """What a drill has left serves nobody, and may always go."""
    throwaway = {name for name, child in case.children.items() if child.server and child.server.is_throwaway}
    servers = len(case.others) + sum(it.there for name, it in case.found.items() if name not in throwaway)
    limit = case.options.max_destroys if case.options.max_destroys is not None else case.policy.get("max_destroys")
    limit = Percent(10) if limit is None else limit
    if isinstance(limit, Percent):
        limit = max(1, servers * limit.value // 100) if limit.value else 0
    counted = [action for action in plan.actions if action.child not in throwaway]
    unasked = [it for it in counted if it.kind is not Kind.HIBERNATE or it.child not in case.options.hibernate]
    deleted = sum(it.kind in (Kind.DESTROY, Kind.REPLACE, Kind.HIBERNATE) for it in unasked)
    assert ("max_destroys" in _breached(plan)) == (deleted > limit)


def what_policy_forbids_is_refused(case: Case, plan: Plan) -> None:
    declared = [child.spec for child in case.children.values() if child.spec]
    limit = case.policy.get("max_children")
    wanted = {"max_children"} if limit is not None and len(declared) > limit else set()
    budget: Decimal | None = case.policy.get("max_monthly")
    if budget is not None and (plan.monthly is None or Decimal(plan.monthly) > 0):
        wanted |= {"max_monthly"} if plan.total is None or Decimal(plan.total) > budget else set()
    for key, of in (("regions", "regions"), ("server_types", "server_types"), ("versions", "version")):
        patterns: list[str] = case.policy.get(key, [])
        for spec in declared if patterns else []:
            child = case.children[spec.name]
            if of == "version" and (child.asleep is not None or spec.name in case.options.rollback):
                continue  # it is brought back to what it ran on then
            values = getattr(spec, of)
            for value in (values,) if isinstance(values, str) else values:
                if not any(fnmatchcase(value, pattern) for pattern in patterns):
                    wanted.add(key)
    assert _breached(plan) - {"max_destroys"} == wanted
    assert plan.is_refused == bool(_breached(plan))


def what_is_aimed_at_is_the_first_that_can_be_had(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        aim = (action.server_type, action.region)
        if action.kind is Kind.REPLACE or (action.kind is Kind.CREATE and not recipe.there):
            assert aim == expecting.first_to_be_had(recipe, prices(case))
        elif action.kind is Kind.RESIZE:
            assert aim == (expecting.resizable(recipe)[0], "nbg1")
        else:
            assert aim == (None, None)


def a_resize_brings_all_other_changes_along_but_a_version(case: Case, plan: Plan) -> None:
    for action, recipe in _actions(case, plan):
        if action.kind is Kind.RESIZE:
            first, *others = [change.path for change in changes(action)]
            assert first == "server_type"
            assert bool(others) == expecting.comes_with_a_resize(action.child, recipe, case.options)


def whose_each_thing_is_gets_noted(case: Case, plan: Plan) -> None:
    """And of nothing that differs besides."""
    of_recipe = {
        expecting.WITHDRAWN: {("labels.team", OURS, NOT_OURS), ("config.messages.x", OURS, NOT_OURS)},
        expecting.DECLARED: {
            ("workspace files.S.md", "(managed)", "(seed)"),
            ("workspace files.M.md", NOT_OURS, "(managed)"),
        },
    }
    for action, recipe in _actions(case, plan):
        said = [change for change in changes(action) if change.after in (OURS, NOT_OURS, "(managed)", "(seed)")]
        tells = action.kind in (Kind.UPDATE, Kind.RESIZE) and changes(action)
        wanted = [of_recipe[word] for word in expecting.to_note(recipe)] if tells else []
        assert {(change.path, change.before, change.after) for change in said} == set().union(*wanted)


def what_is_not_the_files_stays(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        assert all(change.path != "labels.theirs" for change in changes(action))


def shared_things_are_left_alone_by_who_asks_for_some(case: Case, plan: Plan) -> None:
    there = any(recipe.there for recipe in case.found.values()) or bool(case.others)
    moving = [(it, recipe) for it, recipe in _actions(case, plan) if expecting.has_other_networks(recipe)]
    moves = any(_changes_labels(action, recipe) and NETWORKS not in action.left_alone for action, recipe in moving)
    needs = moves or any(action.kind in (Kind.CREATE, Kind.REPLACE) for action in plan.actions)
    touched = needs if case.options.partial else there or bool(plan.actions)
    assert [change for change in plan.shared if change != UNUSED] == [*case.shared[:1]] * touched
    assert case.shared in ((), SHARED)


def a_firewall_is_said_to_go_when_no_server_stays_under_it(case: Case, plan: Plan) -> None:
    moved = {action.child for action, recipe in _actions(case, plan) if _leaves_its_firewall(action, recipe)}
    staying = [recipe for name, recipe in case.found.items() if recipe.there and name not in moved]
    is_used = any(recipe.shut for recipe in staying) or len(case.others) > MANY
    assert (UNUSED in plan.shared) == (bool(plan.shared) and not is_used)


def _actions(case: Case, plan: Plan) -> Iterator[tuple[Action, Recipe]]:
    yield from ((action, case.found[action.child]) for action in plan.actions)


def _breached(plan: Plan) -> set[str]:
    return {found.address.partition(".")[2] for found in plan.diagnostics if found.address.startswith("policy.")}


def _changes_labels(action: Action, recipe: Recipe) -> bool:
    """A server that is off or silent keeps its firewall, unless it is let in again or started."""
    is_met = expecting.is_seen(recipe) or expecting.is_locked_out(recipe)
    return action.kind is Kind.RESIZE or _starts_server(action, recipe) or (action.kind is Kind.UPDATE and is_met)


def _leaves_its_firewall(action: Action, recipe: Recipe) -> bool:
    if NETWORKS in action.left_alone and action.kind is not Kind.HIBERNATE:  # with which its server goes
        return False
    return _starts_server(action, recipe) or action.kind not in (Kind.STOP, Kind.START, Kind.RESTART)


def _starts_server(action: Action, recipe: Recipe) -> bool:
    return action.kind is Kind.START and recipe.status == "off"


def _without_words(action: Action) -> object:
    return replace(action, reason=replace(action.reason, code=ReasonCode.DECLARED, text=""))
