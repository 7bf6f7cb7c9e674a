"""Which of the commands that a host is sent belong to which step: found out in memory, for use over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler.model import ChildSpec, SecretRef
from reconciler.steps import Step
from reconciler.steps.firewalls import ensure_fleet_resources
from reconciler.steps.trees import Trees
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost
from tests.fakes.works import make_work

CHILD, FIRST = "alice", "calm"

# Steps with something to do only where a child gets another version, another server, a memory, a new name or a bot's
# profile, or is a throw-away: "fence", "compare memory" and "prove memory" are of those alone. tests/crash dies at all
# of their effects, in memory (of throw-aways: test_keeping.py), and test_kills.py at seeded moments over the wire, as
# far as another version or another server needs them.
SWITCHING: Final = {"settle", "room", "archive", "checkpoint", "switch", "prove lasting", "keep", "prune"}
REMEMBERING: Final = {
    "silence others", "fence", "memory", "compare memory", "prove memory", "awake", "other servers", "rename",
    "bot profile",
}  # fmt: skip

Spans = dict[str, range]


def spans(world: FakeFleet, steps: Sequence[Step]) -> Spans:
    """For each step the numbers of its commands, counted from the first one of these steps; only steps that send any.

    The steps are done, for another child before: the first one that gets a release has more to do than all others.
    """
    trees = Trees()  # what one run knows of releases
    spans_of(world, FIRST, steps, trees)
    return spans_of(world, CHILD, steps, trees)


def spans_of(world: FakeFleet, child: str, steps: Sequence[Step], trees: Trees) -> Spans:
    work, note = make_work(world, child)
    work.trees = trees
    work.ssh_key_id = ensure_fleet_resources(world.fleet(), world.ports(), note)
    found, begun = Spans(), _sent(world)
    for step in steps:
        before = _sent(world)
        step.ensure(work)
        found[step.name] = range(before - begun, _sent(world) - begun)
    return {name: span for name, span in found.items() if span}


def fleet_of(state: Path, spec: ChildSpec) -> FakeFleet:
    """Two children, not made yet, as a fleet file declares one of them."""
    world = FakeFleet(state, (FIRST, CHILD))
    world.specs = {name: replace(spec, name=name, bot_token=SecretRef("env", name)) for name in world.names}
    return world


def _sent(world: FakeFleet) -> int:
    hosts: list[FakeHost] = list(world.dialer.hosts.values())
    return sum(len(host.ran) for host in hosts)
