"""What several laws ask of a case and its plan."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change, Diagnostic, Plan
from tests.properties.cases import Case
from tests.properties.recipes import Recipe


def each(case: Case) -> Iterator[tuple[str, Recipe]]:
    yield from case.found.items()


def prices(case: Case) -> bool:
    return case.catalog is not None


def changes(action: Action) -> tuple[Change, ...]:
    return action.reason.changes


def about(plan: Plan, name: str) -> list[Diagnostic]:
    return [found for found in plan.diagnostics if found.address == name]
