"""From version to version on a real machine, with a conversation: kept, brought back, never lost.

One story in order, over the change of OpenClaw's database between 2026.9.5 and 2026.9.6. What is done to the new
release while it is proven is done by a program on the machine that waits for the switch, and undone when it is over.
"""

from __future__ import annotations

import json
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.commands.switching import CHECKPOINTS, PATIENCE, RETURN_EVERY, SWITCH, UNTIL_PATH
from reconciler.managed import files
from reconciler.model import Cause
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.telegram import Fault
from tests.e2e.faults import little_memory
from tests.e2e.machinery import ask_cloud, wait_until
from tests.e2e.minds import NEWER, NOTICE, OLDER, USER, RecordProperty, Story, in_words, shell, step_seconds, told

pytestmark = pytest.mark.e2e

PROGRAM: Final = f"{files.RELEASES}/{NEWER}/node_modules/openclaw/openclaw.mjs"


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("minds"), operator_home) as made:
        yield made


def test_a_bot_is_told_something(story: Story) -> None:
    story.declare(OLDER)
    story.operator.fleet("apply", "--yes", timeout=900)
    story.tell("remember that my dog is called Bello")
    assert "Bello" in story.tell("do you remember?")


def broken_config(story: Story) -> None:
    """The agent has written what the new release will not read; it is asked before anything is touched."""
    story.root(
        f"runuser -u openclaw -- python3 -c {shell(SPOIL)} {files.CONFIG_PATH}",
    )


SPOIL: Final = "import json,sys; p=sys.argv[1]; c=json.load(open(p)); c['nonsense']=1; json.dump(c, open(p,'w'))"
MEND: Final = "import json,sys; p=sys.argv[1]; c=json.load(open(p)); c.pop('nonsense',0); json.dump(c, open(p,'w'))"


def test_a_configuration_that_the_new_release_refuses_changes_nothing(story: Story) -> None:
    started = story.operator.status()["ada"]["gateway"]["starts"]
    broken_config(story)
    story.declare(NEWER)
    said = story.failed_update()
    assert f"OpenClaw {NEWER} does not accept the configuration" in said
    story.root(f"runuser -u openclaw -- python3 -c {shell(MEND)} {files.CONFIG_PATH}")
    story.is_as_before()
    assert story.operator.status()["ada"]["gateway"]["starts"] == started
    assert story.root(f"ls {CHECKPOINTS} 2>/dev/null; true") == ""


FAILURES: Final = {
    "a release that exits": f"cp {PROGRAM} /root/kept; printf 'process.exit(1)\\n' >{PROGRAM}",
    "its port is taken": (
        "python3 -c 'import socket,time,os\ns=socket.socket(); s.setsockopt(1,2,1)\nwhile True:\n"
        f' try: s.bind(("127.0.0.1",{files.PORT})); s.listen(); break\n except OSError: time.sleep(.05)\n'
        f'while os.path.exists("{SWITCH}/made") and not os.path.exists("{SWITCH}/undone"): time.sleep(.05)\''
    ),
}
LESS: Final = 1200 << 20  # bytes; the old gateway and npm beside it live with that
# A gateway that only has too little goes on for minutes, reading its program over and over: seen with 400 MB for all,
# and with 100 for itself. The kernel ends it where others want, at once, more than there is, and each of them is small.
EATER: Final = """import time
while True:
    time.sleep(3 - time.time() % 3)
    bytes([1]) * (70 << 20)
    time.sleep(.1)"""
HOG: Final = (
    "until pgrep -u openclaw >/dev/null; do sleep .2; done; systemd-run --quiet --collect --unit=hog "
    f"sh -c 'for one in $(seq 15); do python3 -c \"{EATER}\" & done; wait'"
)
MENDED: Final = {"a release that exits": f"test ! -e /root/kept || mv /root/kept {PROGRAM}", "its port is taken": ":"}


@pytest.mark.parametrize("failure", list(FAILURES))
def test_a_version_that_fails_is_left_again(story: Story, failure: str) -> None:
    story.meanwhile(FAILURES[failure], MENDED[failure])
    said = story.failed_update()
    assert f"ada is back at {OLDER}, and healthy" in said
    story.is_as_before()
    plan = story.operator.fleet("plan", "--detailed-exitcode")
    assert f"{NEWER} is quarantined" in plan
    assert "No changes" in plan
    story.allow_again()


