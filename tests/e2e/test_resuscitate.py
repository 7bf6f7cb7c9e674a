"""Faults on a real machine, and the rung of the ladder that mends each; what the bot was told stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import wait_until
from tests.e2e.minds import NEWER, RecordProperty, Story, shell, timed, told
from tests.extent import FULL

pytestmark = pytest.mark.e2e

CONFIG: Final = files.CONFIG_PATH
LISTEN: Final = f"import socket, time; s = socket.create_server(('127.0.0.1', {files.PORT})); time.sleep(600)"
RESTART: Final = f"systemctl restart {files.UNIT}"
END: Final = f"systemctl stop {files.UNIT}"
UNKNOWN_KEY: Final = (
    f'{END}; python3 -c \'import json; p = "{CONFIG}"; c = json.load(open(p)); c["surprise"] = 1; '
    'json.dump(c, open(p, "w"))\'; ' + f"systemctl start {files.UNIT}"
)
# By a stranger, whom systemd started as a unit of its own; and a gateway that somebody has started by hand.
TAKEN: Final = f"{END}; systemd-run --quiet --collect --unit=stranger python3 -c {shell(LISTEN)}; sleep 1"
BY_HAND: Final = (
    f"{END}; cd {files.HOME}; setsid runuser -u {files.SERVICE_USER} -- env HOME={files.HOME} OPENCLAW_NO_RESPAWN=1 "
    f"/opt/openclaw/node-{files.NODE_VERSION}/bin/node {files.CURRENT}/node_modules/openclaw/openclaw.mjs gateway run "
    ">/dev/null 2>&1 </dev/null & sleep 20"
)
FAULTS: Final = [
    ("stopped", END, ["restart"]),
    ("config-refused", f"{UNKNOWN_KEY}; sleep 15", ["config"]),
    ("port-taken", TAKEN, ["port"]),
    ("second-gateway", BY_HAND, ["port"]),
    ("secret-missing", f"rm {files.MODEL_KEY_PATH}; {END}", ["reinstall"]),
    ("unit-changed", f"{END}; rm {files.UNIT_PATH}; systemctl daemon-reload", ["reinstall"]),
    ("ssh-refused", "systemd-run --quiet --collect systemctl stop ssh.socket ssh.service", ["reboot"]),
    ("host-silent", "systemctl kill --signal=STOP --kill-who=main ssh.service", ["reboot"]),  # nobody says hello
]


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("ill"), operator_home) as made:
        made.declare(NEWER)
        made.operator.fleet("apply", "--yes", timeout=900)
        made.tell("my dog is called Bello")
        yield made


SHOWN: Final = FAULTS if FULL else FAULTS[1:2]


@pytest.mark.parametrize(("cause", "fault", "rungs"), SHOWN, ids=[cause for cause, _, _ in SHOWN])
def test_a_fault_is_mended_by_its_rung(
    story: Story, cause: str, fault: str, rungs: list[str], record_property: RecordProperty
) -> None:
    story.root(fault, None)
    wait_until(lambda: diagnosed(story) == cause, cause, 120)
    with timed(record_property, f"from {cause} to a gateway that is well"):
        said = story.operator.fleet("resuscitate", "ada", "--yes", "--again", "--json", code=None, timeout=900)
    rescue = json.loads(said)["ada"]
    assert ([it["rung"] for it in rescue["tries"]], rescue["now"], rescue["found"]) == (rungs, None, cause), rescue
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


def diagnosed(story: Story) -> str | None:
    found: str | None = json.loads(story.operator.fleet("diagnose", "ada", "--json", code=None))["ada"]["cause"]
    return found
