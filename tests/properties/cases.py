"""Faulty worlds for the planner: children by recipes.py, and what lies around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.model import (
    Catalog,
    Change,
    Child,
    Fleet,
    Percent,
    Plan,
    PlanOptions,
    Server,
)
from reconciler.planner import plan
from tests.fakes.worlds import NOW, make_catalog, make_fleet, make_server
from tests.properties.recipes import (
    BASES,
    HEALTHY,
    NAMES,
    SINGLES,
    UNWANTED,
    Recipe,
    mostly,
    prepare_child,
    recipes,
)


@dataclass(frozen=True)
class Case:
    """A whole world and its plan. `found` maps each child's name to its recipe."""

    found: dict[str, Recipe]
    children: dict[str, Child]
    fleet: Fleet
    catalog: Catalog | None
    options: PlanOptions
    shared: tuple[Change, ...]
    others: tuple[Server, ...]
    policy: dict[str, Any]

    def planned(self, **changes: Any) -> Plan:
        case = replace(self, **changes)
        return plan(case.fleet, case.children, case.catalog, NOW, case.options, case.shared, case.others)


names = st.frozensets(st.sampled_from(NAMES))
options = st.builds(
    PlanOptions,
    allow_replace=st.one_of(names, st.booleans()),
    repair=names,
    without_copy=mostly(frozenset(), frozenset(NAMES), frozenset(NAMES[:2])),
    hibernate=mostly(frozenset(), frozenset(NAMES), frozenset(NAMES[:2])),
    rebuild=mostly({}, dict.fromkeys(NAMES), dict.fromkeys(NAMES[:2])),
    partial=mostly(False, True),
    max_destroys=mostly(9, None, None, None, None, 0, 1, Percent(50), Percent(0)),
    requests_left=mostly(None, 5, 3600),
)
GATES: Final[dict[str, list[Any]]] = {
    "max_children": [1, 4],
    "max_monthly": [Decimal(10), Decimal(45)],
    "regions": [["nbg1", "f*"], ["nbg1", "hel1", "fsn1", "mars1"]],
    "server_types": [["cx??"], ["c*"]],
    "versions": [["2026.9.*", "latest"], ["2026.9.6"], ["2026.8.*"]],
}
policies = st.fixed_dictionaries(
    {},
    optional={
        "max_destroys": st.sampled_from([0, 2, Percent(20)]),
        **{key: st.sampled_from(allowed) for key, allowed in GATES.items()},
    },
)
LOST: Final = "00000000cafecafe"  # the digest of networks whose firewall somebody has deleted
UNUSED: Final = Change(f"firewall demo-ssh-{UNWANTED}", ["in tcp 22 from 192.0.2.0/24"], None)
SHARED: Final = (Change(f"firewall demo-ssh-{LOST}", None, ["in tcp 22 from 203.0.113.0/24"]), UNUSED)
FEW, MANY = 5, 20  # of more others than that, one is under a firewall that is lost, or unwanted
cases = st.builds(
    lambda found, *rest: prepare(dict(zip(NAMES, found, strict=False)), *rest),
    st.lists(recipes, min_size=1, max_size=len(NAMES)),
    mostly(True, False),
    options,
    policies,
    st.booleans(),
    st.sampled_from([0, 0, 1, 12, 60]),
)


def prepare(
    found: dict[str, Recipe],
    prices: bool = True,
    options: PlanOptions = PlanOptions(),  # noqa: B008  # it is frozen
    policy: dict[str, Any] | None = None,
    shared: bool = False,
    others: int = 0,
) -> Case:
    kept = {name: recipe for name, recipe in found.items() if recipe.declared or recipe.there}
    children = {name: prepare_child(name, recipe) for name, recipe in kept.items()}
    under = {FEW: {"openclaw-deploy/ssh-from": LOST}, MANY: {"openclaw-deploy/ssh-from": UNWANTED}}
    strangers = tuple(make_server(f"other{number}", labels=under.get(number, {})) for number in range(others))
    fleet = make_fleet(children, policy)
    catalog = _catalog() if prices else None
    return Case(kept, children, fleet, catalog, options, SHARED if shared else (), strangers, policy or {})


def _catalog() -> Catalog:
    """All costs a euro more in hel1, where cpx22 and cax11 are sold out. Of fsn1 nobody knows what an IPv4 costs."""
    catalog = make_catalog()
    types = {
        name: replace(
            kind,
            monthly={**kind.monthly, "hel1": str(Decimal(kind.monthly["hel1"]) + 1)},
            regions={**kind.regions, **({"hel1": False} if name in ("cpx22", "cax11") else {})},
        )
        for name, kind in catalog.types.items()
    }
    ipv4 = {region: price for region, price in catalog.ipv4_monthly.items() if region != "fsn1"}
    return replace(catalog, types=types, ipv4_monthly=ipv4)


