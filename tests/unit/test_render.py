"""What people and machines read: no host can drive the terminal, no secret appears, piped text is plain."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from reconciler.errors import ConfigError, FleetError
from reconciler.model import (
    Action,
    Change,
    Child,
    Diagnostic,
    Json,
    Kind,
    Outcome,
    OutcomeCode,
    Plan,
    PlanOptions,
    Reason,
    ReasonCode,
    Severity,
    Sync,
)
from reconciler.ownership import Owned
from reconciler.planner import plan
from reconciler.render.changes import LONGEST_PART, MOST_PARTS, parts, sides
from reconciler.render.diagnostics import error_text
from reconciler.render.journal import WORDS
from reconciler.render.markdown import FEW, LONGEST, code, escaped, plan_markdown
from reconciler.render.outcome import outcome_lines
from reconciler.render.plan import plan_json, plan_lines
from reconciler.render.status import server_json, server_table, status_json, status_table
from reconciler.render.table import Sheet, table_lines
from reconciler.render.text import LONGEST_VALUE, count_text, harmless, json_text, seconds_text, value_text
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet, make_materials, make_server

CI_COMMAND = re.compile(r"^\s*::[a-z]|##\[|##vso\[", re.IGNORECASE | re.MULTILINE)
EVIL_MARKDOWN = "`</details><img src=x>|@all ::error::x ##vso[x] \x1b[2J"
EVIL = "\x1b[2J\x1b]0;owned\x07\r\nalice  HEALTHY\u202e\u2066\u200b\x00\x9b31m"


def piped(table: Sheet) -> str:
    return shown(table, None)


def shown(table: Sheet, width: int | None) -> str:
    return "".join(f"{line.plain.rstrip()}\n" for line in table_lines(table, width))


def planned(children: dict[str, Child]) -> Plan:
    return plan(make_fleet(children), children, make_catalog(), NOW)


def everything() -> tuple[Plan, dict[str, Child]]:
    """A plan with every kind of action and every severity in it, and evil words wherever a host or file has a say."""
    cases: dict[str, dict[str, Any]] = {
        "create": {"spec": {"server_type": ["cx23", "cx33"], "region": ["nbg1", "hel1"]}, "server": None},
        "update": {"spec": {}, "live": {"config": {"channels": {"telegram": {"dmPolicy": EVIL_MARKDOWN}}}}},
        "resize": {"spec": {"server_type": "cx33"}, "server": {"created": NOW - timedelta(days=300)}},
        "restart": {"spec": {}, "gateway": {"stale": [EVIL_MARKDOWN]}},
        "start": {"spec": {}, "gateway": {"active": "failed", "result": EVIL_MARKDOWN}},
        "stop": {"spec": {"enabled": False}},
        "replace": {"spec": {"image": "debian-13"}},
        "hibernate": {"spec": {}},
        "destroy": {"server": {"address": EVIL_MARKDOWN}},
        "error": {"spec": {"server_type": "cx43"}, "server": None},
        "refused": {"spec": {"region": "hel1"}},
        "warning": {"spec": {}, "server": {"status": "migrating"}},
        "note": {"spec": {"enabled": False}, "server": {"status": "off"}},
    }
    children = {name: make_child(name, case) for name, case in cases.items()}
    replaced, sleeping = frozenset({"replace"}), frozenset({"hibernate"})
    options = PlanOptions(allow_replace=replaced, hibernate=sleeping, max_destroys=9)
    shared = (Change("firewall demo: rules", ["in tcp 22 from everywhere"], [EVIL_MARKDOWN], drift=True),)
    return plan(make_fleet(children), children, make_catalog(), NOW, options, shared), children


def acted(code: OutcomeCode, error: str = "", advice: str = "") -> Outcome:
    action = Action(Kind.UPDATE, "alice", Reason(ReasonCode.CHANGED, "changed"), 3)
    return Outcome(action, code, 12.34, error, advice)


# --- text ----------------------------------------------------------------------------------------------------


@given(st.text())
def test_nothing_that_does_not_print_comes_through(text: str) -> None:
    assert harmless(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=":#")))
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    "command", ["::set-output name=x::y", "see ::error::y", "##vso[task.setvariable]", "a ##[command]b", "##VSO[x]"]
)
def test_what_a_ci_system_would_take_for_a_command_is_shown_as_an_escape(command: str) -> None:
    assert not CI_COMMAND.search("\n".join(harmless(command).split()))  # a fold may begin a line with any word
    assert not CI_COMMAND.search(json_text({"text": command}))
    assert json.loads(json_text({"text": command})) == {"text": command}


def test_what_only_looks_like_a_ci_command_stays_as_it_is() -> None:
    for text in ("in tcp 22 from 0.0.0.0/0, ::/0", "a::b", "# a heading", "## two"):
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


def test_a_child_that_shall_be_off_has_no_health() -> None:
    children = {"alice": make_child("alice", {"spec": {"enabled": False}, "server": {"status": "off"}})}
    sync = planned(children).sync
    row = piped(status_table(children, sync)).splitlines()[1].split()
    assert row[:3] == ["alice", "-", "SUSPENDED"]
    assert row[-7:] == ["switched", "off,", "as", "the", "fleet", "file", "says"]
    found: Any = status_json(children, sync)
    assert (found[0]["health"], found[0]["findings"]) == (None, [])


def test_a_long_finding_is_not_folded_when_piped() -> None:
    gateway = {"channel_connected": False, "channel_error": "word " * 40 + "end"}
    children = {"alice": make_child("alice", {"spec": {}, "gateway": gateway})}
    lines = piped(status_table(children, {"alice": Sync.IN_SYNC})).splitlines()
    assert len(lines) == 2
    assert lines[1].rstrip().endswith("word end")


LONG = ("a-child-with-a-very-long-name", "a-child-with-a-very-long-nam2")


def test_what_does_not_fit_on_a_terminal_stands_below_its_row() -> None:
    servers = {name: Owned(make_server(name, id=number)) for name, number in zip(LONG, (1003, 1009), strict=True)}
    assert shown(server_table(servers), 80) == (
        "CHILD                          STATUS   ID    TYPE  REGION  ADDRESS\n"
        "a-child-with-a-very-long-nam2  running  1009  cx23  nbg1    192.0.2.10\n"
        "  CREATED 2026-11-22 12:00\n"
        "a-child-with-a-very-long-name  running  1003  cx23  nbg1    192.0.2.10\n"
        "  CREATED 2026-11-22 12:00\n"
    )
    children = {
        LONG[0]: make_child(LONG[0], {"spec": {}, "silence": "refused"}),
        "bob": make_child("bob", {"spec": {}}),
    }
    assert shown(status_table(children, planned(children).sync), 80) == (
        "CHILD                          HEALTH       SYNC     VERSION   BOT  ADDRESS\n"
        "a-child-with-a-very-long-name  UNREACHABLE  UNKNOWN  -         -    192.0.2.10\n"
        "  FINDING ssh: refused: no answer\n"
        "bob                            HEALTHY      IN_SYNC  2026.9.6  -    192.0.2.10\n"
    )


@pytest.mark.parametrize("width", [*range(24, 110, 5)])
def test_on_a_terminal_of_any_width_only_a_name_is_ever_shortened(width: int) -> None:
    gateway = {"channel_connected": False, "channel_error": "word " * 40 + "end"}
    children = {
        LONG[0]: make_child(LONG[0], {"spec": {}, "gateway": gateway}),
        LONG[1]: make_child(LONG[1], {"spec": {}, "silence": "refused"}),
    }
    text = shown(status_table(children, planned(children).sync), width)
    words = text.split()
    for word in ("DEGRADED", "UNREACHABLE", "IN_SYNC", "UNKNOWN", "2026.9.6", "192.0.2.10", "end", "refused:"):
        assert word in words
    assert words.count("word") == 40
    assert all(name in words for name in LONG) or any(word.endswith("…") for word in words)
    assert width < 30 or all(len(line) <= width for line in text.splitlines())


def test_what_a_host_says_cannot_drive_the_terminal() -> None:
    gateway = {"version": EVIL, "channel_error": EVIL, "ready": False, "failing": [EVIL]}
    children = {"alice": make_child("alice", {"spec": {}, "gateway": gateway})}
    text = piped(status_table(children, {"alice": Sync.IN_SYNC}))
    assert [line for line in text.split("\n") if line] == text.splitlines()
    assert len(text.splitlines()) == 2
    assert all(line.isprintable() for line in text.splitlines())


def test_the_list_shows_what_the_cloud_says_and_what_is_missing() -> None:
    servers = {"bob": Owned(), "alice": Owned(make_server("alice", region=EVIL))}
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
    for secret in materials.secrets:
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


def test_every_kind_and_severity_is_shown() -> None:
    made, children = everything()
    assert {action.kind for action in made.actions} == {*Kind} - {Kind.RESUSCITATE, Kind.CONFIGURE}, "no plan has these"
    assert {found.severity for found in made.diagnostics} == set(Severity)
    for text in ("\n".join(line for line, _ in plan_lines(made, children)), plan_markdown(made, children)):
        for name in children:
            assert name in text


def test_the_plan_as_json_is_as_its_schema_says() -> None:
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "plan.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    for made in (everything()[0], planned({}), planned({"alice": make_child("alice", {"spec": {}})})):
        Draft202012Validator(schema).validate(json.loads(json_text(plan_json(made))))


@pytest.mark.parametrize("width", [80, 160])
def test_a_plan_fits_the_terminal(width: int) -> None:
    made, children = everything()
    lines = [line for line, _ in plan_lines(made, children, width)]
    assert [line for line in lines if len(line) > width and len(line.split()) > 1] == []
    assert len(lines) > len(plan_lines(made, children)) if width == 80 else True


def test_a_fold_loses_no_word() -> None:
    made, children = everything()
    whole = " ".join(line for line, _ in plan_lines(made, children)).split()
    assert " ".join(line for line, _ in plan_lines(made, children, 80)).split() == whole


def test_no_line_of_a_plan_is_a_ci_command() -> None:
    made, children = everything()
    text = "\n".join(line for line, _ in plan_lines(made, children, 80))
    for written in (text, plan_markdown(made, children), json_text(plan_json(made))):
        assert not CI_COMMAND.search(written)
        assert all(line.isprintable() for line in written.split("\n"))


# --- changes -------------------------------------------------------------------------------------------------


def changed(before: Json, after: Json, width: int | None = None) -> list[str]:
    """The lines of a plan that say it, without their indentation."""
    children = {"alice": make_child("alice", {"spec": {}})}
    made = plan(make_fleet(children), children, make_catalog(), NOW, PlanOptions(), (Change("it", before, after),))
    lines = [line for line, _ in plan_lines(made, children, width)]
    return [line[6:] for line in lines if line.startswith("      ")]


IDS: list[Json] = [str(7_000_000_000 + number) for number in range(6)]


def test_a_short_change_is_one_line_with_both_sides() -> None:
    assert changed([1], [1, 2]) == ["it: [1] -> [1, 2]"]
    assert changed("old", None) == ['it: "old" -> (none)']


def test_a_long_list_says_what_was_added_and_what_was_taken_away() -> None:
    assert changed(IDS, [*IDS[1:], "42"]) == [
        "it: 1 added, 1 taken away, 5 unchanged",
        '  + "42"',
        '  - "7000000000"',
    ]
    assert changed(None, IDS[:5]) == ["it: 5 added", *(f'  + "{number}"' for number in IDS[:5])]


def test_an_order_that_changed_is_an_entry_that_moved() -> None:
    assert changed(IDS, [*IDS[1:], IDS[0]])[1:] == ['  + "7000000000"', '  - "7000000000"']


def test_a_map_that_comes_whole_says_each_of_its_entries() -> None:
    assert changed(None, {"enabled": True, "names": IDS[:3]}) == [
        "it: 2 added",
        '  + "enabled": true',
        '  + "names": ["7000000000", "7000000001", "7000000002"]',
    ]


def test_entries_that_are_too_many_are_counted_and_what_comes_is_said_first() -> None:
    lines = changed(list(range(100, 200)), [1, *range(200, 215)])
    assert lines[:2] == ["it: 16 added, 100 taken away", "  + 1"]
    assert [lines[MOST_PARTS], len(lines)] == ["  and 97 more, which fleet plan --json shows", MOST_PARTS + 1]


@pytest.mark.parametrize("length", [10, 59, 100, 399, 400, 5000])
@pytest.mark.parametrize("others", [[], IDS])
def test_whatever_is_shortened_still_shows_what_differs(length: int, others: list[Json]) -> None:
    before, after = f"{'x' * length}A tail{'y' * length}", f"{'x' * length}B tail{'y' * length}"
    lines = changed([*others, before], [*others, after]) if others else changed(before, after)
    sides = [line[4:] for line in lines[1:]] if others else lines[0].removeprefix("it: ").split(" -> ")
    assert sorted(letter for side in sides for letter in side if letter in "AB") == ["A", "B"]
    assert all(len(side) <= LONGEST_PART for side in sides)


@given(st.lists(st.text(max_size=90), max_size=30), st.lists(st.text(max_size=90), max_size=30))
def test_no_change_of_a_list_reads_the_same_on_both_sides(before: list[Json], after: list[Json]) -> None:
    change = Change("it", before, after)
    said, (old, new) = parts(change), sides(change)
    assert before == after or (len(said) > 1 if said else old != new)


def test_markdown_says_what_was_added_too() -> None:
    children = {"alice": make_child("alice", {"spec": {}})}
    shared = (Change("it", IDS, [*IDS, "`4`"]),)
    text = plan_markdown(plan(make_fleet(children), children, make_catalog(), NOW, PlanOptions(), shared), children)
    assert '- `it`: 1 added, 6 unchanged<br>``+ "`4`"``\n' in text


# --- Markdown ------------------------------------------------------------------------------------------------


def test_markdown_has_a_table_per_kind_and_folds_the_details() -> None:
    children = {"alice": make_child("alice", {"spec": {"users": {"allowed": [42]}}, "applied_spec": {"users": {}}})}
    assert plan_markdown(planned(children), children) == (
        "### Plan of the fleet `demo`\n\n"
        "#### `~` Update\n\n"
        "| Child | Why | Cost |\n"
        "| --- | --- | --- |\n"
        "| `alice` | the fleet file or this tool changed |  |\n\n"
        "<details><summary>Details</summary>\n\n"
        "- `alice`\n"
        '  - `config.channels.telegram.allowFrom`: `[]` → `["42"]`\n\n'
        "</details>\n\n"
        "**1 to update**\n\n"
        "Costs: 5.99 EUR a month, as before (list prices, net). Takes about 9 API requests.\n"
    )


@pytest.mark.parametrize(
    ("before", "after", "heading", "total"),
    [
        (None, ["ssh"], "#### `+` Firewalls of the fleet", "**1 firewall to make**"),
        (["ssh"], None, "#### `-` Firewalls of the fleet", "**1 firewall to remove**"),
        ([], ["ssh"], "#### `~` Firewalls of the fleet", "**the fleet's firewalls to mend**"),
    ],
)
def test_markdown_tells_firewalls_that_are_made_from_those_that_are_mended(
    before: Json, after: Json, heading: str, total: str
) -> None:
    children = {"alice": make_child("alice", {"spec": {}})}
    shared = (Change("firewall demo", before, after),)
    text = plan_markdown(plan(make_fleet(children), children, make_catalog(), NOW, PlanOptions(), shared), children)
    assert heading in text
    assert total in text


def test_markdown_says_which_server_takes_the_place_of_another() -> None:
    wanted = {"server_type": ["cx43", "cx33"], "region": "fsn1", "backups": True, "ipv4": False}
    children = {
        "alice": make_child("alice", {"spec": wanted}),
        "bob": make_child("bob", {"spec": {"server_type": "cx33"}}),
    }
    options = PlanOptions(allow_replace=frozenset({"alice"}))
    text = plan_markdown(plan(make_fleet(children), children, make_catalog(), NOW, options), children)
    made = "cx33 in fsn1, debian-12, without IPv4, with backups; the first to be had of cx43, cx33 in fsn1"
    assert f"- `alice`\n  - server: `{made}`\n" in text
    assert "- `bob`\n  - server: `cx33 in nbg1`\n" in text


@given(st.text(max_size=40))
def test_nothing_ends_a_code_span(text: str) -> None:
    span = code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert len(fence) not in {len(run) for run in re.findall("`+", inside)}


def test_a_plan_that_is_too_long_for_a_comment_says_less_and_says_so() -> None:
    names = [f"c{number:04}" for number in range(1000)]
    children = {name: make_child(name, {"spec": {}, "server": None}) for name in names}
    text = plan_markdown(planned(children), children)
    assert len(text) <= LONGEST
    assert "This plan is too long for a comment" in text
    assert f"and {1000 - FEW} more" in text
    assert "**1000 to create**" in text


def test_firewalls_that_are_too_many_for_a_comment_are_named_only() -> None:
    children = {"alice": make_child("alice", {"spec": {}})}
    rules: list[Json] = [f"in tcp 22 from 192.0.2.{number}/32" for number in range(MOST_PARTS)]
    shared = tuple(Change(f"firewall demo-{number}: rules", [], rules) for number in range(100))
    text = plan_markdown(plan(make_fleet(children), children, make_catalog(), NOW, PlanOptions(), shared), children)
    assert len(text) <= LONGEST
    assert "- `firewall demo-0: rules`\n" in text
    assert f"- and {100 - FEW} more\n" in text


def test_words_outside_code_spans_are_only_words() -> None:
    text = escaped("<script>&amp; [a](http://x) @all #1 *b* _c_ `d` |e|")
    assert text == (r"&lt;script&gt;&amp;amp; \[a\](http:<!-- -->//x) @<!-- -->all #<!-- -->1 \*b\* \_c\_ \`d\` \|e\|")


def test_no_secret_and_no_digest_of_one_is_in_markdown() -> None:
    children = {"alice": make_child("alice", {"spec": {}, "live": {"bot token": {"hmac": "0badc0de"}}})}
    text = plan_markdown(planned(children), children)
    assert "`bot token`: changed" in text
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


def test_an_apply_of_the_firewalls_alone_says_so() -> None:
    assert outcome_lines([]) == [("Applied: the fleet's firewalls are as they shall be.", "green")]


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


def test_every_event_of_the_journal_has_words() -> None:
    """Whoever reads it sees what was done, and no name of ours."""
    root = Path(__file__).parent.parent.parent / "reconciler"
    texts = [path.read_text() for path in root.rglob("*.py") if "sandbox" not in path.parts]
    call = re.compile(r'\b_?(?:note|Event)\(\s*(?:ports,\s*)?(?:run,\s*)?"([a-z]+(?:-[a-z]+)+)"')
    emitted = {name for text in texts for name in call.findall(text)} | {"message-sent", "message-unclear"}
    assert len(emitted) > 60
    assert emitted - WORDS.keys() == set()
