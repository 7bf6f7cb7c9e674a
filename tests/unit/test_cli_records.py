"""`fleet journal` and `fleet refresh`: what was done, and the records made anew from live hosts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import Event
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import make_spec


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state), capsys)


def test_the_journal_says_when_which_run_which_child_and_what(fleet: CommandLine) -> None:
    fleet.world.applied()
    lines = fleet("journal", "-n", "200").out.splitlines()
    run = fleet.world.events()[0].run[-6:]
    assert lines[0] == f'2026-11-22 12:00:00  {run}                apply of demo started (by "ada")'
    assert f"2026-11-22 12:00:00  {run}  alice         create started: declared" in lines
    assert any(line.endswith(f"{run}  bob           about to make server demo-bob: cpx22 in nbg1") for line in lines)
    assert lines[-1].endswith("apply ended, 0 failed")
    before = fleet("journal", "-n", "200", "--until", "2026-11-22T12:00:01").out.splitlines()
    assert before == [line for line in lines if line < "2026-11-22 12:00:01"]
    assert fleet("journal", "--since", "2026-11-23").out == "Nothing in the journal in that time.\n"


def test_the_journal_of_one_child_has_the_applies_it_was_in_and_no_other(fleet: CommandLine) -> None:
    fleet.world.applied()
    fleet.world.specs["carol"] = make_spec("carol", server_type="cpx22")
    fleet.world.apply()
    events = [json.loads(line) for line in fleet("journal", "carol", "--json").out.splitlines()]
    assert {event["fields"].get("child") for event in events} == {"carol", None}
    assert events[0]["event"] == "apply-started"
    assert len({event["run"] for event in events}) == 1
    assert fleet("journal", "nobody").out == "Nothing in the journal about nobody.\n"


def test_the_end_of_the_journal_and_a_part_of_it(fleet: CommandLine) -> None:
    for day in (1, 2, 3):
        fleet.world.store.append(Event("created", f"2026-11-0{day}T10:00:00+00:00", "run", {"name": "x"}), False)
    assert fleet("journal", "-n", "1").out == "2026-11-03 10:00:00  run                   server x made\n"
    times = (("2026-11-02", 2), ("2026-11-02T10:00:01", 1), ("2026-11-02T11:00+01:00", 2), ("5m", 0), ("999999d", 3))
    for since, count in times:
        assert fleet("journal", "--json", "--since", since).out.count("\n") == count, since
    for wrong in ("yesterday", "5x", "0d", "99999999999d"):
        assert fleet("journal", "--since", wrong).code == 64


def test_a_torn_line_hides_nothing_and_host_text_steers_no_terminal(fleet: CommandLine) -> None:
    event = Event("action-failed", "2026-11-22T10:00:00+00:00", "r1", {"child": "a", "error": "\x1b[31m", "kind": "x"})
    fleet.world.store.append(event, False)
    with (fleet.world.state / "journal.jsonl").open("a") as file:
        file.write('{"event": "torn\n')
    fleet.world.store.append(Event("unheard-of", "no time", "r2", {"b": {"c": 1}, "a": None}), False)
    said = fleet("journal")
    assert said.code == 0
    first, torn, unknown = said.out.splitlines()
    assert first.endswith(r"a             x failed at {step}: \x1b[31m")
    assert torn == "-------------------                        line 2 of the journal cannot be read"
    assert unknown == '-------------------  r2                    unheard-of (b {"c": 1})'


def test_a_journal_needs_no_fleet_file(fleet: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fleet("journal").out == "Nothing in the journal.\n"
    assert not fleet.world.state.exists()


def test_lost_records_are_made_anew_and_nothing_else_changes(fleet: CommandLine) -> None:
    fleet.world.applied()
    records, starts = fleet.world.store.records(), fleet.world.host("alice").gateway.starts
    before = dict(fleet.world.cloud.by_id)
    shutil.rmtree(fleet.world.state)
    said = fleet("refresh")
    assert (said.code, said.out) == (0, "Rebuilt 2 records.\n")
    assert fleet.world.store.records() == records
    assert fleet.world.cloud.by_id == before
    assert fleet.world.host("alice").gateway.starts == starts


def test_records_of_what_is_gone_are_forgotten_and_of_what_is_silent_kept(fleet: CommandLine) -> None:
    fleet.world.applied()
    kept = fleet.world.store.records()["bob"]
    del fleet.world.cloud.by_id[fleet.world.server("alice").id]
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    said = fleet("refresh")
    assert said.code == 3
    assert said.out == ("Rebuilt 0 records.\n  bob: left as it was: no answer\n  alice: forgotten, it has no server\n")
    assert fleet.world.store.records() == {"bob": kept}


def test_only_the_selected_records_are_touched(fleet: CommandLine) -> None:
    fleet.world.applied()
    shutil.rmtree(fleet.world.state / "children")
    assert fleet("refresh", "alice").out == "Rebuilt 1 record.\n"
    assert set(fleet.world.store.records()) == {"alice"}
    assert fleet("refresh", "nobody").code == 64
