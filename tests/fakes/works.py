"""One child's Work on a FakeFleet, for tests of single steps; `notes` are the journal's lines of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model import Json
from reconciler.steps import Work
from tests.fakes.fleets import FakeFleet

RUN = "00000000000000aa"


@dataclass
class Notes:
    lines: list[tuple[str, dict[str, Json]]] = field(default_factory=list)

    def __call__(self, event: str, durable: bool = False, **fields: Json) -> None:
        """An intent must be on the disk before its effect."""
        assert durable or not event.endswith("-intended"), event
        self.lines.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


def make_work(world: FakeFleet, name: str) -> tuple[Work, Notes]:
    """As the engine makes it for a plan of this moment."""
    notes = Notes()
    server = next((server for server in world.cloud.by_id.values() if server.child == name), None)
    return Work(world.fleet(), name, world.specs.get(name), world.ports(), RUN, notes, server=server), notes
