"""Every step that acts on a host is interrupted in its middle, on a real machine, and the next apply reaches the facts.

Three things happen to each step: its operator is killed, the network is cut, the machine is reset; the operator is dead
afterwards in any case. What the step has brought about is undone before each, so that it is at work again right after
the machine was reached. One story in order. The first apply of kim is cut off again and again before it gets to a
start; once its unit is enabled a reset starts the gateway all the same, so starts are counted only after those. Nothing
happens to calm, which kim is compared with in the end.

Steps that send nothing to a host (power on, backups, ssh from) are in test_interruptions_simulated.py, as is every
single command.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.network import machine_namespace
from tests.crash.comparing import differences
from tests.e2e.machinery import Operator, wait_until
from tests.e2e.striking import BRIDGE, ORDER, Fate, Place, Running, plug
from tests.kills.comparing import comparable_facts

pytestmark = pytest.mark.e2e

OTHER_WORDS: Final = {"files": {"SOUL.md": {"text": "You are somebody else.\n", "mode": "managed"}}}
LOCK: Final = "/run/openclaw-deploy.lock"  # whatever an operator that was killed has left at work on the host holds it


@dataclass(frozen=True)
class Middle:
    """The middle of a step is `seconds` after the machine was reached, when root has run `undo` there before.

    It waits for what an operator that was killed has left at work on the host, or is left out then.
    """

    step: str
    undo: str
    seconds: float
    waits: bool = True

    def undone(self) -> str:
        return f"flock {'-w 100' if self.waits else '-n'} {LOCK} sh -c {shlex.quote(self.undo)}"


MIDDLES: Final = (
    Middle("host key", f"rm -f {files.HOST_KEY_PATH}.pub", 0.2),
    Middle("login", f"rm -f {files.SSHD_PATH}", 0.2),
    Middle("packages", "dpkg --remove --force-depends xz-utils", 1.0),
    Middle("firewall", "ufw --force disable", 0.5),
    Middle("metadata closed", f"systemctl stop {files.METADATA_UNIT}", 0.05),
    Middle("account", f"usermod --shell /bin/sh {files.SERVICE_USER}", 0.02),
    Middle("directories", f"rm -rf {files.SECRETS_DIRECTORY}", 0.05),
    Middle("node", f"rm -rf /opt/openclaw/node-{files.NODE_VERSION}", 1.0),
    Middle("release", f"rm -rf {files.RELEASES}/* {files.CURRENT}", 8.0, waits=False),
    Middle("secrets", f"rm -f {files.SECRETS_DIRECTORY}/*", 0.05),
    Middle("unit", f"systemctl disable {files.UNIT}; rm -f {files.UNIT_PATH} {files.STAMP_PATH}", 0.05),
    Middle("config", f"rm -f {files.CONFIG_PATH}", 0.5),
    Middle("files", f"rm -f {files.WORKSPACE}/SOUL.md", 0.02),
)


@pytest.fixture(scope="module")
def place(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Place]:
    operator = Operator(tmp_path_factory.mktemp("steps"), operator_home)
    operator.fleet("init", "--sandbox", "--name", "steps")
    place = Place(operator, sandbox)
    place.declare(kim={})
    yield place
    operator.fleet("destroy", "--all", "--yes")


def test_every_step_is_in_the_table() -> None:
    elsewhere = {"power on", "way in", "backups", "ssh from"} | {"reach", "begin", "start", "prove healthy", "record"}
    assert {middle.step for middle in MIDDLES} == set(ORDER) - elsewhere


def test_first_boot_is_interrupted(place: Place) -> None:
    """The step `reach` waits for it."""
    running = Running(place.operator)
    wait_until(lambda: place.creates() == ["steps-kim"], "the server is posted")
    running.kill()
    wait_until(lambda: Path(f"/run/netns/{machine_namespace(place.machine())}").exists(), "its machine is there")
    plug(place.machine(), "nomaster")
    running = Running(place.operator)
    time.sleep(3)  # nobody answers
    running.kill()
    plug(place.machine(), "master", BRIDGE)
    place.strike("reach", 0, Fate.RESET)


@pytest.mark.parametrize("middle", MIDDLES, ids=lambda middle: middle.step)
def test_a_step_is_interrupted(place: Place, middle: Middle) -> None:
    for fate in Fate:
        place.as_root(middle.undone())
        place.strike("reach", middle.seconds, fate)
    place.as_root(middle.undone())
    place.strike(middle.step, 0, Fate.KILLED)  # once it is done, so that the next one comes right after `reach`
    assert place.creates() == ["steps-kim"]


def test_the_start_is_interrupted(place: Place) -> None:
    before = count_from_here(place)
    place.strike("start", 0, Fate.KILLED)
    place.strike("reach", 3, Fate.CUT)  # it proves that the gateway is healthy
    place.strike("prove healthy", 0, Fate.KILLED)  # it records
    place.operator.fleet("apply", "--yes")
    assert starts_of(place) == before + 1


def test_an_update_is_interrupted(place: Place) -> None:
    """The steps `begin` and `files`; the reset is the gateway's only start."""
    starts = starts_of(place)
    place.declare(kim=OTHER_WORDS)
    place.strike("reach", 0.05, Fate.KILLED)
    place.strike("reach", 0.05, Fate.CUT)
    before = place.as_root("cat /proc/sys/kernel/random/boot_id")
    place.strike("reach", 0.05, Fate.RESET)
    wait_until(lambda: place.as_root("cat /proc/sys/kernel/random/boot_id") != before, "the machine is back")
    place.operator.fleet("apply", "--yes")
    assert starts_of(place) == starts + 1


def test_it_is_as_a_child_that_nothing_happened_to(place: Place) -> None:
    starts = starts_of(place)
    place.declare(kim=OTHER_WORDS, calm=OTHER_WORDS)
    place.operator.fleet("apply", "--yes", timeout=900)
    planned = place.look()
    assert planned.plan.is_empty
    found = {name: comparable_facts(child.facts) for name, child in planned.children.items()}
    assert not list(differences(found["kim"], found["calm"]))
    assert place.creates() == ["steps-calm", "steps-kim"]
    gateway = planned.children["kim"].facts.gateway  # type: ignore[union-attr]
    assert place.look().children["kim"].facts.gateway.main_pid == gateway.main_pid  # type: ignore[union-attr]
    assert starts_of(place) == starts


def count_from_here(place: Place) -> int:
    """With no start under way: systemd tries five times to start a gateway that has no configuration yet."""
    place.as_root(f"systemctl stop {files.UNIT}; systemctl reset-failed {files.UNIT}")
    return starts_of(place)


def starts_of(place: Place) -> int:
    """How often systemd has started kim's gateway, over all boots."""
    unit = shlex.quote(files.UNIT)
    return int(place.as_root(f"journalctl -q -o cat -u {unit} | grep -c '^Started ' || true"))
