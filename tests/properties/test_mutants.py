"""Taking any one rule of what decides away breaks a law. All mutants with FLEET_TEST_FULL=1, else a few of them."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Lock

import pytest

from tests.extent import FULL
from tests.properties.mutant import Mutant
from tests.properties.mutants import MUTANTS
from tests.properties.mutation import (
    ROOT,
    copy_tree,
    keep_witnesses,
    law_against,
    mutated,
    strangers,
    uncovered,
    witnesses,
)

PROCESSORS = len(os.sched_getaffinity(0))
AS_IT_IS = Mutant("planner/guards", "What keeps a child", "What keeps a child")
TRIED = MUTANTS if FULL else MUTANTS[20::90]


@pytest.fixture(scope="module")
def laws() -> Iterator[dict[Mutant, Future[str]]]:
    """By mutant, the law that notices it: all are tried at once, on every processor in a copy of the project's.

    A full run leaves where each was noticed for the next one, which begins there; one that is broken off, too.
    """
    places: Queue[Path] = Queue()
    found, names, writing = witnesses(), {str(mutant) for mutant in MUTANTS}, Lock()
    known = dict(found)

    def tried(mutant: Mutant) -> str:
        place = places.get()
        try:
            law, witness = law_against(mutant, place, known.get(str(mutant), ""))
            with writing:
                found[str(mutant)] = witness
                if FULL:
                    keep_witnesses({name: it for name, it in found.items() if it and name in names})
            return law
        finally:
            places.put(place)

    with TemporaryDirectory() as directory, ThreadPoolExecutor(PROCESSORS) as pool:
        for number in range(PROCESSORS):
            copy_tree(Path(directory, str(number)))
            places.put(Path(directory, str(number)))
        yield {mutant: pool.submit(tried, mutant) for mutant in (*([AS_IT_IS] if FULL else []), *TRIED)}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("mutant", TRIED, ids=str)
def test_a_law_notices_that_a_rule_is_missing(mutant: Mutant, laws: dict[Mutant, Future[str]]) -> None:
    assert laws[mutant].result(), f"no law holds without it: {mutant}"


def test_no_law_is_against_the_source_as_it_is(laws: dict[Mutant, Future[str]]) -> None:
    """Else it would be against every mutant, too, and nobody would notice that one of them has no law."""
    assert laws[AS_IT_IS].result() == ""


def test_every_mutant_is_about_a_rule_that_is_there() -> None:
    for mutant in MUTANTS:
        ast.parse(mutated(mutant, (ROOT / mutant.path).read_text()))


def test_every_function_that_decides_has_a_mutant() -> None:
    assert uncovered() == []


def test_whatever_a_deciding_module_asks_decides_as_well_or_is_known_not_to() -> None:
    assert strangers() == []
