"""Worlds of raw servers, as a cloud project holds them: of this fleet, of others, of nobody, and in doubt.

All of them are off, so that a look needs no host, and each declared child is to run: whatever a plan does is to be
seen by its actions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from reconciler import keys
from reconciler.model import Child, Fleet, Plan, PlanOptions, Server
from reconciler.observe import observe
from reconciler.planner import plan
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY, NOW, make_server
from tests.properties.recipes import LONG_AGO

OURS: Final = keys.fleet_id(FLEET_KEY)
THEIRS: Final = "0123456789abcdef"
DECLARED: Final = ("ada", "bea", "cyd")
MOVES: Final[tuple[dict[str, str], ...]] = (  # new name -> old name
    {},
    {"ada": "old"},
    {"ada": "old", "old": "older"},
    {"ada": "old", "bea": "older"},
)
# The last four are no names that this fleet gives; three are those of its children without the fleet's.
NAMES: Final = (
    *(f"demo-{child}" for child in (*DECLARED, "old", "older", "zoe")),
    *("ada", "bea", "zoe", "web"),
)
ELSEWHERE: Final = ("stage-ada", "stage-zoe")  # as another fleet names its servers
LABELS: Final = ("ada", "bea", "old", "older", "zoe", None)


@dataclass(frozen=True)
class Raw:
    """A server's whole name, and of its labels what tells whose it is. `fleet_id` is None where nobody's label is."""

    name: str
    child: str | None
    has_uid: bool = True
    fleet_id: str | None = OURS
    fleet: str = "demo"


@dataclass(frozen=True)
class Project:
    """`servers` in the order in which the cloud lists them, by id: a cloud gives each name once."""

    servers: dict[int, Raw]
    moved: dict[str, str]

    def backwards(self) -> Project:
        return Project(dict(reversed(self.servers.items())), self.moved)


@dataclass(frozen=True)
class Found:
    fleet: Fleet
    children: dict[str, Child]
    plan: Plan


def look(project: Project) -> Found:
    """One look and its plan."""
    world = FakeFleet(Path("nowhere"), DECLARED)
    world.moved = dict(project.moved)
    for number, raw in project.servers.items():
        world.cloud.add(_server(number, raw))
    fleet = world.fleet()
    seen = observe(fleet, world.ports())
    options = PlanOptions(max_destroys=len(NAMES), without_copy=frozenset(seen.children))  # all of them are off
    return Found(fleet, seen.children, plan(fleet, seen.children, seen.catalog, NOW, options, (), seen.others))


def every_pair() -> Iterator[Project]:
    """Each server that may be, beside none, beside its namesake's rightful one, and beside each that moves bring."""
    raws = [Raw(*values) for values in product(NAMES, LABELS, (True, False), (OURS,))]
    raws += [Raw(name, child, True, whose) for name, child, whose in product(NAMES, ("ada", None), (THEIRS, None))]
    raws += [
        Raw(name, child, has_uid, OURS, "stage") for name, child, has_uid in product(ELSEWHERE, LABELS, (True, False))
    ]
    for number, raw in enumerate(raws):
        beside = [_rightful(child) for child in ("ada", "bea", "old", "zoe")[: number % 5]]
        yield _project([raw, *beside], MOVES[number % len(MOVES)])
        yield _project([*beside, raw], MOVES[(number // 4) % len(MOVES)])


def _rightful(child: str) -> Raw:
    return Raw(f"demo-{child}", child)


def _project(raws: list[Raw], moved: dict[str, str]) -> Project:
    by_name = {raw.name: raw for raw in raws}
    return Project({1000 + number: raw for number, raw in enumerate(by_name.values())}, moved)


rightful: Final = st.builds(_rightful, st.sampled_from([*DECLARED, "old", "older", "zoe"]))
strange: Final = st.builds(
    Raw,
    st.sampled_from(NAMES),
    st.sampled_from(LABELS),
    st.booleans(),
    st.sampled_from([OURS, OURS, OURS, THEIRS, None]),
)
elsewhere: Final = st.builds(
    Raw, st.sampled_from(ELSEWHERE), st.sampled_from(LABELS), st.booleans(), st.just(OURS), st.just("stage")
)
projects: Final = st.builds(
    _project, st.lists(st.one_of(rightful, strange, elsewhere), max_size=6), st.sampled_from(MOVES)
)


def _server(number: int, raw: Raw) -> Server:
    labels = {
        "openclaw-deploy/child": raw.child,
        "openclaw-deploy/fleet-id": raw.fleet_id,
        "openclaw-deploy/fleet": raw.fleet,
    }
    if not raw.has_uid:
        labels["openclaw-deploy/uid"] = None
    return make_server("", id=number, name=raw.name, status="off", server_type="cpx22", created=LONG_AGO, labels=labels)
