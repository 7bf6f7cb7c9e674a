"""What a person is told before saying yes: what cannot be had, what could be instead, and what is given up."""

from __future__ import annotations

from reconciler.model import Action, Diagnostic, Kind, Plan, Severity
from tests.properties import bill, expecting, lacking
from tests.properties.asking import about, each, prices
from tests.properties.cases import Case
from tests.properties.recipes import BACKUPS, Recipe


def what_the_cloud_does_not_have_is_said(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        if not expecting.blocked(name, recipe, case.options, prices(case)):
            errors = _errors(plan, name)
            lacks = lacking.lacks(name, recipe, case.options) if prices(case) and expecting.shall_run(recipe) else ""
            assert len(errors) == bool(lacks), errors
            assert all(lacks in error.summary for error in errors), errors


def what_can_be_had_instead_is_said(case: Case, plan: Plan) -> None:
    for name, recipe in each(case):
        for error in _errors(plan, name) if not expecting.blocked(name, recipe, case.options, prices(case)) else ():
            said = [line for line in error.detail.splitlines() if line.startswith("to be had")]
            assert said == lacking.advice(name, recipe, case.options)
            if not said:
                assert all(word in error.detail for word in _choice(error, recipe))


def retired_types_are_noted(case: Case, plan: Plan) -> None:
    retired = sorted(name for name, it in each(case) if it.declared and it.there and it.server_type == "cpx11")
    notes = [found for found in plan.diagnostics if "is retired in" in found.summary and _is_note(found)]
    assert len(notes) == (bool(retired) and prices(case))
    for note in notes:
        assert note.summary.startswith("cpx11 is retired in nbg1: ")
        assert all(f" {name}" in note.summary for name in retired[:3])
        assert ("more" in note.summary) == (len(retired) > 4)
        assert note.address == (retired[0] if len(retired) == 1 else "")
        assert note.detail == lacking.to_be_had("nbg1", "x86")


def what_an_action_gives_up_is_said(case: Case, plan: Plan) -> None:
    for action in plan.actions:
        recipe, notes = case.found[action.child], " ".join(action.notes)
        makes_another = action.kind is Kind.REPLACE
        assert ("the old server goes when the new one is proven" in notes) == makes_another
        assert ("its address goes" in notes) == (action.kind is Kind.HIBERNATE)
        is_last = action.kind in (Kind.DESTROY, Kind.REPLACE)
        given_up = action.child in case.options.without_copy
        assert ("what it remembers is lost for good" in notes) == (is_last and given_up)
        sleeps = action.kind is Kind.HIBERNATE
        assert ("what it was told since its last copy is lost for good" in notes) == (sleeps and given_up)
        assert ("a copy of its memory is kept and read back first;" in notes) == (sleeps and not given_up)
        assert ("given to the new one before that starts" in notes) == (makes_another and not given_up)
        copied = action.kind is Kind.DESTROY and not given_up and recipe.ready and not recipe.throwaway
        assert ("a last copy of its memory is kept" in notes) == copied
        assert ("switched off for some minutes" in notes) == (action.kind is Kind.RESIZE)
        assert ("was ordered before 2026-06-15" in notes) == (_orders_anew(action) and recipe.old and recipe.there)
        assert ("deletes those there are" in notes) == _gives_backups_up(action, recipe)
        assert ("newest OpenClaw of that moment" in notes) == (makes_another and recipe.latest and given_up)
        goes_on = f"it goes on costing {bill.in_words(recipe, prices(case), recipe.backups)}"
        assert (goes_on in notes) == (action.kind is Kind.STOP)


def older_servers_are_counted(case: Case, plan: Plan) -> None:
    assert plan.old_prices == sum(recipe.there and recipe.old for _, recipe in each(case))


def who_sleeps_is_told_what_it_costs(case: Case, plan: Plan) -> None:
    acted = {action.child for action in plan.actions}
    for name, recipe in each(case):
        if recipe.declared and not expecting.blocked(name, recipe, case.options, prices(case)):
            asleep = not recipe.enabled and recipe.there and name not in acted
            amount = bill.in_words(recipe, prices(case), recipe.server_backups)
            costs = f"{name} is switched off and still costs {amount}"
            assert (costs in [found.summary for found in about(plan, name)]) == asleep
            assert any("still costs" in found.summary for found in about(plan, name)) == asleep


def who_is_asleep_is_said_to_be(case: Case, plan: Plan) -> None:
    """As long as its server is still there, what is planned says so."""
    for name, recipe in each(case):
        said = [found.summary for found in about(plan, name) if " is asleep" in found.summary]
        knows = recipe.declared and not expecting.blocked(name, recipe, case.options, prices(case))
        assert len(said) == (knows and not recipe.there and expecting.is_asleep(recipe))
        assert all(("nobody can tell its backup" in summary) == (recipe.asleep == "lost") for summary in said)


def _orders_anew(action: Action) -> bool:
    return action.kind in (Kind.RESIZE, Kind.REPLACE)


def _gives_backups_up(action: Action, recipe: Recipe) -> bool:
    """A start of a unit applies nothing; who deletes a server deletes its backups, which goes without saying."""
    leaves_them = (
        action.kind in (Kind.HIBERNATE, Kind.DESTROY)
        or not bill.applies(action, recipe)
        or BACKUPS in action.left_alone
    )
    return recipe.there and recipe.server_backups and not recipe.backups and not leaves_them


def _choice(error: Diagnostic, recipe: Recipe) -> list[str]:
    """What there is of the kind that is wrong."""
    if "image" in error.summary:
        known = recipe.image in expecting.IMAGES
        return sorted(expecting.IMAGES[recipe.image] if known else expecting.IMAGES)
    return list(expecting.REGIONS if "region" in error.summary else recipe.types)


def _errors(plan: Plan, name: str) -> list[Diagnostic]:
    return [found for found in about(plan, name) if found.severity is Severity.ERROR]


def _is_note(found: Diagnostic) -> bool:
    return found.severity is Severity.NOTE
