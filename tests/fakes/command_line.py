"""`fleet` as a person calls it, on a FakeFleet: what it says on both streams, and its exit code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import FleetClient
from reconciler.cli.main import run
from reconciler.model import Secret
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


@dataclass(slots=True)
class CommandLine:
    """`fleet("plan", "alice")`: a new process, as far as the world can tell.

    `changes` are fields of the Fleet that the file now has otherwise.
    """

    world: FakeFleet
    capsys: pytest.CaptureFixture[str]
    changes: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> Said:
        code = run(["--state-dir", str(self.world.state), *arguments], self.open)
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def open(self, path: Path, state: Path, progress: Any, *, key: Secret | None = None, **options: Any) -> FleetClient:
        """As FleetClient.load."""
        ports = replace(self.world.ports(), progress=progress, fleet_key=key or FLEET_KEY)
        return FleetClient(replace(self.world.fleet(), **self.changes), ports)