def test_a_bot_token_that_is_revoked_in_its_middle_is_no_fault_of_the_version(story: Story) -> None:
    token = story.token
    with story.updating() as update:
        story.await_switch()
        story.sandbox.break_telegram(token, Fault.UNAUTHORIZED)
        try:
            said = update.result(600)
        finally:
            story.sandbox.break_telegram(token, None)
    assert f"ada is back at {OLDER}, and not healthy there either" in said
    story.root(f"systemctl restart {files.UNIT}")  # its owner has given the token back
    story.is_as_before()
    story.operator.fleet("apply", "--yes", "--retry", "ada", timeout=900)  # what was held before still is
    assert story.version() == ("HEALTHY", NEWER)
    story.go_back()


def test_memory_that_is_gone_is_left_again(story: Story) -> None:
    """The machine's limit is lowered, something takes what is left of it, and the kernel kills the new release.

    The version is blamed: nobody can tell a small machine from a greedy release.
    """
    began = story.root("date +%s")
    with little_memory(story, LESS):
        story.meanwhile(HOG, "systemctl stop hog")
        said = story.failed_update()
    assert f"ada is back at {OLDER}, and healthy" in said
    ended = story.root(f"journalctl -q -o cat -u {files.UNIT} --since @{began} | grep -E 'status=|oom'; true")
    assert "status=9/KILL" in ended or "oom-kill" in ended, ended
    story.is_as_before()
    story.allow_again()


def test_a_disk_that_is_full_in_its_middle_is_no_fault_of_the_version(story: Story) -> None:
    """Where the copies are: the machine's own disk is the one of whoever runs this, and that must not get full."""
    story.root(f"mkdir -p {CHECKPOINTS} && mount -t tmpfs -o size=1m,mode=0700 tmpfs {CHECKPOINTS}")
    try:
        said = story.failed_update()
        assert f"ada is back at {OLDER}, and healthy" in said
        assert "state.tar: Wrote only" in said or "No space left on device" in said
    finally:
        story.root(f"umount {CHECKPOINTS}")
    story.is_as_before()
    assert "is quarantined" not in story.operator.fleet("plan")


@pytest.mark.parametrize("sign", [SWITCH, f"{CHECKPOINTS}/*/manifest.json", f"{SWITCH}/made"])
def test_an_apply_that_is_killed_leaves_a_host_that_goes_back_by_itself(story: Story, sign: str) -> None:
    """In the last moment it really waits as long as it says; in the others the time has come."""
    story.root(f"rm -rf {CHECKPOINTS}/*")
    running = story.operator.start("apply", "--yes", "--retry", "ada")
    try:
        wait_until(lambda: story.root(f"ls -d {sign} 2>/dev/null; true") != "", "that moment", 300)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        print(story.operator.heard())
    said = json.loads(story.operator.fleet("diagnose", "ada", "--json", code=None))["ada"]
    assert said["cause"] == Cause.UPDATE_UNFINISHED, said
    is_hastened = not sign.endswith("/made")
    if is_hastened:
        time.sleep(1)  # what it has begun on the host ends, and that sets a time of its own
        story.root(f"sleep 5; echo 0 >{UNTIL_PATH}")
    within = (0 if is_hastened else PATIENCE) + 6 * RETURN_EVERY
    wait_until(lambda: story.root(f"test -d {SWITCH} || echo gone; true") == "gone", "it goes back", within)
    story.is_as_before()


def test_a_host_that_boots_in_the_midst_of_a_switch_goes_back(story: Story) -> None:
    with story.updating():
        story.await_switch()
        ask_cloud("POST", f"/servers/{story.machine()}/actions/reset")
    story.is_as_before()
    assert "is quarantined" not in story.operator.fleet("plan")


def test_a_new_version_keeps_the_conversation(story: Story, record_property: RecordProperty) -> None:
    """How long nobody is answered: from the stop to the first start's proof, and once more for the second start."""
    said = story.operator.fleet("apply", "--yes", "--retry", "ada", timeout=900)
    seconds = step_seconds(said)
    steps = ("checkpoint", "switch", "config", "files", "start", "prove healthy")
    first, second = sum(seconds.get(name, 0.0) for name in steps), seconds["prove lasting"] - 10
    record_property("An update: silent until the new version is healthy", f"{first:.1f} s (target 20)")
    record_property("An update: silent once more, for the second start", f"{second:.1f} s (target 20)")
    record_property("An update: seconds of each phase", in_words(seconds))
    assert max(first, second) < 60  # the target, 20 s, is for a machine that does nothing else
    assert story.version() == ("HEALTHY", NEWER)
    assert "Bello" in story.tell("what is my dog called?")
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_its_user_was_told_before_each_change(story: Story) -> None:
    assert NOTICE in story.sandbox.replies(story.token, USER)


