"""Worlds of children that share bots: who shall have which, who has which on its host, and who cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.model import Child, Plan, PlanOptions
from reconciler.planner import plan
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet

NAMES: Final = ("ada", "bea", "cyd", "dot")
BOTS: Final = ("111", "222")


@dataclass(frozen=True)
class Holder:
    """`wants` is what the file gives it, `has` whose token lies on its host."""

    state: str  # declared, off, expired, gone (from the file), doubtful
    there: str  # a host that is seen, one that is silent, or none
    wants: str | None
    has: str | None

    @property
    def shall_run(self) -> bool:
        return self.state == "declared"

    @property
    def keeps(self) -> str | None:
        """The bot that its gateway asks for, as far as anybody can see, until the end of the next apply."""
        is_seen = self.there == "seen" and self.state in ("declared", "gone", "expired")
        return self.has if is_seen else None


World = dict[str, Holder]


def planned(world: World) -> Plan:
    children = {name: _child(name, holder) for name, holder in world.items()}
    options = PlanOptions(max_destroys=len(NAMES))
    return plan(make_fleet(children), children, make_catalog(), NOW, options)


def every_pair() -> Iterator[World]:
    """Each child beside each other one that has to do with the first bot, and beside two."""
    others = [holder for holder in EVERY if BOTS[1] not in (holder.wants, holder.has)]
    for one, other in product(EVERY, others):
        yield {"ada": one, "bea": other}
    for one, other in product(EVERY[::3], others[::2]):
        yield {"ada": one, "bea": other, "cyd": replace(other, state="declared", wants=BOTS[0])}


EVERY: Final = [
    Holder(state, there, wants, has)
    for state, there, wants, has in product(
        ("declared", "off", "expired", "gone", "doubtful"), ("seen", "silent", "none"), (None, *BOTS), (None, *BOTS)
    )
    if (wants is None or state != "gone") and (has is None or there == "seen")
]
worlds: Final = st.lists(st.sampled_from(EVERY), min_size=1, max_size=len(NAMES)).map(
    lambda holders: dict(zip(NAMES, holders, strict=False))
)


def _child(name: str, holder: Holder) -> Child:
    spec: dict[str, Any] = {"enabled": holder.state != "off", "expires": NOW if holder.state == "expired" else None}
    case: dict[str, Any] = {"spec": None if holder.state == "gone" else spec}
    if holder.there == "none":
        case["server"] = None
    if holder.there == "silent":
        case["silence"] = "timed out"
    if holder.state == "doubtful":
        case["obstacle"] = "its identity is in doubt"
    child = make_child(name, case)
    facts = replace(child.facts, bot=holder.has) if child.facts else None
    return replace(child, bot=None if holder.state == "gone" else holder.wants, facts=facts)
