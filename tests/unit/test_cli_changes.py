"""`fleet plan`, `apply` and `destroy` as their callers see them: exit codes, formats, and who is in the way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reconciler.cli.output import LastingOutput, whoever_reads
from reconciler.errors import HostTimedOut
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec

ROOT = Path(__file__).parent.parent.parent

# A whole process with a reader that goes away: `fleet apply --yes` on a fleet in memory.
WITHOUT_READER = """
import sys
from dataclasses import replace
from pathlib import Path
from reconciler.api import FleetClient
from reconciler.cli.main import run
from tests.fakes.fleets import FakeFleet
world = FakeFleet(Path(sys.argv[1]))
def opener(path, state, progress, **options):
    return FleetClient(world.fleet(), replace(world.ports(), progress=progress))
code = run(["apply", "--yes", "--state-dir", sys.argv[1]], opener)
print(code, *sorted(server.name for server in world.cloud.by_id.values()), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state), capsys)


@pytest.fixture
def orphans(fleet: CommandLine) -> CommandLine:
    """Two servers whose children are gone from the file, where one may be deleted at a time."""
    fleet.world.applied()
    fleet.world.specs.clear()
    fleet.world.specs["carol"] = make_spec("carol", server_type="cpx22")
    return fleet


def test_a_plan_has_the_exit_code_that_scripts_ask_for(fleet: CommandLine) -> None:
    assert fleet("plan").code == 0
    assert fleet("plan", "--detailed-exitcode").code == 2
    fleet.world.applied()
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_a_plan_is_the_same_in_every_format(fleet: CommandLine) -> None:
    spelled = [json.loads(fleet("plan", *form).out) for form in (["--json"], ["--format", "json"])]
    assert [action["child"] for action in spelled[0]["actions"]] == ["alice", "bob"]
    assert spelled[0]["actions"] == spelled[1]["actions"]
    markdown = fleet("plan", "--format", "markdown").out
    assert "alice" in markdown
    assert fleet("plan", "--format", "html").code == 64


