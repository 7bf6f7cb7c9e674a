"""Ordinary surroundings are no bug: a stream is closed, the locale is ASCII, an account has no home."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
A_BUG = "this is a bug in fleet"

# `fleet` on a fleet in memory: FLEET = the state directory, then the words of a command line.
IN_MEMORY = """
import sys
from dataclasses import replace
from pathlib import Path
from reconciler.api import FleetClient
from reconciler.cli.main import run
from reconciler.cli.streams import make_reliable
from tests.fakes.fleets import FakeFleet
make_reliable()
world = FakeFleet(Path(sys.argv[1]))
if sys.argv[2] != "apply":
    world.applied()
def opener(path, state, progress, **options):
    return FleetClient(world.fleet(), replace(world.ports(), progress=progress))
code = run([*sys.argv[2:], "--state-dir", sys.argv[1]], opener)
print(len(world.cloud.by_id), "servers", file=sys.stderr)
sys.exit(code)
"""


def shell(command: list[str], redirections: str, directory: Path, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error. A shell can close what subprocess can only redirect."""
    home = {"HOME": str(directory), "FLEET_CONFIG_HOME": str(directory / "keys"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(command)} {redirections}"],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **home, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def fleet(words: str, redirections: str, directory: Path, **environment: str) -> tuple[int, str, str]:
    return shell([sys.executable, "-m", "reconciler", *words.split()], redirections, directory, **environment)


def fleet_in_memory(words: str, redirections: str, directory: Path, **environment: str) -> tuple[int, str, str]:
    program = [sys.executable, "-c", IN_MEMORY, str(directory / "state"), *words.split()]
    return shell(program, redirections, directory, **environment)


def without_home(words: str, directory: Path) -> tuple[int, str, str]:
    """As in a container with a made-up user id, which no list of accounts has."""
    setting = "import os, pwd; del os.environ['HOME'], os.environ['FLEET_CONFIG_HOME']; pwd.getpwuid = {}.__getitem__"
    program = f"{setting}; from reconciler.cli.main import main; main()"
    return shell([sys.executable, "-c", program, *words.split()], "", directory)


@pytest.mark.parametrize("words", ["apply", "destroy alice"])
def test_a_closed_standard_input_is_nobody_to_ask(tmp_path: Path, words: str) -> None:
    code, _, said = fleet_in_memory(words, "<&-", tmp_path)
    assert (code, "there is no terminal to ask on, so nothing was changed" in said) == (4, True)
    assert said.endswith("0 servers\n" if words == "apply" else "2 servers\n")


def test_a_closed_standard_input_holds_no_key(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("fleet: demo\ncloud: {provider: sandbox}\nchildren: {}\n")
    code, _, said = fleet("key recover", "<&-", tmp_path)
    assert (code, A_BUG in said) == (1, False)
    assert said.startswith("Error: ")


@pytest.mark.parametrize("words", ["plan", "plan --json", "status", "list"])
def test_a_closed_standard_output_is_output_that_cannot_be_written(tmp_path: Path, words: str) -> None:
    code, _, said = fleet_in_memory(words, ">&-", tmp_path)
    assert (code, said) == (1, "Error: cannot write the output: Bad file descriptor\n2 servers\n")


def test_the_version_for_nobody_is_output_that_cannot_be_written(tmp_path: Path) -> None:
    assert fleet("--version", ">&-", tmp_path) == (1, "", "Error: cannot write the output: Bad file descriptor\n")


def test_an_apply_without_any_stream_still_does_its_work(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert fleet_in_memory("apply --yes", "<&- >&- 2>&-", tmp_path) == (0, "", "")
    assert sorted(path.name for path in (state / "children").iterdir()) == ["alice.json", "bob.json"]
    for path in (state / "journal.jsonl", state / "lock"):
        assert "Applied" not in path.read_text()  # no file has got the number of a closed stream


@pytest.mark.parametrize("words", ["plan", "status", "journal", "apply --yes"])
def test_an_ascii_locale_is_enough(tmp_path: Path, words: str) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, said = fleet_in_memory(words, "", tmp_path, **locale)
    assert (code, out.isascii(), A_BUG in said) == (0, True, False)


def test_what_the_locale_cannot_say_is_shown_as_an_escape(tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-c",
        "from reconciler.cli.streams import make_reliable; make_reliable(); print('Gr\\u00fc\\u00dfe \\udcff')",
    ]
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert shell(program, "", tmp_path, **locale) == (0, "Gr\\xfc\\xdfe \\udcff\n", "")
    assert shell(program, "", tmp_path, PYTHONUTF8="1") == (0, "Gr\u00fc\u00dfe \\udcff\n", "")


def test_an_account_without_a_home_is_told_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("fleet: demo\ncloud: {provider: sandbox}\nchildren: {}\n")
    code, _, said = without_home("key show", tmp_path)
    assert (code, "this account has no home directory" in said, A_BUG in said) == (1, True, False)
    assert "set HOME" in said
