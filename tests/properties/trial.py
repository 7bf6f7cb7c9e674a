"""The laws tried without hypothesis' search for the smallest world: says which law broke first, or nothing.

python -m tests.properties.trial EXAMPLES
"""

from __future__ import annotations

import sys
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings

from tests.properties.laws import LAWS
from tests.properties.recipes import Case, cases, every_single_fault

QUIET: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


class Broken(Exception):
    """A law does not hold."""


def first_broken(examples: int) -> str:
    """The name of a law that does not hold in one of so many worlds, empty where all hold in all of them."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=QUIET,
    )
    @given(cases)
    def search(case: Case) -> None:
        _try(case)

    try:
        for case in every_single_fault():
            _try(case)
        search()
    except Broken as broken:
        return str(broken)
    return ""


def _try(case: Case) -> None:
    for law in LAWS:
        try:
            law(case, case.planned())
        except Exception as error:
            raise Broken(law.__name__) from error


if __name__ == "__main__":
    sys.stdout.write(first_broken(int(sys.argv[1])))
