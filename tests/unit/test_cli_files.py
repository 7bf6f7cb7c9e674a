"""`fleet init`, `fleet validate`, and what every command line has in common: options, exit codes, errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.cli.main import run
from reconciler.cli.starter import STATE_GITIGNORE, STATE_README
from reconciler.fleet import load_fleet
from reconciler.model import Provider, Secret

ROOT = Path(__file__).parent.parent.parent
BROKEN = "fleet: demo\ncloud: {provider: sandbox}\nchildrn: {}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, with a home for keys beside it and nothing of ours in the environment."""
    for name in ("FLEET_FILE", "FLEET_STATE_DIR", "FLEET_KEY", "FLEET_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(tmp_path / "keys"))
    directory = tmp_path / "my-Fleet"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def files_in(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): p.read_text() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("arguments", "provider"), [([], Provider.HETZNER), (["--sandbox"], Provider.SANDBOX)], ids=["hetzner", "sandbox"]
)
def test_init_makes_a_valid_fleet_its_state_and_its_key(
    here: Path, arguments: list[str], provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", *arguments]) == 0
    said = capsys.readouterr().out
    fleet = load_fleet(here / "fleet.yaml")
    key = keys.parse_key(Secret((here.parent / "keys" / "myfleet.key").read_text()))
    assert set(files_in(here)) == {"fleet.yaml", "state/README.md", "state/.gitignore"}
    assert (fleet.name, fleet.provider, list(fleet.children)) == ("myfleet", provider, ["alice"])
    assert keys.fingerprint(key) in said
    assert key.reveal() not in said
    assert run(["validate"]) == 0
    assert capsys.readouterr().out == 'fleet.yaml is valid: fleet "myfleet" with 1 child.\n'


@pytest.mark.parametrize("name", ["42", "no", "null", "0x1", "1e5", "demo"])
def test_init_writes_any_allowed_name_so_that_yaml_reads_it_back(here: Path, name: str) -> None:
    assert run(["init", "--name", name]) == 0
    assert load_fleet(here / "fleet.yaml").name == name


def test_two_inits_make_two_keys(here: Path) -> None:
    assert run(["init", "--name", "one", "--file", "1/fleet.yaml"]) == 0
    assert run(["init", "--name", "two", "--file", "2/fleet.yaml"]) == 0
    assert len(set(files_in(here.parent / "keys").values())) == 2


@pytest.mark.parametrize("present", ["fleet.yaml", "state/README.md", "../keys/demo.key"])
def test_init_overwrites_nothing_and_then_writes_nothing(
    here: Path, present: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / present).parent.mkdir(exist_ok=True)
    (here / present).write_text("mine")
    before = files_in(here.parent)
    assert run(["init", "--name", "demo"]) == 4
    assert files_in(here.parent) == before
    assert "nothing is overwritten" in capsys.readouterr().err


def test_an_init_that_fails_half_way_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "file").write_text("in the way of the key's directory")
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(here / "file" / "keys"))
    assert run(["init", "--name", "demo"]) == 1
    assert set(files_in(here)) == {"file"}


# No file of the process may grow: what a full disk is, without one.
LIMITED = """
import resource, sys
from reconciler.cli.main import run
resource.setrlimit(resource.RLIMIT_FSIZE, (10, -1))
sys.exit(run(["init", "--name", "demo"]))
"""


def test_an_init_on_a_full_disk_leaves_nothing_in_the_way_of_the_next(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Error: cannot write fleet.yaml: File too large\n  Mend that path.\n")
    assert files_in(here.parent) == {}
    assert run(["init", "--name", "demo"]) == 0


def test_a_name_that_no_fleet_can_have_is_a_usage_error(here: Path) -> None:
    assert run(["init", "--name", "my-fleet"]) == 64
    assert files_in(here.parent) == {}


def test_validate_shows_each_problem_on_stderr_and_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "fleet.yaml").write_text(BROKEN)
    assert run(["validate"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        'fleet.yaml:3:1: unknown key "childrn" at the top\n'
        '  did you mean "children"?\n'
        "Error: 1 problem(s) in the fleet file\n"
    )


def test_the_file_can_be_named_before_and_after_the_command_and_by_a_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["init", "--file", "other.yaml", "--state-dir", "record"]) == 0
    assert set(files_in(here)) == {"other.yaml", "record/README.md", "record/.gitignore"}
    assert run(["validate"]) == 1
    assert run(["--file", "other.yaml", "validate"]) == 0
    assert run(["validate", "--file", "other.yaml"]) == 0
    assert run(["--file", "nowhere.yaml", "validate", "--file", "other.yaml"]) == 0
    monkeypatch.setenv("FLEET_FILE", "other.yaml")
    assert run(["validate"]) == 0
    assert run(["--file", "nowhere.yaml", "validate"]) == 1


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["validate", "--bogus"], ["validate", "extra"], ["--file"]])
def test_a_wrong_command_line_ends_with_64(here: Path, arguments: list[str]) -> None:
    assert run(arguments) == 64


def test_an_unforeseen_error_is_one_line_without_its_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--file", "a\0b"]) == 1  # no system call takes it, and no check of ours expects it
    said = capsys.readouterr().err
    assert said.startswith("Error: ValueError in ")
    assert "this is a bug in fleet" in said
    assert "null byte" not in said
    assert "Traceback" not in said


def test_a_reader_that_has_gone_is_no_error_message(here: Path) -> None:
    run(["init"])
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "validate"],
            stdout=closed,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
    assert done.stderr == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["--version"], ["validate"], ["journal"]])
def test_a_full_disk_under_the_output_is_one_line(here: Path, arguments: list[str], unbuffered: str) -> None:
    run(["init"])
    (here / "state" / "journal.jsonl").write_text('{"event": "x", "at": "2026-11-22", "run": "", "fields": {}}\n')
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"Error: cannot write the output: No space left on device\n")


def test_what_init_writes_into_state_is_what_this_project_keeps_there() -> None:
    assert (ROOT / "state" / "README.md").read_text() == STATE_README
    assert (ROOT / "state" / ".gitignore").read_text() == STATE_GITIGNORE
