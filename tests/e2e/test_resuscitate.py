"""Faults on a real machine, and the rung of the ladder that mends each; what the bot was told stays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.managed import files
from reconciler.model import Cause
from reconciler.sandbox.client import SandboxClient
from reconciler.steps.rungs import KILLED
from tests.e2e.faults import FAULTS, PAIRS, Fault, little_memory
from tests.e2e.machinery import ask_cloud, wait_until
from tests.e2e.minds import NEWER, RecordProperty, Story, timed, told
from tests.extent import FULL

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("ill"), operator_home) as made:
        made.declare(NEWER)
        made.operator.fleet("apply", "--yes", timeout=900)
        made.tell("my dog is called Bello")
        yield made


SHOWN: Final = (*FAULTS, *PAIRS) if FULL else FAULTS[1:2]


@pytest.mark.parametrize("fault", SHOWN, ids=[fault.name for fault in SHOWN])
def test_a_fault_is_mended_by_its_rung(story: Story, fault: Fault, record_property: RecordProperty) -> None:
    """Or it is left, with what shows it, where only a person can mend it."""
    forget_boots(story)
    with fault.outside(story):
        if fault.shell != ":":
            story.root(fault.shell, None)
            time.sleep(fault.settles)
        wait_until(lambda: diagnosed(story) == fault.cause, fault.cause, 120)
        assert watched(story) == fault.cause
        with timed(record_property, f"from {fault.name} to a gateway that is well"):
            said = story.operator.fleet("resuscitate", "ada", "--yes", "--again", "--json", code=None, timeout=900)
    rescue = json.loads(said)["ada"]
    climbed = tuple(it["rung"] for it in rescue["tries"])
    assert (climbed, rescue["now"], rescue["found"]) == (fault.rungs, fault.now, fault.cause), rescue
    story.root(fault.undo, None)
    assert "Bello" in story.tell("what is my dog called?")


def test_channels_that_are_held_back_are_started(story: Story) -> None:
    """As after three ends without warning in five minutes: the gateway is ready, and hears nobody."""
    for _ in range(3):
        story.root(f"systemctl kill --signal=KILL {files.UNIT}")
        wait_until(lambda: story.operator.status()["ada"]["gateway"]["version"] == NEWER, "it is up again", 120)
    wait_until(lambda: diagnosed(story) in ("channels-suppressed", None), "it says what it holds back", 120)
    assert diagnosed(story) == "channels-suppressed"
    said = story.operator.fleet("resuscitate", "ada", "--yes", "--again", "--json", timeout=900)
    assert [it["rung"] for it in json.loads(said)["ada"]["tries"]] == ["channel"]
    assert "Bello" in story.tell("what is my dog called?")


def test_a_gateway_that_the_kernel_ends_for_want_of_memory_is_called_that(story: Story) -> None:
    """What it is given again it comes back with; its channels too, which it holds back after so many ends."""
    story.root(f"systemctl stop {files.UNIT}")  # a limit below what is in use is refused
    with little_memory(story):
        story.root(f"systemctl start --no-block {files.UNIT}", None)
        wait_until(lambda: diagnosed(story) == Cause.OUT_OF_MEMORY, Cause.OUT_OF_MEMORY, 240)
    said = story.operator.fleet("resuscitate", "ada", "--yes", "--again", "--json", code=None, timeout=900)
    assert json.loads(said)["ada"]["now"] is None, said
    assert "Bello" in story.tell("what is my dog called?")


def forget_boots(story: Story) -> None:
    """Nobody waits for five minutes because of the fault before: each is by itself, as it is for who has one."""
    row = ask_cloud("GET", f"/servers/{story.machine()}")["server"]
    labels = {name: value for name, value in row["labels"].items() if name != KILLED}
    ask_cloud("PUT", f"/servers/{row['id']}", json={"labels": labels})


def diagnosed(story: Story) -> str | None:
    found: str | None = json.loads(story.operator.fleet("diagnose", "ada", "--json", code=None))["ada"]["cause"]
    return found


def watched(story: Story) -> str | None:
    """By the next pass of a watch, which asks otherwise."""
    said = story.operator.fleet("monitor", "--json", "--no-alerts", "--only-look", code=2)
    found: list[dict[str, str]] = json.loads(said)["children"]["ada"]["troubles"]
    return found[0]["cause"] if found else None
