"""Worlds that somebody agreed to a plan in, and what they have become by the time it is applied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from hypothesis import strategies as st

from reconciler import keys, planfile
from reconciler.errors import Refused
from reconciler.model import Change, Child, Plan, PlanOptions
from reconciler.planfile import Bound, PlanFile
from reconciler.selection import Selection
from tests.fakes.worlds import FLEET_KEY, NOW
from tests.properties.cases import SHARED, Case, cases, every_single_fault, prepare
from tests.properties.expecting import DISKS
from tests.properties.recipes import BASES, FIELDS, HEALTHY, NAMES, mostly

KEY: Final = keys.plan_key(FLEET_KEY)
# What the fleet file says stays as it is: a plan file is bound to it.
IN_THE_FILE: Final = {
    *("declared", "enabled", "protect", "expires", "types", "regions", "image", "latest", "ipv4", "backups"),
    *("ssh_from", "files"),
}
EVENTS: Final = [(name, value) for name, values in FIELDS.items() if name not in IN_THE_FILE for value in values]
OTHER_SHARED: Final = (Change("firewall demo", None, ["in tcp 22 from 198.51.100.7/32"]),)
BOUND: Final = Bound("fleet-id", "file-digest", Selection(("a*", "eve"), ("canary",), ("tier=gold",)), PlanOptions())


@dataclass(frozen=True)
class Agreement:
    """`then` was agreed to, `now` is to be applied, `age` later, by whoever has this fleet and this file."""

    then: Case
    now: Case
    age: timedelta = timedelta(minutes=1)
    fleet_id: str = BOUND.fleet_id
    file_digest: str = BOUND.file_digest
    is_remade: bool = False  # every server by hand, the same in all but its id, or its name
    has_new_secrets: bool = False  # every bot has another token


@dataclass(frozen=True)
class Judged:
    """Both plans, the plan file, what is said against the plan of now, and whether the file still holds."""

    then: Plan
    now: Plan
    sealed: bytes
    agreed: PlanFile
    objections: list[str]
    is_refused: bool


def judged(agreement: Agreement) -> Judged:
    then, now = agreement.then.planned(), agreement.now.planned()
    sealed = planfile.seal(then, agreement.then.children, replace(BOUND, options=agreement.then.options), KEY)
    agreed = planfile.unseal(sealed, KEY)
    objections = planfile.objections(agreed, now, agreement.now.children, KEY)
    return Judged(then, now, sealed, agreed, objections, _is_refused(agreement, agreed))


def every_event() -> Iterator[Agreement]:
    """Each thing that may happen to each kind of child, alone."""
    found = [(base, replace(base, **{name: value})) for base in dict.fromkeys(BASES) for name, value in EVENTS]
    for start in range(0, len(found), len(NAMES)):
        few = found[start : start + len(NAMES)]
        before, after = (dict(zip(NAMES, recipes, strict=False)) for recipes in zip(*few, strict=True))
        yield Agreement(prepare(before), prepare(after))
        yield Agreement(prepare(after, shared=True), prepare(before))
    for case in islice(every_single_fault(), 0, None, 7):
        yield Agreement(case, case)
        yield Agreement(case, replace(case, shared=SHARED))
        yield Agreement(case, _sold_out(case, "hel1"))
        yield Agreement(case, _sold_out(case, "nbg1", {"cpx22"}))
        yield Agreement(replace(case, shared=SHARED), replace(case, shared=OTHER_SHARED))
        yield Agreement(case, _with_servers(case, id=2000), is_remade=True)
        yield Agreement(case, _with_servers(case, name="renamed"), is_remade=True)
        yield Agreement(case, _with_new_secrets(case), has_new_secrets=True)
    child_to_make = prepare({NAMES[0]: replace(HEALTHY, there=False, types=("cpx22", "cx33"))})
    yield Agreement(child_to_make, _sold_out(child_to_make, "nbg1", {"cpx22"}))
    case = prepare({NAMES[0]: replace(BASES[0], drift=True)})
    for minutes in (-10, -3, 0, 23 * 60, 24 * 60, 25 * 60):
        yield Agreement(case, case, timedelta(minutes=minutes))
    yield Agreement(case, case, fleet_id="other")
    yield Agreement(case, case, file_digest="other")


def _is_refused(agreement: Agreement, agreed: PlanFile) -> bool:
    try:
        planfile.check_binding(agreed, agreement.fleet_id, agreement.file_digest, NOW + agreement.age)
    except Refused:
        return True
    return False


def _sold_out(case: Case, region: str, kinds: Collection[str] = DISKS) -> Case:
    """These types are no longer to be had in this region."""
    if case.catalog is None:
        return case
    types = {
        name: replace(kind, regions={**kind.regions, region: kind.regions[region] and name not in kinds})
        for name, kind in case.catalog.types.items()
    }
    return replace(case, catalog=replace(case.catalog, types=types))


def _with_servers(case: Case, **changes: Any) -> Case:
    return _each_child(case, lambda it: replace(it, server=replace(it.server, **changes) if it.server else None))


def _with_new_secrets(case: Case) -> Case:
    return _each_child(case, lambda it: replace(it, wanted=it.wanted and {**it.wanted, "bot token": {"hmac": "new"}}))


def _each_child(case: Case, change: Callable[[Child], Child]) -> Case:
    return replace(case, children={name: change(child) for name, child in case.children.items()})


def _later(case: Case, events: dict[str, list[tuple[str, Any]]], shared: bool, sold_out: bool) -> Case:
    found = {name: replace(recipe, **dict(events.get(name, []))) for name, recipe in case.found.items()}
    now = prepare(found, case.catalog is not None, case.options, case.policy, shared, len(case.others))
    return _sold_out(now, "hel1") if sold_out else now


events: Final = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(EVENTS), max_size=2), max_size=3)
agreements: Final = st.builds(
    lambda case, *later: Agreement(case, _later(case, *later)), cases, events, st.booleans(), mostly(False, True)
)
