"""Plan files: consent to this plan or less of it, for this fleet, this file and a day."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler import keys
from reconciler.managed import files
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile
from tests.fakes.worlds import FLEET_KEY, make_spec


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state), capsys)


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "plan.json")


def servers(fleet: CommandLine) -> list[str]:
    return sorted(server.name for server in fleet.world.cloud.by_id.values())


def drift(fleet: CommandLine, child: str, text: bytes = b"# mine\n") -> None:
    fleet.world.host(child).files[files.SSHD_PATH] = FakeFile(text)


def test_a_kept_plan_is_applied_without_asking(fleet: CommandLine, out: str) -> None:
    said = fleet("plan", "--out", out)
    assert said.code == 0
    assert f"fleet apply --plan {out}" in said.err
    assert servers(fleet) == []
    assert fleet("apply", "--plan", out).code == 0
    assert servers(fleet) == ["demo-alice", "demo-bob"]


def test_a_plan_file_is_private_also_where_another_file_was(fleet: CommandLine, out: str) -> None:
    fleet("plan", "--out", out)
    Path(out).chmod(0o644)
    fleet("plan", "--out", out)
    assert stat.S_IMODE(Path(out).stat().st_mode) == 0o600
    assert [path.name for path in Path(out).parent.iterdir() if "plan" in path.name] == ["plan.json"]


def test_a_plan_file_holds_no_secret(fleet: CommandLine, out: str) -> None:
    fleet.world.applied()
    fleet.world.host("alice").files[files.TELEGRAM_TOKEN_PATH].content = b"another token"
    fleet.world.change("bob", version="2026.9.7")
    fleet("plan", "--out", out)
    text = Path(out).read_text()
    assert "bot token" in text
    spec = fleet.world.specs["alice"]
    secrets = [fleet.world.secrets.bot_token(spec.bot_token), fleet.world.secrets.model_key(spec.model.key), FLEET_KEY]
    assert not [secret for secret in secrets if secret.reveal() in text]
    assert keys.plan_key(FLEET_KEY).reveal() not in text


def test_what_is_done_already_is_no_objection(fleet: CommandLine, out: str) -> None:
    fleet("plan", "--out", out)
    assert fleet("apply", "--yes", "alice").code == 0
    assert fleet("apply", "--plan", out).code == 0
    assert servers(fleet) == ["demo-alice", "demo-bob"]
    assert fleet("apply", "--plan", out).code == 0


def test_the_selection_is_the_plan_files_own(fleet: CommandLine, out: str) -> None:
    fleet("plan", "alice", "--out", out)
    assert fleet("apply", "--plan", out).code == 0
    assert servers(fleet) == ["demo-alice"]
    for more in (["bob"], ["--all"], ["--allow-replace", "bob"], ["--repair", "bob"], ["--max-destroys", "3"]):
        assert fleet("apply", "--plan", out, *more).code == 64


def _a_new_child(fleet: CommandLine) -> None:
    fleet.world.specs["carol"] = make_spec("carol", server_type="cpx22")


def _drift_elsewhere(fleet: CommandLine) -> None:
    drift(fleet, "bob")


def _other_values(fleet: CommandLine) -> None:
    drift(fleet, "alice", b"# something else\n")


def _more_paths(fleet: CommandLine) -> None:
    fleet.world.host("alice").files[files.UNIT_PATH].content += b"# mine\n"


def _another_kind(fleet: CommandLine) -> None:
    del fleet.world.cloud.by_id[fleet.world.server("alice").id]


def _another_label(fleet: CommandLine) -> None:
    server = fleet.world.server("alice")
    fleet.world.cloud.set_labels(server.id, {**server.labels, "somebody": "was-here"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_a_new_child, "carol: create is not in it"),
        (_drift_elsewhere, "bob: update is not in it"),
        (_other_values, "alice: update now for another reason, or to other values"),
        (_more_paths, "alice: update now also unit"),
        (_another_kind, "alice: create now, update in the plan file"),
        (_another_label, "alice: its server or what lies on it has changed"),
    ],
)
def test_what_nobody_agreed_to_is_refused_and_named(
    fleet: CommandLine, out: str, change: Callable[[CommandLine], None], words: str
) -> None:
    fleet.world.applied()
    drift(fleet, "alice")
    assert fleet("plan", "--out", out).code == 0
    change(fleet)
    before = dict(fleet.world.cloud.by_id)
    said = fleet("apply", "--plan", out)
    assert said.code == 4
    assert words in said.err
    assert fleet.world.cloud.by_id == before


def _reseal(path: str, **changes: Any) -> None:
    body = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(body | changes))


def test_a_plan_file_of_yesterday_is_refused(fleet: CommandLine, out: str) -> None:
    fleet("plan", "--out", out)
    fleet.world.clock.sleep(24 * 3600 - 60)
    assert fleet("apply", "--plan", out, "--max-parallel", "1").code == 0
    fleet.world.clock.sleep(120)
    said = fleet("apply", "--plan", out)
    assert said.code == 4
    assert "it held for 24 hours" in said.err


def test_a_changed_fleet_file_is_refused(fleet: CommandLine, out: str) -> None:
    fleet("plan", "--out", out)
    fleet.changes["digest"] = "other"
    said = fleet("apply", "--plan", out)
    assert said.code == 4
    assert "the fleet file has changed" in said.err
    assert servers(fleet) == []


@pytest.mark.parametrize(
    "change",
    [
        {"made_at": "2030-01-01T00:00:00+00:00"},
        {"file_digest": "other"},
        {"fleet_id": "other"},
        {"actions": {}},
        {"mac": "0" * 64},
        {"mac": None},
        {"options": {"allow_replace": True, "repair": [], "max_destroys": 99}},
    ],
)
def test_a_plan_file_that_was_changed_is_refused(fleet: CommandLine, out: str, change: dict[str, Any]) -> None:
    fleet("plan", "--out", out)
    _reseal(out, **change)
    said = fleet("apply", "--plan", out)
    assert said.code == 4
    assert "changed since it was made" in said.err
    assert servers(fleet) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "not json", "[" * 100_000, '{"mac": "x"', "\x00"])
def test_what_is_no_plan_file_is_refused(fleet: CommandLine, out: str, text: str) -> None:
    Path(out).write_text(text)
    assert fleet("apply", "--plan", out).code == 4
    assert servers(fleet) == []


def test_a_plan_file_that_is_not_there_is_a_usage_error(fleet: CommandLine, out: str) -> None:
    assert fleet("apply", "--plan", out).code == 64
