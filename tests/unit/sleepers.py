"""alice, who was told something, and what becomes of that while she sleeps, wakes and moves."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

DOG: Final = "my dog is called Bello"
CAT: Final = "my cat is called Tom"


def told(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state).applied()
    world.host("alice").gateway.remember(DOG)
    return CommandLine(world, capsys)


def lose(world: FakeFleet, name: str) -> None:
    """Its server was deleted outside."""
    del world.cloud.by_id[world.server(name).id]


def memory(fleet: CommandLine, name: str) -> list[str]:
    return list(fleet.world.host(name).gateway.memory)
