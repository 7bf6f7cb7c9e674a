"""The laws tried without hypothesis' search for the smallest world: says which law broke first, and where, or nothing.

python -m tests.properties.trial EXAMPLES MODULE [WITNESS], where the module is the one with the mutant. A witness is
where a law broke before: `SUBJECT EXAMPLES` or `SUBJECT fault NUMBER`. That is tried first, and all else after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings

from tests.properties.subjects import SUBJECTS, Subject

QUIET: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

FEWER: Final = 5  # at first a part of the examples: that is quick


class Broken(Exception):
    """A law does not hold."""

    witness = ""


def first_broken(examples: int, module: str, witness: str = "") -> str:
    """A law that does not hold in one of so many worlds and its witness, empty where all hold in all of them."""
    closest, *others = sorted(SUBJECTS, key=lambda subject: _closeness(subject, module), reverse=True)
    try:
        _again(witness)
        for subject in (closest, *others):
            _search(subject, examples // FEWER)
        _every_fault(closest)
        for subject in (closest, *(it for it in others if it.is_quick)):
            _search(subject, examples)
        for subject in others:
            _every_fault(subject)
        for subject in others:
            _search(subject, examples)
    except Broken as broken:
        return f"{broken}\t{broken.witness}"
    return ""


def _again(witness: str) -> None:
    name, *how = witness.split()[-3:] or [""]
    for subject in SUBJECTS:
        if subject.name.replace(" ", "-") == name:
            _every_fault(subject, int(how[1])) if how[0] == "fault" else _search(subject, int(how[0]))


def _every_fault(subject: Subject, only: int | None = None) -> None:
    for number, world in enumerate(subject.every_fault()):
        if only in (None, number):
            _try(subject, world, f"fault {number}")


def _closeness(subject: Subject, module: str) -> int:
    """That of the module itself is tried first, else the planner, which asks all others."""
    return max([*(len(it) for it in subject.about if module.startswith(it)), subject.name == "planner"])


def _search(subject: Subject, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=QUIET,
    )
    @given(subject.worlds)
    def search(world: Any) -> None:
        _try(subject, world, str(examples))

    search()


def _try(subject: Subject, world: Any, how: str) -> None:
    """What raises an error breaks every law."""
    law: Callable[..., object] = subject.outcome
    try:
        outcome = subject.outcome(world)
        for law in subject.laws:
            law(world, outcome)
    except Exception as error:
        broken = Broken(law.__name__)
        broken.witness = f"{subject.name.replace(' ', '-')} {how}"
        raise broken from error


if __name__ == "__main__":
    sys.stdout.write(first_broken(int(sys.argv[1]), *sys.argv[2:]))