def every_single_fault() -> Iterator[Case]:
    """Each fault alone on each base, some children to a world; with replacing allowed, and without prices.

    And each gate of the policy, each limit to what is deleted in the file and on the command line, and to requests.
    """
    yield from _given_up()
    found = list(dict.fromkeys(replace(base, **{name: value}) for base in BASES for name, value in SINGLES))
    for start in range(0, len(found), len(NAMES)):
        few = dict(zip(NAMES, found[start : start + len(NAMES)], strict=False))
        yield prepare(few, options=PlanOptions(max_destroys=9))
        yield prepare(few, options=PlanOptions(allow_replace=True), others=30, shared=True)
        yield prepare(few, options=PlanOptions(hibernate=frozenset(NAMES[::2]), without_copy=frozenset(NAMES[1:])))
        yield prepare(few, prices=False, options=PlanOptions(partial=True, repair=frozenset(NAMES)), shared=True)
    yield from _gates()


def _given_up() -> Iterator[Case]:
    """A person may have said that another server shall take the place, without the memory; or nobody answers, or both.

    And who is off, and who shall sleep, and is protected.
    """
    faults: tuple[dict[str, Any], ...] = ({}, {"protect": True}, {"protect_label": "true"}, {"applied": "newer"})
    silences = (None, "timed out", "login refused")
    ways = product(faults, silences, ("", "moved", "rebuilt"), (False, True), (False, True), NAMES[:2])
    for fault, silence, other, shut, allowed, given_up in ways:
        moved: dict[str, Any] = {"regions": ("fsn1",)} if other == "moved" else {}
        rebuild = dict.fromkeys(NAMES[:1]) if other == "rebuilt" else {}
        options = PlanOptions(allow_replace=allowed, without_copy=frozenset({given_up}), rebuild=rebuild)
        yield prepare({NAMES[0]: replace(HEALTHY, silence=silence, shut=shut, **fault, **moved)}, options=options)
    for ready, enabled, given_up in product((False, True), (False, True), NAMES[:2]):
        off = replace(HEALTHY, status="off", ready=ready, enabled=enabled, regions=("fsn1",))
        options = PlanOptions(allow_replace=True, without_copy=frozenset({given_up}))
        yield prepare({NAMES[0]: off}, options=options)
    for fault, enabled, there in product(faults, (False, True), (False, True)):
        yield prepare({NAMES[0]: replace(HEALTHY, asleep="sleeps", enabled=enabled, there=there, **fault)})


def _gates() -> Iterator[Case]:
    """Of the policy alone, of the cloud's limit to requests, and notes about several children at once."""
    some = {NAMES[0]: HEALTHY, NAMES[1]: replace(HEALTHY, regions=("hel1", "nbg1"), types=("cpx22", "cx33"))}
    for key, patterns in GATES.items():
        yield from (prepare(some, policy={key: allowed}) for allowed in patterns)
    for left in (None, 5, 3600):
        new = {NAMES[2]: replace(HEALTHY, there=False)}
        yield prepare({**some, **new}, options=PlanOptions(requests_left=left), others=60)
    for many in (2, 4, 5):
        yield prepare(dict.fromkeys(NAMES[:many], replace(HEALTHY, server_type="cpx11", types=("cpx11",))))
    yield from _under_an_unwanted_firewall()
    going = dict.fromkeys(NAMES[:2], replace(HEALTHY, declared=False))
    for limit in (None, 0, 1, 2, Percent(0), Percent(100)):
        for said in (None, 0, 2):
            yield prepare(going, options=PlanOptions(max_destroys=said), policy={"max_destroys": limit})


def _under_an_unwanted_firewall() -> Iterator[Case]:
    """One child, for which each kind of action is planned, and none; that is under it, or may go back to it."""
    for fault in (
        *({}, {"ready": False}, {"types": ("cx33",)}, {"regions": ("fsn1",)}, {"declared": False}),
        *({"enabled": False}, {"enabled": False, "status": "off"}, {"status": "off"}, {"obstacle": True}),
        *({"mended": 1, "secret_drift": True}, {"mended": 1, "regions": ("fsn1",)}, {"mended": 1, "expires": -1}),
    ):
        for unproven in (False, True):
            child = replace(HEALTHY, shut=True, unproven=unproven, **fault)
            yield prepare({NAMES[0]: child}, options=PlanOptions(allow_replace=True), shared=True)
            sleeps = PlanOptions(hibernate=frozenset(NAMES[:1]))
            yield prepare({NAMES[0]: child}, options=sleeps, shared=True)
