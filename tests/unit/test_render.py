"""What people and machines read: no host can drive the terminal, no secret appears, piped text is plain."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reconciler.errors import ConfigError, FleetError
from reconciler.model import (
    Action,
    Child,
    Diagnostic,
    Kind,
    Outcome,
    OutcomeCode,
    Plan,
    Reason,
    ReasonCode,
    Server,
    Severity,
    Sync,
)
from reconciler.planner import plan
from reconciler.render.diagnostics import error_text
from reconciler.render.outcome import outcome_lines
from reconciler.render.plan import plan_json, plan_lines
from reconciler.render.status import server_json, server_table, status_json, status_table
from reconciler.render.text import LONGEST_VALUE, count_text, harmless, seconds_text, value_text
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet, make_materials, make_server

EVIL = "\x1b[2J\x1b]0;owned\x07\r\nalice  HEALTHY\u202e\u2066\u200b\x00\x9b31m"


def piped(table: object) -> str:
    console = Console(width=400, no_color=True, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def planned(children: dict[str, Child]) -> Plan:
    return plan(make_fleet(children), children, make_catalog(), NOW)


def acted(code: OutcomeCode, error: str = "", advice: str = "") -> Outcome:
    action = Action(Kind.UPDATE, "alice", Reason(ReasonCode.CHANGED, "changed"), 3)
    return Outcome(action, code, 12.34, error, advice)


# --- text ----------------------------------------------------------------------------------------------------


@given(st.text())
def test_nothing_that_does_not_print_comes_through(text: str) -> None:
    assert harmless(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("char", EVIL, ids=lambda char: unicodedata.name(char, f"{ord(char):#x}"))
def test_control_and_bidi_characters_are_shown_as_escapes(char: str) -> None:
    assert harmless(char) == (char if char.isprintable() else char.encode("unicode_escape").decode())


def test_a_value_is_one_short_line() -> None:
    assert value_text(None) == "(none)"
    assert value_text({"b": [1], "a": "ä\n"}) == '{"a": "ä\\n", "b": [1]}'
    assert len(value_text("x" * 1000)) == LONGEST_VALUE


def test_durations_and_counts_are_as_people_say_them() -> None:
    assert [seconds_text(seconds) for seconds in (0.04, 99.9, 100, 600)] == ["0.0 s", "99.9 s", "1.7 min", "10.0 min"]
    assert [count_text(1, "child", "children"), count_text(2, "child", "children")] == ["1 child", "2 children"]
    assert count_text(0, "action") == "0 actions"


# --- status --------------------------------------------------------------------------------------------------


def test_a_piped_table_is_one_plain_line_per_child() -> None:
    children = {
        "alice": make_child("alice", {"spec": {}}),
        "bob": make_child("bob", {"spec": {}, "silence": "refused"}),
        "carol": make_child("carol", {"spec": {}, "server": None}),
    }
    lines = [line.rstrip() for line in piped(status_table(children, planned(children).sync)).splitlines()]
    assert [line.split() for line in lines] == [
        ["CHILD", "HEALTH", "SYNC", "VERSION", "BOT", "ADDRESS", "FINDING"],
        ["alice", "HEALTHY", "IN_SYNC", "2026.9.6", "-", "192.0.2.10", "-"],
        ["bob", "UNREACHABLE", "UNKNOWN", "-", "-", "192.0.2.10", "ssh:", "refused:", "no", "answer"],
        ["carol", "UNREACHABLE", "PENDING", "-", "-", "-", "server:", "there", "is", "no", "server"],
    ]
    assert all(line.isprintable() for line in lines)


def test_a_long_finding_is_not_folded_when_piped() -> None:
    gateway = {"channel_connected": False, "channel_error": "word " * 40 + "end"}
    children = {"alice": make_child("alice", {"spec": {}, "gateway": gateway})}
    lines = piped(status_table(children, {"alice": Sync.IN_SYNC})).splitlines()
    assert len(lines) == 2
    assert lines[1].rstrip().endswith("word end")


def test_what_a_host_says_cannot_drive_the_terminal() -> None:
    gateway = {"version": EVIL, "channel_error": EVIL, "ready": False, "failing": [EVIL]}
    children = {"alice": make_child("alice", {"spec": {}, "gateway": gateway})}
    text = piped(status_table(children, {"alice": Sync.IN_SYNC}))
    assert [line for line in text.split("\n") if line] == text.splitlines()
    assert len(text.splitlines()) == 2
    assert all(line.isprintable() for line in text.splitlines())


def test_the_list_shows_what_the_cloud_says_and_what_is_missing() -> None:
    servers: dict[str, Server | None] = {"bob": None, "alice": make_server("alice", region=EVIL)}
    lines = piped(server_table(servers)).splitlines()
    assert [line.split()[0] for line in lines] == ["CHILD", "alice", "bob"]
    assert lines[1].isprintable()
    assert "no server" in lines[2]
    assert [row["child"] for row in server_json(servers)] == ["alice", "bob"]  # type: ignore[index,union-attr,call-overload]


# --- JSON ----------------------------------------------------------------------------------------------------


def test_json_for_machines_holds_no_secret_and_no_digest_of_one() -> None:
    children = {
        "alice": make_child("alice", {"spec": {}, "live": {"bot token": {"hmac": "0badc0de"}, "home": None}}),
        "bob": make_child("bob", {"spec": {}, "server": None}),
    }
    found = planned(children)
    text = json.dumps([plan_json(found), status_json(children, found.sync)])
    assert '"bot token"' in text
    materials = make_materials("alice")
    for secret in (materials.bot_token, materials.model_key, materials.gateway_token, materials.digest_key):
        assert secret.reveal() not in text
    for child in children.values():
        for name, value in child.wanted.items():
            if isinstance(value, dict) and "hmac" in value:
                assert str(value["hmac"]) not in text, name
    assert "0badc0de" not in text


def test_the_plan_as_json_says_what_the_text_says() -> None:
    children = {"alice": make_child("alice", {"spec": {"users": {"allowed": [42]}}, "applied_spec": {"users": {}}})}
    value = json.loads(json.dumps(plan_json(planned(children))))
    [action] = value["actions"]
    assert (action["kind"], action["child"], action["reason"]["code"]) == ("update", "alice", "changed")
    [change] = action["reason"]["changes"]
    assert (change["path"], change["before"], change["after"]) == ("config.channels.telegram.allowFrom", [], ["42"])
    assert value["sync"] == {"alice": "PENDING"}


def test_a_plan_in_text_never_shows_a_secrets_digest() -> None:
    children = {"alice": make_child("alice", {"spec": {}, "live": {"bot token": {"hmac": "0badc0de"}}})}
    text = "\n".join(line for line, _ in plan_lines(planned(children), children))
    assert "bot token: changed" in text
    assert "0badc0de" not in text


# --- outcomes and errors -------------------------------------------------------------------------------------


def test_every_failure_says_what_to_do_next() -> None:
    outcomes = [acted(OutcomeCode.DONE), acted(OutcomeCode.FAILED, f"reach: {EVIL}", "look at it")]
    lines = [line for line, _ in outcome_lines(outcomes)]
    assert lines == [
        "",
        "  alice: update done in 12.3 s",
        f"  alice: update failed: reach: {harmless(EVIL)}",
        "      look at it",
        "Applied: 1 action done, 1 failed.",
    ]


def test_nothing_failed_says_only_what_was_done() -> None:
    assert outcome_lines([acted(OutcomeCode.DONE)])[-1] == ("Applied: 1 action done.", "green")


def test_an_error_is_said_with_its_advice_line_by_line() -> None:
    assert error_text(FleetError("it broke", "do this\nor that")) == "Error: it broke\n  do this\n  or that"
    assert error_text(FleetError(EVIL)) == f"Error: {harmless(EVIL)}"


def test_every_problem_of_a_file_has_its_place() -> None:
    problems = [
        Diagnostic(Severity.ERROR, "unknown key", "did you mean x?", file="fleet.yaml", line=3, column=5),
        Diagnostic(Severity.WARNING, "odd", file="fleet.yaml"),
    ]
    assert error_text(ConfigError(problems)).splitlines() == [
        "fleet.yaml:3:5: unknown key",
        "  did you mean x?",
        "fleet.yaml: warning: odd",
        "Error: 2 problem(s) in the fleet file",
    ]


def test_times_in_json_have_their_zone() -> None:
    value = json.loads(json.dumps(plan_json(Plan("demo", (), (), {}, datetime(2026, 11, 22, tzinfo=UTC)))))
    assert value["at"] == "2026-11-22T00:00:00+00:00"
