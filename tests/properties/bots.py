"""Worlds of children that share bots: who shall have which, who has which on its host, and who cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.model import Child, Plan, PlanOptions
from reconciler.planner import plan
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet

NAMES: Final = ("ada", "bea", "cyd", "dot")
BOTS: Final = ("111", "222")
STATES: Final = ("declared", "off", "stuck", "leaving", "expired", "gone", "doubtful")


@dataclass(frozen=True)
class Holder:
    """`wants` is what the file gives it, `has` whose token lies on its host, `had` which one lay there before."""

    state: str  # declared, off, stuck (to be off, and cannot now), leaving (off and expired), expired, gone, doubtful
    there: str  # a host that is seen (late: its gateway has not started since `had`), silent, unasked, off, or none
    wants: str | None
    has: str | None
    had: str | None = None

    @property
    def shall_run(self) -> bool:
        return self.state == "declared"

    @property
    def asks_for(self) -> str | None:
        """Its gateway, now, as far as anybody can see."""
        return {"late": self.had, "out": None}.get(self.there, self.has)

    @property
    def keeps(self) -> set[str | None]:
        """The bots that its gateway asks for or may come to ask for until the end of the next apply."""
        if self.there == "out":
            return {self.has} if self.shall_run else set()  # it is switched on with what lies there
        is_stopped_first = self.state == "off" and self.there != "unasked"
        return set() if is_stopped_first else {self.asks_for, self.has}


World = dict[str, Holder]


def planned(world: World) -> Plan:
    every = {name: _child(name, holder) for name, holder in world.items()}
    children = {name: child for name, child in every.items() if world[name].there != "unasked"}
    others = [child.server for name, child in every.items() if name not in children and child.server]
    options = PlanOptions(max_destroys=len(NAMES), without_copy=frozenset(NAMES))  # no memory keeps anybody
    return plan(make_fleet(every), children, make_catalog(), NOW, options, (), others)


def every_pair() -> Iterator[World]:
    """Each child beside each other one that has to do with the first bot, and beside two."""
    others = [holder for holder in EVERY if BOTS[1] not in (holder.wants, holder.has, holder.had)]
    for one, other in product(EVERY, others):
        yield {"ada": one, "bea": other}
    for one, other in product(EVERY[::3], others[::2]):
        yield {"ada": one, "bea": other, "cyd": replace(other, state="declared", wants=BOTS[0])}


STALE: Final = [
    Holder(state, there, None if state == "gone" else wants, has, had)
    for there, state, wants, (has, had) in product(
        ("late", "seen"),
        ("declared", "off", "gone"),
        (None, *BOTS),
        (BOTS, BOTS[::-1], (None, BOTS[0]), (BOTS[0], None)),
    )
]
EVERY: Final = [
    *STALE,
    *(
        Holder(state, there, wants, has)
        for state, there, wants, has in product(
            STATES, ("seen", "silent", "unasked", "out", "none"), (None, *BOTS), (None, *BOTS)
        )
        if (wants is None or state != "gone")
        and (has is None or there != "none")
        and (state != "stuck" or there == "seen")
    ),
]
worlds: Final = st.lists(st.sampled_from(EVERY), min_size=1, max_size=len(NAMES)).map(
    lambda holders: dict(zip(NAMES, holders, strict=False))
)


@cache
def _child(name: str, holder: Holder) -> Child:
    """Made once: the same child is in many worlds, and nobody changes a value."""
    spec: dict[str, Any] = {
        "enabled": holder.state not in ("off", "stuck", "leaving"),
        "expires": NOW if holder.state in ("expired", "leaving") else None,
    }
    case: dict[str, Any] = {"spec": None if holder.state == "gone" else spec}
    if holder.there == "none":
        case["server"] = None
    elif holder in STALE:  # a label that nobody has brought up to date, and one token or the other not in force
        case["server"] = {"labels": {"openclaw-deploy/bot": holder.had}}
        case["gateway"] = {
            "stale": ["/etc/openclaw/" + ("telegram" if holder.there == "late" else "gateway") + ".token"]
        }
    elif holder.there != "seen" or holder.state in ("doubtful", "stuck"):
        status = "rebuilding" if holder.state == "stuck" else "off" if holder.there == "out" else "running"
        case["server"] = {"status": status, "labels": {"openclaw-deploy/bot": holder.has}}
    if holder.there == "silent":
        case["silence"] = "timed out"
    if holder.state == "doubtful":
        case["obstacle"] = "its identity is in doubt"
    child = make_child(name, case)
    facts = replace(child.facts, bot=holder.has) if child.facts else None
    return replace(child, bot=None if holder.state == "gone" else holder.wants, facts=facts)