def test_by_hand_it_goes_back_over_the_change_of_the_database(story: Story) -> None:
    story.tell("remember that my cat is called Mimi")
    assert "Mimi" in story.tell("do you remember?")
    said = story.operator.fleet("rollback", "ada", "--yes", timeout=900)
    assert "goes back to the checkpoint of" in said
    assert story.version() == ("HEALTHY", OLDER)
    earlier = story.tell("what do you know?")
    assert "Bello" in earlier
    assert "Mimi" not in earlier
    plan = story.operator.fleet("plan")
    assert "No changes" in plan
    assert "rolled back by hand" in plan
    story.operator.fleet("apply", "--yes", "--retry", "ada", timeout=900)
    assert story.version() == ("HEALTHY", NEWER)
    assert "Bello" in story.tell("what is my dog called?")


def test_a_lower_version_in_the_file_is_the_way_back_too(story: Story) -> None:
    story.declare(OLDER)
    assert "goes back to the checkpoint of" in story.operator.fleet("plan")
    story.operator.fleet("apply", "--yes", timeout=900)
    assert story.version() == ("HEALTHY", OLDER)
    assert "Bello" in story.tell("what is my dog called?")
    found = json.loads(story.operator.fleet("checkpoints", "--json"))["ada"]
    assert {checkpoint["version"] for checkpoint in found["checkpoints"]} == {OLDER, NEWER}


def test_a_backup_is_made_while_the_gateway_answers(story: Story) -> None:
    started = story.operator.status()["ada"]["gateway"]["starts"]
    said = story.operator.fleet("backup", "create", "ada", timeout=300)
    assert " rows, " in said
    assert story.operator.status()["ada"]["gateway"]["starts"] == started
    sealed = story.sealed()[-1]  # those before are of its updates
    assert b"Bello" not in sealed.read_bytes()
    assert "opens, and is what its host has made" in story.operator.fleet("backup", "verify", "ada")
    found = json.loads(story.operator.fleet("backup", "list", "--json"))["ada"]["backups"]
    print(json.dumps(found, indent=1))
    assert found[0]["version"] == OLDER
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_one_flipped_byte_of_a_backup_is_found_and_nothing_is_touched(story: Story) -> None:
    sealed = story.sealed()[-1]  # those before are of its updates
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    assert "is damaged" in story.operator.fleet("backup", "verify", "ada", code=1)
    started = story.operator.status()["ada"]["gateway"]["starts"]
    assert story.operator.run("restore", "ada", "--yes").returncode == 1
    assert story.operator.status()["ada"]["gateway"]["starts"] == started
    sealed.write_bytes(whole)


def test_who_was_destroyed_is_made_anew_and_remembers_all_of_it(story: Story) -> None:
    story.tell("remember that my fish is called Wanda")
    assert "of before is kept as backups as well" in story.operator.fleet("destroy", "ada", "--yes", timeout=900)
    assert "of before, from its server" in story.operator.fleet("backup", "list", "ada")
    story.operator.fleet("restore", "ada", "--yes", timeout=900)
    assert story.version() == ("HEALTHY", OLDER)
    earlier = story.tell("what is my dog called?")
    assert "Bello" in earlier
    assert "Wanda" in earlier
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_who_leaves_gets_all_of_it(story: Story, tmp_path: Path) -> None:
    story.operator.fleet("export", "ada", "--out", str(tmp_path / "ada.tar.gz"), timeout=300)
    with tarfile.open(tmp_path / "ada.tar.gz") as archive:
        names = archive.getnames()
    assert "./.openclaw/state/openclaw.sqlite" in names
    assert any(name.endswith("openclaw-agent.sqlite") for name in names)
    assert any(name.startswith("./workspace/") for name in names)


def test_the_command_that_writes_the_version_brings_it_there(story: Story) -> None:
    story.declare(OLDER)
    said = story.operator.fleet("update", "ada", NEWER, "--yes", timeout=900)
    assert f"version: {NEWER}" in (story.operator.directory / "fleet.yaml").read_text()
    assert story.version() == ("HEALTHY", NEWER), said
    assert "Bello" in story.tell("what is my dog called?")
    assert "No changes" in story.operator.fleet("update", "ada", "latest", "--yes", timeout=300)
