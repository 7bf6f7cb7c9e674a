"""What the laws are about: for each, the worlds it is tried in, what it makes of one, and what must hold of that.

A law is a function of a world and its outcome that raises AssertionError where it does not hold. It asks the world what
ought to be so, in other words than the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from tests.properties import (
    agreements,
    bots,
    cases,
    choices,
    laws,
    laws_of_agreements,
    laws_of_bots,
    laws_of_choices,
    laws_of_leavings,
    laws_of_owners,
    laws_of_versions,
    leavings,
    owners,
    versions,
)


@dataclass(frozen=True)
class Subject:
    """`every_fault` gives each fault alone, `worlds` draws them together. `about`: the modules it says most of."""

    name: str
    about: tuple[str, ...]
    every_fault: Callable[[], Iterator[Any]]
    worlds: st.SearchStrategy[Any]
    outcome: Callable[[Any], Any]
    laws: tuple[Callable[[Any, Any], None], ...]
    is_quick: bool = False  # a thousand worlds take a second or less

    def __str__(self) -> str:
        return self.name


# Those whose faults take long to try are last.
SUBJECTS: Final = (
    Subject(
        "leavings",
        ("steps/repairs",),
        leavings.every_leaving,
        leavings.leavings,
        leavings.brought,
        laws_of_leavings.LAWS,
        is_quick=True,
    ),
    Subject(
        "selections", ("selection",), choices.every_word, choices.choices, choices.chosen, laws_of_choices.LAWS, True
    ),
    Subject("owners", ("ownership",), owners.every_pair, owners.projects, owners.look, laws_of_owners.LAWS),
    Subject(
        "versions",
        ("planner/versions", "planner/rollout", "steps/versions"),
        versions.every_child,
        versions.worlds,
        versions.planned,
        laws_of_versions.LAWS,
    ),
    Subject("planner", ("planner",), cases.every_single_fault, cases.cases, cases.Case.planned, laws.LAWS),
    Subject(
        "plan files",
        ("planfile",),
        agreements.every_event,
        agreements.agreements,
        agreements.judged,
        laws_of_agreements.LAWS,
    ),
    Subject("bots", ("planner/bots",), bots.every_pair, bots.worlds, bots.planned, laws_of_bots.LAWS, True),
)
