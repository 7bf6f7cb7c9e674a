"""Worlds of children that are to have other versions than they have: what is held, what there are copies of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.managed import wanted_values
from reconciler.model import Checkpoint, Child, Hold, Percent, Plan, PlanOptions, Rollback, Rollout, Sleep, Switch
from reconciler.planner import plan
from reconciler.steps.versions import pinned, with_quarantine
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet, make_materials

NAMES: Final = ("ada", "bea", "cyd", "dot", "eve")
LOW, MIDDLE, HIGH = "2026.9.5", "2026.9.6", "2026.10.1"
VERSIONS: Final = (LOW, MIDDLE, HIGH)
MADE: Final = "2026-11-20T08:00:00+00:00"
TREES: Final = {"same": "5a" * 20, "other": "0b" * 20}


AS_USUAL: Final = Rollout()


@dataclass(frozen=True)
class Minded:
    """`at` is the linked version, `was` the one of the last apply, `going` the one that it is on its way to."""

    at: str | None
    wants: str
    was: str | None = None  # None: as it is
    held: bool = False
    copy: str | None = None
    going: str | None = None
    asked: str = ""  # retry, rollback
    there: str = "seen"  # or unwanted (shall not run), none (no server), asleep (that wakes, on what it wants), silent
    tree: str = ""  # of the linked release, where the fleet knows the one that it wants: same, other, none (no digest)
    moves: bool = False  # to another region, which is allowed
    coming: str = LOW  # the version that it is on its way from
    holds_another: bool = False  # its host has a note of a version that nobody wants
    crowd: str = ""  # more than the file says are kept there: copies, asides, or what was left; or as many as it says
    broken: str = ""  # the release that is linked: not whole, or the link leads elsewhere
    ill: str = ""  # its gateway is not ready, and its last apply has ended lately, or long ago

    @property
    def linked(self) -> str | None:
        return None if self.broken else self.at


@dataclass(frozen=True)
class World:
    children: tuple[Minded, ...]
    quarantined: str | None = None
    rollout: Rollout = AS_USUAL


def planned(world: World) -> Plan:
    quarantined = {world.quarantined: hold(world.quarantined)} if world.quarantined else {}
    children = {name: _child(name, it, quarantined) for name, it in zip(NAMES, world.children, strict=False)}
    asked = dict(zip(children, world.children, strict=True))
    options = PlanOptions(
        allow_replace=frozenset(name for name, it in asked.items() if it.moves),
        retry=frozenset(name for name, it in asked.items() if it.asked == "retry"),
        rollback={name: Rollback(copy_of(it), it.wants) for name, it in asked.items() if it.asked == "rollback"},
    )
    fleet = replace(make_fleet(children), rollout=world.rollout)
    return plan(fleet, children, make_catalog(), NOW, options, quarantined=quarantined)


def hold(version: str) -> Hold:
    return Hold(version, f"{version} never got ready", "2026-11-21T10:00:00+00:00")


def copy_of(it: Minded) -> Checkpoint:
    return Checkpoint("20261120T080000Z", it.copy or it.wants, MADE, 1)


def every_child() -> Iterator[World]:
    for it in EVERY:
        yield World((it,))
        yield World((it, Minded(MIDDLE, HIGH)), it.wants)
    for at, wants, copy in product(VERSIONS, VERSIONS, (None, LOW)):
        yield World((Minded(at, wants, copy=copy, moves=True),))
        yield World((Minded(at, wants, moves=True),), wants)
    for rollout in ROLLOUTS:
        yield World((Minded(LOW, MIDDLE),) * len(NAMES), None, rollout)
        for canary in (Minded(None, MIDDLE, there="silent"), Minded(LOW, MIDDLE, moves=True), Minded(LOW, HIGH)):
            yield World((Minded(LOW, MIDDLE), canary, Minded(MIDDLE, MIDDLE), Minded(LOW, HIGH)), None, rollout)
        yield World((Minded(LOW, MIDDLE), Minded(LOW, MIDDLE, held=True)), None, rollout)
        yield World((Minded(LOW, MIDDLE), Minded(None, MIDDLE, there="none")), None, rollout)
        yield World((Minded(LOW, MIDDLE), Minded(LOW, MIDDLE, there="unwanted")), None, rollout)
        yield World((Minded(LOW, LOW), *(Minded(LOW, MIDDLE, copy=LOW),) * 3, Minded(HIGH, HIGH)), None, rollout)
        asked, held = Minded(LOW, MIDDLE, asked="retry"), Minded(LOW, MIDDLE, held=True)
        yield World((asked, held, Minded(LOW, MIDDLE)), MIDDLE, rollout)
        for ill in ("lately", "long ago"):
            there, goes = Minded(MIDDLE, MIDDLE, ill=ill), Minded(LOW, MIDDLE)
            yield World((there, goes, replace(goes, asked="retry"), Minded(LOW, HIGH)), None, rollout)
            yield World((replace(there, there="unwanted"), goes), None, rollout)
            yield World((replace(there, wants=LOW, copy=None), goes), None, rollout)
            yield World((goes, replace(there, held=True), replace(goes, held=True)), None, rollout)


CROWDS: Final = ("copies", "asides", "left", "its last came as a backup", "another's")
EVERY: Final = (
    [
        Minded(at, wants, was, held, copy, going, asked)
        for at, wants, was, held, copy, going, asked in product(
            (*VERSIONS, None),
            VERSIONS,
            (None, LOW),
            (False, True),
            (None, LOW),
            (None, MIDDLE),
            ("", "retry", "rollback"),
        )
        if (asked != "rollback" or (copy is not None and going is None and at is not None))
        and (at is not None or was is not None)
        and (going is None or at in (LOW, MIDDLE))
    ]
    + [Minded(None, wants, there=there) for wants in VERSIONS for there in ("none", "asleep", "silent")]
    + [Minded(at, wants, held=True, there="unwanted") for at, wants in product(VERSIONS, VERSIONS)]
    + [Minded(None, wants, there="none", asked="retry") for wants in VERSIONS]
    + [
        Minded(at, wants, held=held, holds_another=True)
        for at, wants, held in product(VERSIONS, VERSIONS, (False, True))
    ]
    + [Minded(MIDDLE, MIDDLE, crowd=crowd) for crowd in (*CROWDS, "as declared", "with its last")]
    + [Minded(MIDDLE, MIDDLE, going=MIDDLE, coming=MIDDLE, crowd=crowd) for crowd in CROWDS]
    + [Minded(at, wants, copy=wants) for at, wants in product(VERSIONS, VERSIONS)]
    + [Minded(at, LOW, HIGH, going=LOW, coming=HIGH) for at in (LOW, HIGH)]
    + [
        Minded(at, wants, LOW, copy=copy, broken=broken)
        for at, wants, copy, broken in product(VERSIONS, VERSIONS, (None, LOW), ("in part", "elsewhere"))
    ]
    + [Minded(at, at, ill=ill) for at, ill in product(VERSIONS, ("lately", "long ago"))]
    + [Minded(at, wants, tree=tree) for at, wants, tree in product(VERSIONS, VERSIONS, ("same", "other", "none"))]
)
CROWD: Final = tuple(Checkpoint(f"2026112{day}T080000Z", "2026.9.1", MADE, 1) for day in range(4))  # three are kept
LEFT: Final = tuple(replace(copy, id=copy.id.replace("08", "09", 1), is_left=True) for copy in CROWD)
WAYS: Final = tuple(Checkpoint(f"2026112{day}T080000Z", f"2026.9.{day + 1}", MADE, 1) for day in range(3))
LAST: Final = Checkpoint("20261124T080000Z", MIDDLE, MADE, 1)
COPIES: Final = {
    "copies": CROWD,
    "left": LEFT,
    "as declared": (*CROWD[:3], *LEFT[:3]),
    "with its last": (*WAYS, LAST),
    "its last came as a backup": (*WAYS, replace(LAST, archive="0" * 64)),
    "another's": (replace(LAST, of="bob"),),
}
ROLLOUTS: Final = (
    Rollout(),
    Rollout(canaries=0, batch=2),
    Rollout(canaries=2, batch=1),
    Rollout(canaries=("e*", "bea"), batch=Percent(50)),
)
worlds: Final = st.builds(
    World,
    st.lists(st.sampled_from(EVERY), min_size=1, max_size=len(NAMES)).map(tuple),
    st.sampled_from((None, *VERSIONS)),
    st.sampled_from(ROLLOUTS),
)


def _child(name: str, it: Minded, quarantined: dict[str, Hold]) -> Child:
    """As a look has it: what is wanted is of the version that the child is brought to."""
    if it.there not in ("seen", "unwanted"):
        case: dict[str, Any] = {"silence": "timed out"} if it.there == "silent" else {"server": None}
        sleep = Sleep("20261120T080000Z", name, is_waking=True) if it.there == "asleep" else None
        return replace(make_child(name, {"spec": {"version": it.wants}, **case}), asleep=sleep)
    wants = copy_of(it).version if it.asked == "rollback" else it.wants
    applied = it.was or it.at or LOW
    more = {"regions": ["hel1"]} if it.moves else {"enabled": it.there == "seen"}
    child = make_child(name, {"spec": {"version": wants, **more}, "applied_spec": {"version": applied}})
    assert child.facts is not None
    assert child.spec is not None
    link, tree = f"/opt/openclaw/releases/{'other' if it.broken == 'elsewhere' else it.at}", TREES.get(it.tree)
    is_whole = it.at is not None and it.broken != "in part"
    release = {"version": it.at, "link": link, "complete": is_whole, "tree": tree}
    assert child.facts.applied is not None
    ended = NOW - timedelta(days=2 if it.ill == "long ago" else 0, hours=3)
    facts = replace(
        child.facts,
        applied=replace(child.facts.applied, at=ended.isoformat()),
        gateway=replace(child.facts.gateway, version=it.coming if it.going else it.linked or applied, ready=not it.ill),
        managed={**child.facts.managed, "release": {**_as_map(child.facts.managed["release"]), **release}},
        checkpoints=(copy_of(it),) if it.copy else COPIES.get(it.crowd, ()),
        asides=tuple(f"{copy.id}@{copy.version}" for copy in CROWD) if it.crowd == "asides" else (),
        noted=(*([hold("2026.9.1")] if it.holds_another else []), *([hold(it.wants)] if it.held else [])),
        switch=Switch(it.coming, it.going, "20261126T120000Z", is_made=True) if it.going else None,
    )
    is_free = it.asked in ("retry", "rollback")
    facts = replace(facts, held=None) if is_free else with_quarantine(facts, child.spec, quarantined)
    materials = replace(make_materials(name), tree=TREES["same"] if it.tree else None)
    wanted = wanted_values(pinned(child.spec, facts), materials)
    return replace(child, facts=facts, wanted=wanted)


def _as_map(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value
