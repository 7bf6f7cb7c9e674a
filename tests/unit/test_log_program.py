"""The programs that read a host's logs, as a host runs them: nothing is lost between two looks, whatever rotates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.commands.logs import _READ_LOG

LINE: Final = "line {} " + "x" * 90


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "openclaw.log"


def append(log: Path, numbers: range) -> None:
    with log.open("a") as file:
        file.writelines(LINE.format(number) + "\n" for number in numbers)


def rotate(log: Path) -> None:
    """As OpenClaw does, by renames."""
    for number in range(4, 0, -1):
        if (old := log.with_name(f"openclaw.{number}.log")).exists():
            old.rename(log.with_name(f"openclaw.{number + 1}.log"))
    log.rename(log.with_name("openclaw.1.log"))


def look(log: Path, cursor: Any = None, **changes: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "lines": None,
        "since": None,
        "age": None,
        "errors": False,
        "bytes": 300_000,
        "longest": 4000,
    }
    wanted |= {"path": str(log), "cursor": cursor, "looked_at": 8 << 20, **changes}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _READ_LOG, json.dumps(wanted)], capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def numbers(answer: dict[str, Any]) -> list[int]:
    return [int(it["text"].split()[1]) for it in answer["entries"] if it["text"].startswith("line ")]


def rest(log: Path, cursor: Any, **changes: Any) -> list[int]:
    """Look by look, until there is no more."""
    found: list[int] = []
    while True:
        answer = look(log, cursor, **changes)
        assert answer["is_cut"] is False
        found += numbers(answer)
        cursor = answer["cursor"]
        if not answer["more"]:
            return found
        assert answer["entries"], "it goes on"


@pytest.mark.parametrize("changes", [{}, {"bytes": 2_000}, {"looked_at": 5_000}, {"looked_at": 700}, {"bytes": 1}])
def test_nothing_is_lost_and_nothing_comes_twice_over_rotations(log: Path, changes: dict[str, int]) -> None:
    append(log, range(10))
    cursor = look(log)["cursor"]
    append(log, range(10, 60))
    rotate(log)
    append(log, range(60, 90))
    rotate(log)
    append(log, range(90, 120))
    assert rest(log, cursor, **changes) == [*range(10, 120)]


def test_half_a_line_waits_for_its_end(log: Path) -> None:
    append(log, range(3))
    cursor = look(log)["cursor"]
    with log.open("a") as file:
        file.write("line 3 and")
    answer = look(log, cursor)
    assert (numbers(answer), answer["more"], answer["cursor"]) == ([], False, cursor)
    with log.open("a") as file:
        file.write(" its end\n")
    assert rest(log, cursor) == [3]


def test_a_line_longer_than_any_look_is_passed_over(log: Path) -> None:
    append(log, range(1))
    cursor = look(log)["cursor"]
    with log.open("a") as file:
        file.write("line 1 " + "y" * 9_000 + "\n")
    append(log, range(2, 4))
    assert rest(log, cursor, looked_at=4_000)[-2:] == [2, 3]


def test_a_file_that_is_cut_in_place_is_read_from_its_beginning(log: Path) -> None:
    append(log, range(50))
    cursor = look(log)["cursor"]
    os.truncate(log, 0)
    append(log, range(50, 53))
    assert numbers(look(log, cursor)) == [50, 51, 52]


def test_a_carriage_return_ends_no_line(log: Path) -> None:
    append(log, range(1))
    cursor = look(log)["cursor"]
    with log.open("ab") as file:
        file.write(b"line 1\rand on\nline 2\n")
    assert rest(log, cursor) == [1, 2]


def test_the_first_look_is_the_newest(log: Path) -> None:
    append(log, range(100))
    answer = look(log, bytes=2_000)
    assert (answer["is_cut"], answer["more"], numbers(answer)[-1], len(numbers(answer)) < 20) == (True, False, 99, True)
    assert numbers(look(log, lines=3)) == [97, 98, 99]


def moment(second: int) -> str:
    return f"2026-11-28T10:{second // 60:02}:{second % 60:02}Z"


@pytest.mark.parametrize(
    ("wanted", "is_cut"),
    [({"lines": None}, True), ({"lines": 5}, False), ({"lines": 5000}, True), ({"lines": None, "errors": True}, True)],
)
def test_what_a_first_look_does_not_reach_is_said(log: Path, wanted: dict[str, Any], is_cut: bool) -> None:
    """Errors of before the last bytes that are looked at went without a word."""
    with log.open("w") as file:
        for number in range(2000):
            file.write(json.dumps({"time": moment(number), "message": "x"}) + "\n")
    assert look(log, looked_at=20_000, **wanted)["is_cut"] is is_cut


def test_what_is_older_than_wanted_is_not_missed(log: Path) -> None:
    with log.open("w") as file:
        for number in range(600):
            file.write(json.dumps({"time": moment(number), "message": "x"}) + "\n")
    since = datetime(2026, 11, 28, 10, 9, 30, tzinfo=UTC).timestamp()
    found = look(log, looked_at=20_000, since=since)
    assert (found["is_cut"], len(found["entries"])) == (False, 30)