def test_what_policy_refuses_is_not_applied_and_not_kept(orphans: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "plan"
    before = dict(orphans.world.cloud.by_id)
    assert orphans("plan", "--out", str(out)).code == 4
    assert not out.exists()
    said = orphans("apply", "--yes")
    assert said.code == 4
    assert "nothing was changed" in said.err
    assert orphans.world.cloud.by_id == before


@pytest.mark.parametrize("present", ["fleet: demo\n", "{}", "[1]", "{", ""])
def test_a_plan_is_not_kept_in_a_file_that_holds_something_else(
    fleet: CommandLine, tmp_path: Path, present: str
) -> None:
    out = tmp_path / "fleet.yaml"
    out.write_text(present)
    said = fleet("plan", "--out", str(out))
    assert (said.code, said.out, out.read_text()) == (4, "", present)
    assert "is no plan file" in said.err


def test_a_plan_is_not_kept_in_what_is_no_file(fleet: CommandLine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("pipe", "link"):
        assert fleet("plan", "--out", str(tmp_path / name)).code == 4
    for name in ("", ".", "..", str(tmp_path)):
        said = fleet("plan", "--out", name)
        assert (said.code, "is a directory" in said.err) == (64, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_plan_takes_the_place_of_an_older_one(fleet: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "plan"
    assert fleet("plan", "--out", str(out)).code == 0
    fleet.world.applied()
    assert fleet("plan", "--out", str(out)).code == 0
    assert json.loads(out.read_text())["actions"] == {}


def test_a_plan_file_without_an_end_is_not_read_to_it(fleet: CommandLine, tmp_path: Path) -> None:
    said = fleet("apply", "--plan", "/dev/zero")
    assert (said.code, "/dev/zero is too big for a plan file" in said.err) == (64, True)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    assert fleet("plan", "--out", str(huge)).code == 4
    assert huge.stat().st_size == 1 << 40


def test_a_plan_may_come_through_a_pipe(fleet: CommandLine, tmp_path: Path) -> None:
    plan, pipe = tmp_path / "plan", tmp_path / "pipe"
    fleet("plan", "--out", str(plan))
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(plan.read_bytes()))
    writer.start()
    assert fleet("apply", "--plan", str(pipe)).code == 0
    writer.join(10)
    assert len(fleet.world.cloud.by_id) == 2


def test_a_limit_of_ones_own_is_given_once_and_kept_with_the_plan(orphans: CommandLine, tmp_path: Path) -> None:
    out = str(tmp_path / "plan")
    assert orphans("plan", "--max-destroys", "2", "--out", out).code == 0
    assert orphans("apply", "--plan", out).code == 0
    assert [server.name for server in orphans.world.cloud.by_id.values()] == ["demo-carol"]


@pytest.mark.parametrize("limit", ["2", "100%"])
def test_a_limit_is_a_number_or_a_share(orphans: CommandLine, tmp_path: Path, limit: str) -> None:
    assert orphans("plan", "--max-destroys", "50%").code == 4
    out = str(tmp_path / "plan")
    assert orphans("plan", "--max-destroys", limit, "--out", out).code == 0
    assert orphans("apply", "--plan", out).code == 0
    assert orphans("plan", "--max-destroys", "many").code == 64
    assert orphans("plan", "--max-destroys", "101%").code == 64


def test_what_is_asked_for_on_the_command_line_is_not_held_to_the_default_limit(fleet: CommandLine) -> None:
    fleet.world.applied()
    assert fleet("destroy", "--all", "--yes", "--max-destroys", "1").code == 4
    assert len(fleet.world.cloud.by_id) == 2
    said = fleet("destroy", "--all", "--yes")
    assert (said.code, said.out.count("asked for on the command line")) == (0, 2)
    assert fleet.world.cloud.by_id == {}


def test_a_moved_child_that_was_destroyed_leaves_no_record_under_its_old_names(fleet: CommandLine) -> None:
    fleet.world.applied()
    fleet.world.move("alice", "carol")
    fleet.world.move("carol", "dave")
    assert fleet("destroy", "dave", "--yes").code == 0
    assert fleet.world.store.records().keys() == {"bob"}
    assert fleet.world.planned() == ["create dave: declared"]


def test_a_protected_child_is_not_destroyed_and_neither_are_the_others(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    said = fleet("destroy", "--all", "--yes")
    assert (said.code, said.out) == (4, "")
    assert "protected: bob" in said.err
    assert len(fleet.world.cloud.by_id) == 2


def test_a_protection_that_the_file_gave_up_holds_until_it_is_applied(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    fleet.world.change("bob", protect=False)
    said = fleet("destroy", "--all", "--yes")
    assert (said.code, said.out, len(fleet.world.cloud.by_id)) == (4, "", 2)
    assert "fleet apply bob" in said.err
    assert fleet("apply", "bob", "--yes").code == 0
    assert fleet("destroy", "--all", "--yes").code == 0
    assert fleet.world.cloud.by_id == {}


def test_a_label_of_protection_without_a_value_keeps_its_server_from_destroy(fleet: CommandLine) -> None:
    fleet.world.applied()
    server = fleet.world.server("bob")
    fleet.world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/protect": ""})
    said = fleet("destroy", "bob", "--yes")
    assert (said.code, len(fleet.world.cloud.by_id)) == (4, 2)
    assert "take the protection from the server first: fleet apply bob" in said.err


def test_a_protected_server_that_no_child_declares_is_to_be_put_back_first(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    del fleet.world.specs["bob"]
    said = fleet("destroy", "bob", "--yes")
    assert (said.code, len(fleet.world.cloud.by_id)) == (4, 2)
    assert "put it back" in said.out


def test_a_protection_given_up_together_with_the_server_is_still_applied_first(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    server = fleet.world.server("bob")
    fleet.world.change("bob", protect=False, regions=("fsn1",))
    said = fleet("apply", "bob", "--allow-replace", "bob", "--yes")
    assert said.code == 3
    assert "still protected" in said.out
    assert fleet.world.server("bob").id == server.id
    assert fleet("apply", "bob", "--allow-replace", "bob", "--yes").code == 0
    assert fleet.world.server("bob").region == "fsn1"


def test_an_expiry_does_not_delete_what_was_protected_until_now(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    fleet.world.change("bob", protect=False, expires=fleet.world.clock.now())
    said = fleet("apply", "bob", "--yes")
    assert (said.code, len(fleet.world.cloud.by_id)) == (3, 2)
    assert "expired on" in said.out
    assert "still protected" in said.out
    assert fleet("apply", "bob", "--yes").code == 0
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["alice"]


def test_a_silent_child_gives_its_protection_up_when_it_is_switched_off(fleet: CommandLine) -> None:
    fleet.world.change("bob", protect=True)
    fleet.world.applied()
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    fleet.world.change("bob", protect=False, enabled=False)
    assert fleet("apply", "bob", "--yes").code == 0
    assert fleet("destroy", "bob", "--no-backup", "bob", "--yes").code == 0
    assert [server.child for server in fleet.world.cloud.by_id.values()] == ["alice"]


def test_a_plan_file_deletes_nothing_that_was_protected_since(fleet: CommandLine, tmp_path: Path) -> None:
    fleet.world.applied()
    fleet.world.change("bob", expires=fleet.world.clock.now())
    out = str(tmp_path / "plan")
    assert fleet("plan", "bob", "--out", out).code == 0
    server = fleet.world.server("bob")
    fleet.world.cloud.set_labels(server.id, {**server.labels, "openclaw-deploy/protect": "true"})
    said = fleet("apply", "--plan", out)
    assert (said.code, len(fleet.world.cloud.by_id)) == (4, 2)
    assert "still protected" in said.out


def test_nobody_to_ask_is_a_refusal(fleet: CommandLine) -> None:
    said = fleet("apply")
    assert said.code == 4
    assert "no terminal to ask on" in said.err
    assert fleet.world.cloud.by_id == {}


def test_a_second_apply_is_told_that_the_lock_is_held(fleet: CommandLine) -> None:
    with fleet.world.store.lock("fleet apply"):
        assert fleet("apply", "--yes").code == 5
        assert fleet("destroy", "--all", "--yes").code == 5


def test_a_log_that_cannot_be_written_is_told_before_anything_happens(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "apply", "--yes"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FLEET_LOG": "nowhere/log"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: cannot write the log nowhere/log: No such file or directory\n  change FLEET_LOG\n"


def test_an_apply_outlives_its_reader(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_READER, str(tmp_path / "state")],
            stdout=closed,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
    assert done.stderr.decode() == "0 demo-alice demo-bob\n"
    assert done.returncode == 0


class FullDisk(io.StringIO):
    """Takes one line."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_output_that_is_lost_is_noticed_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = FullDisk()
    monkeypatch.setattr(sys, "stdout", full)
    with whoever_reads() as output:
        assert isinstance(output, LastingOutput)
        for number in range(3):
            print(number)
        assert output.is_lost
    assert full.getvalue() == "0"
