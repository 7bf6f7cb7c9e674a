"""What a diagnosis is made of: a child as it was looked at, a check, and its answer. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from reconciler.model import Cause, Child, Examination, GatewayFacts

STARTING: Final = 120.0  # seconds: what is not ready by then, is not starting any more (facts, section 3)
APPLY: Final = "fleet apply {name}"


@dataclass(frozen=True, slots=True)
class Case:
    """`examined` is None where nobody could look closely; `problem` is why the cloud could not be asked."""

    child: Child
    examined: Examination | None = None
    problem: str = ""

    @property
    def gateway(self) -> GatewayFacts:
        return self.child.facts.gateway if self.child.facts else GatewayFacts()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody shall get an answer from it."""
        spec = self.child.spec
        return spec is not None and spec.enabled and self.child.asleep is None

    @property
    def is_starting(self) -> bool:
        """It may need some more time: nobody can say yet that it does not answer."""
        since = self.examined.up_for if self.examined else None
        is_young = self.examined is None or (since is not None and since < STARTING)
        return self.gateway.is_running and not self.gateway.ready and is_young


@dataclass(frozen=True, slots=True)
class Told:
    """A check's answer. Without a cause it is OK, or nobody knows. `is_end`: so it is wanted, and nothing is above."""

    text: str
    cause: Cause | None = None
    mend: str = ""
    is_unknown: bool = False
    is_end: bool = False


class Rank(IntEnum):
    """Of checks that have failed together the lowest names the cause, and of these the first."""

    WHY = 0
    SIGN = 1  # that something does not run: others say why
    BEYOND = 2  # of no use while the gateway is ill


@dataclass(frozen=True, slots=True)
class Check:
    """One question, and the checks without which it makes no sense."""

    name: str
    needs: tuple[str, ...]
    judge: Callable[[Case], Told]
    rank: Rank = Rank.WHY
