"""How a child is brought back: which rungs there are for it, which were tried, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.diagnosis import Cause, Diagnosis
from reconciler.model.rungs import Rung


@dataclass(frozen=True, slots=True)
class Ladder:
    """What is wrong, and what would be tried for it, in order. `spent`: tried too often of late, so left out."""

    child: str
    found: Diagnosis
    rungs: tuple[Rung, ...]
    spent: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True)
class Try:
    """One rung for one child. `problem` is why it did not do what it should; empty where it did."""

    child: str
    rung: Rung
    cause: Cause
    seconds: float = 0.0
    problem: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Rescue:
    """A child, from what was found to how it is now; `rest` says why nothing more was tried where it is still ill."""

    child: str
    found: Diagnosis
    tries: tuple[Try, ...]
    now: Diagnosis
    rest: str = ""

    @property
    def is_well(self) -> bool:
        return self.now.cause is None
