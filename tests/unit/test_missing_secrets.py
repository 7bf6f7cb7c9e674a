"""A secret that cannot be resolved here is one child's matter: the others are planned for, looked at and applied."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.ports import Ports, Secrets
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

NEW = "2026.9.7"


class Lacking:
    """Resolves all but the bot token of alice."""

    def __init__(self, inner: Secrets, missing: SecretRef) -> None:
        self._inner, self._missing = inner, missing

    def bot_token(self, reference: SecretRef) -> Secret:
        if reference == self._missing:
            raise SecretError(f"{reference} is not set", "set it")
        return self._inner.bot_token(reference)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class Forgetful(FakeFleet):
    lacks: bool = False

    def ports(self) -> Ports:
        found = super().ports()
        return replace(found, secrets=Lacking(found.secrets, self.specs["alice"].bot_token)) if self.lacks else found


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = Forgetful(state, ("alice", "bob"))
    world.applied()
    world.lacks = True
    return CommandLine(world, capsys)


def test_the_others_are_planned_for_and_applied(fleet: CommandLine) -> None:
    for name in ("alice", "bob"):
        fleet.world.change(name, version=NEW)
    said = fleet("plan")
    assert (said.code, "bob  update" in said.out, "alice  update" in said.out) == (1, True, False), said
    assert "Error: alice: " in said.out
    assert "is not set" in said.out
    applied = fleet("apply", "--yes")
    assert (applied.code, fleet.world.host("bob").gateway.version) == (3, NEW), applied
    assert fleet.world.host("alice").gateway.version == "2026.9.6"


def test_it_is_looked_at_all_the_same(fleet: CommandLine) -> None:
    rows = json.loads(fleet("status", "--json").out)
    assert [(row["child"], row["health"]) for row in rows] == [("alice", "HEALTHY"), ("bob", "HEALTHY")]
    assert fleet("diagnose", "--all").code == 0
    fleet.world.host("alice").gateway.stop()
    found = json.loads(fleet("diagnose", "--all", "--json").out)
    assert (found["alice"]["cause"], found["bob"]["cause"]) == ("stopped", None)
