"""Every step that acts on a host is interrupted in its middle, on a real machine, and the next apply reaches the facts.

Three things happen within each step: its operator is killed, the network is cut, the machine is reset; the operator is
dead afterwards in any case. What the step has brought about is undone before each, and after each the facts are those
of before, field by field. One story in order: kim's first apply does not come to its end until all its steps were
interrupted, then the steps follow that only a child has that runs. Nothing happens to calm, which kim is compared with
in the end.

Steps that send nothing to a host (power on, backups, ssh from) are in tests/kills/test_interruptions.py, as is every
single command; another version is interrupted in test_versions.py, in every way that a switch can be.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.managed import files
from reconciler.model import HostFacts
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.network import machine_namespace
from tests.crash.comparing import differences
from tests.e2e.machinery import Operator, wait_until
from tests.e2e.striking import BRIDGE, ORDER, START_ORDER, Fate, Place, Running, plug
from tests.kills.comparing import comparable_facts
from tests.kills.spans import REMEMBERING, SWITCHING

pytestmark = pytest.mark.e2e

LOCK: Final = "/run/openclaw-deploy.lock"  # whatever an operator that was killed has left at work on the host holds it
STOP: Final = f"systemctl stop {files.UNIT}"
SOUL: Final = f"{files.WORKSPACE}/SOUL.md"
KEPT: Final = "/root/applied.json"
# The note of an apply in which SOUL.md had other words: that it differs is a change, and no drift that anybody counts.
KEEP: Final = (
    f'python3 -c \'import json; note = json.load(open("{files.APPLIED_PATH}")); '
    f'note["digests"]["workspace files"] = ""; json.dump(note, open("{KEPT}", "w"))\''
)
CHANGE: Final = f"install -m 0600 {KEPT} {files.APPLIED_PATH}; rm -f {SOUL}"


@dataclass(frozen=True)
class Middle:
    """The middle of a step is `seconds` after it began, when root has run `undo` on the machine before.

    It waits for what an operator that was killed has left at work on the host, or is left out then. The gateway is
    stopped before, so that no reset is one that it counts among its unclean ends.
    """

    step: str
    undo: str
    seconds: float
    waits: bool = True

    def undone(self) -> str:
        return f"flock {'-w 100' if self.waits else '-n'} {LOCK} sh -c {shlex.quote(self.undo)}"


FIRST: Final = (
    Middle("host key", f"rm -f {files.HOST_KEY_PATH}.pub", 0.2),
    Middle("login", f"rm -f {files.SSHD_PATH}", 0.2),
    Middle("packages", "dpkg --remove --force-depends xz-utils", 1.0),
    Middle("firewall", "ufw --force disable", 0.5),
    Middle("account", f"usermod --shell /bin/sh {files.SERVICE_USER}", 0.02),
    Middle("metadata closed", f"systemctl stop {files.METADATA_UNIT}", 0.05),
    Middle("directories", f"rm -rf {files.SECRETS_DIRECTORY}", 0.05),
    Middle("node", f"rm -rf /opt/openclaw/node-{files.NODE_VERSION}", 1.0),
    Middle("release", f"rm -rf {files.RELEASES}/* {files.CURRENT}", 8.0, waits=False),
    Middle("secrets", f"rm -f {files.SECRETS_DIRECTORY}/*", 0.05),
    Middle("unit", f"systemctl disable {files.UNIT}; rm -f {files.UNIT_PATH} {files.STAMP_PATH}", 0.05),
    Middle("config", f"rm -f {files.CONFIG_PATH}", 0.5),
    Middle("files", f"rm -f {SOUL}", 0.02),
)
STARTING: Final = (Middle("start", STOP, 0.6), Middle("prove healthy", STOP, 3.0))
CHANGING: Final = (Middle("begin", CHANGE, 0.01), Middle("record", CHANGE, 0.05))


@pytest.fixture(scope="module")
def place(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Place]:
    operator = Operator(tmp_path_factory.mktemp("steps"), operator_home)
    operator.fleet("init", "--sandbox", "--name", "steps")
    place = Place(operator, sandbox)
    place.declare("kim")
    yield place
    operator.fleet("destroy", "--all", "--yes")


def test_every_step_is_in_a_table() -> None:
    elsewhere = {"power on", "way in", "backups", "ssh from", "reach"}
    assert {middle.step for middle in (*FIRST, *STARTING, *CHANGING)} == set(
        ORDER
    ) - elsewhere - SWITCHING - REMEMBERING


def test_first_boot_is_interrupted(place: Place) -> None:
    """The step `reach` waits for it."""
    running = Running(place.operator)
    wait_until(lambda: place.creates() == ["steps-kim"], "the server is posted")
    running.kill()
    wait_until(lambda: Path(f"/run/netns/{machine_namespace(place.machine())}").exists(), "its machine is there")
    plug(place.machine(), "nomaster")
    running = Running(place.operator)
    running.await_begin("reach")
    time.sleep(3)  # nobody answers
    running.kill()
    assert running.is_within("reach")
    plug(place.machine(), "master", BRIDGE)
    place.go_on("reach")
    place.strike("reach", Fate.RESET, 0.05, lambda: None)


@pytest.mark.parametrize("middle", FIRST, ids=lambda middle: middle.step)
def test_a_step_of_the_first_apply_is_interrupted(place: Place, middle: Middle) -> None:
    """The next apply writes all that there is to write and dies in its start, which would take most of the time."""
    place.go_on("files")
    before = written(place)
    for fate in Fate:
        place.strike(middle.step, fate, middle.seconds, lambda: place.as_root(f"{STOP}; {middle.undone()}"))
        place.go_on("files")
        assert list(differences(written(place), before)) == [], fate
    assert place.creates() == ["steps-kim"]


def test_the_first_apply_ends(place: Place) -> None:
    """No start is under way: systemd tries five times to start a gateway that has no configuration yet."""
    place.as_root(f"{STOP}; systemctl reset-failed {files.UNIT}")
    before = starts_of(place)
    place.operator.fleet("apply", "--yes", timeout=900)
    assert starts_of(place) == before + 1
    assert place.look().plan.is_empty
    place.as_root(KEEP)


@pytest.mark.parametrize("middle", [*STARTING, *CHANGING], ids=lambda middle: middle.step)
def test_a_step_of_a_child_that_is_finished_is_interrupted(place: Place, middle: Middle) -> None:
    """A start is one that the step or the reset has made, and none that the next apply adds to it."""
    before, starts, own = facts_of(place), 0, int(middle in STARTING)

    def undo() -> None:
        nonlocal starts
        place.as_root(middle.undone())
        starts = starts_of(place)

    for fate in Fate:
        place.strike(middle.step, fate, middle.seconds, undo, START_ORDER if own else ORDER)
        place.operator.fleet("apply", "kim", "--yes")
        assert differing(place, before) == [], fate
        assert starts_of(place) - starts in ({1, own + 1} if fate is Fate.RESET else {own}), fate
    assert place.creates() == ["steps-kim"]


def test_it_is_as_a_child_that_nothing_happened_to(place: Place) -> None:
    starts = starts_of(place)
    place.declare("kim", "calm")
    place.operator.fleet("apply", "--yes", timeout=900)
    planned = place.look()
    assert planned.plan.is_empty
    found = {name: lasting_facts(child.facts) for name, child in planned.children.items()}
    assert list(differences(found["kim"], found["calm"])) == []
    assert place.creates() == ["steps-calm", "steps-kim"]
    assert starts_of(place) == starts


def written(place: Place) -> dict[str, Any]:
    """Everything of ours on the host as the probe sees it, but for whether the gateway runs: a reset starts it."""
    facts = place.look().children["kim"].facts
    assert facts is not None
    found = {name: value for name, value in facts.managed.items() if name != "gateway"}
    unit = facts.managed["gateway"]
    return {**found, "gateway": unit["enabled"] if isinstance(unit, dict) else unit}


def differing(place: Place, before: dict[str, Any]) -> list[str]:
    """What is not as before, when a gateway that a reset has started has had its time."""
    deadline = time.monotonic() + 60
    while (found := list(differences(facts_of(place), before))) and time.monotonic() < deadline:
        time.sleep(1)
    return found


def facts_of(place: Place) -> dict[str, Any]:
    return lasting_facts(place.look().children["kim"].facts)


def lasting_facts(facts: HostFacts | None) -> dict[str, Any]:
    """Without what a gateway that runs has written to its log within the last minutes."""
    found = comparable_facts(facts)
    if found:
        found["gateway"].pop("errors")
    return found


def starts_of(place: Place) -> int:
    """How often systemd has started kim's gateway, over all boots."""
    unit = shlex.quote(files.UNIT)
    return int(place.as_root(f"journalctl -q -o cat -u {unit} | grep -c '^Started ' || true"))
