"""An apply that failed in its middle is seen by the next plan, although nothing differs that a look could see."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import CommandFailed
from reconciler.model import OutcomeCode, SecretRef
from tests.crash.scenarios import meddle
from tests.fakes.fleets import FakeFleet


def test_an_apply_that_did_not_end_is_seen_although_nothing_differs(state: Path) -> None:
    world = FakeFleet(state, ("alice",)).applied()
    meddle(world.host("alice"))
    world.host("alice").fails = [("reload sshd", CommandFailed("sshd does not start"))]
    world.host("alice").gateway.start(None)
    outcomes = [world.apply()[0].code, world.apply()[0].code]
    assert outcomes == [OutcomeCode.FAILED, OutcomeCode.DONE]
    world.host("alice").fails = [("restart openclaw-gateway", CommandFailed("it does not start"))]
    world.change("alice", bot_token=SecretRef("env", "OTHER_BOT_TOKEN"))
    world.apply()
    assert world.planned() == ["update alice: unfinished"]
    world.applied()
    assert world.planned() == []
