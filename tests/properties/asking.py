"""What several laws ask of a case and its plan."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Action, Change
from tests.properties.recipes import Case, Recipe


def each(case: Case) -> Iterator[tuple[str, Recipe]]:
    yield from case.found.items()


def prices(case: Case) -> bool:
    return case.catalog is not None


def changes(action: Action) -> tuple[Change, ...]:
    return action.reason.changes
