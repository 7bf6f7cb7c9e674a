"""Changes to a fleet file leave everything else in it as it is, byte for byte."""

from __future__ import annotations

from typing import Final

import pytest
import yaml

from reconciler.errors import ConfigError, Refused
from reconciler.model import Json
from reconciler.yamledit import Text

# What YAML 1.1 has in store for who reads and writes a whole file.
ODD: Final = (
    *("yes", "no", "on", "Off", "012", "0o14", "1_000", "0x1F", "1:30", "12:30:45", "~", "null", "Null", ""),
    *(".5", "1.", "1e3", "1.0e+3", '"yes"', "'no'", '"2026.9.6"', "2026.9.6", "2026-11-27", "2026-11-27T10:00:00Z"),
    *('"a: b"', "'it''s'", "|\n      line\n      two\n", ">-\n      folded\n\n      text", "[1, 2,3]", "{a: 1,b: 2}"),
    *('"\\u00e9"', "\u00e9\u2728", "!!str 5", "&a x", '"#no comment"', "x#y", "+1", "-0", "0.10", ".inf", "=", '"\\t"'),
    *(
        "1_0.5",
        "0b11",
        '"0xff"',
        "[\n      a, # one\n      b\n    ]",
        "\n    - a\n    # in between\n    - b",
        "a\n      b",
    ),
)
FLEET: Final = """\
# The fleet, and its story
fleet: demo   # its name

children:  # note: two of them
  # alice is the first
  alice:
    bot: {{token: env:ALICE}}   # hers
    odd: {odd}
    version: 2026.9.5  # keep

  # bob comes second
  bob: {{region: [nbg1,fsn1], users: {{allowed: [1, 2]}}}}
  carol:
    users:
      allowed:
      - 1   # the first
# the end
"""


def text(content: str, *, crlf: bool = False, mark: bool = False) -> Text:
    content = content.replace("\n", "\r\n") if crlf else content
    return Text((b"\xef\xbb\xbf" if mark else b"") + content.encode(), "fleet.yaml")


def changed(before: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert before.count(old) == 1, old
        before = before.replace(old, new)
    return before


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("crlf", "mark"), [(False, False), (True, True)])
def test_each_change_leaves_an_odd_neighbour_alone(odd: str, crlf: bool, mark: bool) -> None:
    def expected(*pairs: tuple[str, str]) -> bytes:
        return text(changed(before, *pairs), crlf=crlf, mark=mark).raw

    before = FLEET.format(odd=odd)
    found = text(before, crlf=crlf, mark=mark)
    assert found.with_value(("children", "alice", "version"), "2026.9.6").raw == expected(("2026.9.5", "2026.9.6"))
    assert found.without(("children", "bob")).raw == expected(
        (f"  bob: {before.partition('  bob: ')[2].splitlines()[0]}\n", "")
    )
    assert found.with_item(("children", "bob", "users", "allowed"), 77).raw == expected(("[1, 2]}}", "[1, 2, 77]}}"))
    assert found.with_item(("children", "carol", "users", "allowed"), 77).raw == expected(
        ("- 1   # the first", "- 1   # the first\n      - 77")
    )
    dora: Json = {"bot": {"token": "env:DORA"}, "users": {"owner": 4}}
    assert found.with_value(("children", "dora"), dora).raw == expected(
        ("- 1   # the first", "- 1   # the first\n  dora:\n    bot: {token: 'env:DORA'}\n    users: {owner: 4}")
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("fleet: demo\n", "fleet: demo\nchildren:\n  al: {region: nbg1}\n"),
        ("fleet: demo", "fleet: demo\nchildren:\n  al: {region: nbg1}"),
        ("fleet: demo\nchildren: {}\n", "fleet: demo\nchildren:\n  al: {region: nbg1}\n"),
        ("children: {} # none\nfleet: demo\n", "children: # none\n  al: {region: nbg1}\nfleet: demo\n"),
        ("children:\nfleet: demo\n", "children:\n  al: {region: nbg1}\nfleet: demo\n"),
        ("children: # none: yet\nfleet: demo\n", "children: # none: yet\n  al: {region: nbg1}\nfleet: demo\n"),
        ("{fleet: demo, children: {}}\n", "{fleet: demo, children: {al: {region: nbg1}}}\n"),
        ("{fleet: demo}\n", "{fleet: demo, children: {al: {region: nbg1}}}\n"),
        ("children: {bo: }\n", "children: {bo: , al: {region: nbg1}}\n"),
        ("children:\n    bo:\n        x: 1\n", "children:\n    bo:\n        x: 1\n    al: {region: nbg1}\n"),
        ("children:\n  bo: # later\n", "children:\n  bo: # later\n  al: {region: nbg1}\n"),
        ("children:\n  al:\n", "children:\n  al:\n    region: nbg1\n"),
        ("children:\n  al: # her\n    x: 1\n", "children:\n  al: # her\n    x: 1\n    region: nbg1\n"),
    ],
)
def test_what_is_not_there_yet_comes_where_it_belongs(before: str, after: str) -> None:
    assert text(before).with_value(("children", "al", "region"), "nbg1").raw.decode() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("children:\n  al:\n    x: 1\n", "children: {}\n"),
        (
            "children: # note: one\n  # al: hers\n  al: {x: 1}\n# end\n",
            "children: {} # note: one\n  # al: hers\n# end\n",
        ),
        ("children:\n  al: 1\n  bo: 2\n", "children:\n  bo: 2\n"),
        ("children:\n  bo: 2\n  al: 1", "children:\n  bo: 2\n"),
        ("children: {al: 1, bo: 2}\n", "children: {bo: 2}\n"),
        ("children: {bo: 2, al: 1}\n", "children: {bo: 2}\n"),
        ("children: {al: 1}\n", "children: {}\n"),
        ("children: {bo: , al: 1}\n", "children: {bo: }\n"),
        ("children:\n  bo: 1\n", "children:\n  bo: 1\n"),
        (
            "children:\n  al:\n    x: 1\n    # hers\n\n    # too\n\n  # his\n  bo: 2\n",
            "children:\n\n  # his\n  bo: 2\n",
        ),
        ("children:\n  bo: 2\n  al:\n    x: 1\n    # hers", "children:\n  bo: 2\n"),
    ],
)
def test_what_goes_takes_nothing_else_along(before: str, after: str) -> None:
    assert text(before).without(("children", "al")).raw.decode() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("al: {}\n", "al:\n  users:\n    allowed: [7]\n"),
        ("al:\n  users: {owner: 1}\n", "al:\n  users: {owner: 1, allowed: [7]}\n"),
        ("al:\n  users:\n    owner: 1\n", "al:\n  users:\n    owner: 1\n    allowed: [7]\n"),
        ("al:\n  users: {allowed: []}\n", "al:\n  users: {allowed: [7]}\n"),
        ("al:\n  users: {allowed: }\n", "al:\n  users: {allowed: [7]}\n"),
        ("al:\n  users:\n    allowed: # none\n", "al:\n  users:\n    allowed: [7] # none\n"),
        ("al:\n  users:\n    allowed: [1,\n      2]\n", "al:\n  users:\n    allowed: [1,\n      2, 7]\n"),
    ],
)
def test_a_list_has_one_more(before: str, after: str) -> None:
    assert text(before).with_item(("al", "users", "allowed"), 7).raw.decode() == after


@pytest.mark.parametrize(
    "value",
    ["2026.9.6", "yes", "012", "1:30", "null", "~", "", "a: b", "#", " x ", "\u00e9", "it's", 5, 0.5, True, None],
)
def test_a_value_is_read_back_as_it_was_meant(value: str | float | None) -> None:
    for before in ("a: {version: old}\n", "a:\n  version: old # c\n", "a:\n  version:\n", "a: {version: }\n"):
        assert yaml.safe_load(text(before).with_value(("a", "version"), value).raw) == {"a": {"version": value}}


@pytest.mark.parametrize(
    "content",
    [
        "children:\n  al: &base {x: 1}\n  bo: *base\n",  # the anchor would go
        "children:\n  al: {x: &base 1}\n  bo: [*base]\n",
    ],
)
def test_what_cannot_be_changed_without_harm_is_left_alone(content: str) -> None:
    with pytest.raises(Refused, match="written in a way"):
        text(content).without(("children", "al"))


def test_what_is_no_yaml_is_said_to_be_none() -> None:
    with pytest.raises(ConfigError):
        text("a: [\n").with_value(("a",), 1)


@pytest.mark.parametrize(
    ("before", "keys"),
    [
        ("al: {users: &team {allowed: [1]}}\nbo: {users: *team}\n", ("bo", "users", "allowed")),  # al would have it too
        ("al: &a {x: 1}\nbo: *a\n", ("bo", "version")),
        ("children:\n- al: 1\n", ("children", "bo")),
        ("children: |\n  text\n", ("children", "bo")),
        ("children: {\n  bo: 1, # his\n}\n", ("children", "al")),
        ("a: { # nothing yet\n}\n", ("a", "b")),
    ],
)
def test_what_would_change_or_lose_something_else_is_refused(before: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        text(before).with_value(keys, "x")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("no:\n  u: &t {a: [1]}\non: 1\n007: {x: 1}\n", "no:\n  u: &t {a: [1]}\n  v: 2\non: 1\n007: {x: 1}\n"),
        ("bo: {u: &t {a: 1}}\nno:\n  u: *t # his\n", "bo: {u: &t {a: 1}}\nno:\n  u: *t # his\n  v: 2\n"),
        ("no:\n  x: 1\n   # of x\n# not any more\non: 1\n", "no:\n  x: 1\n   # of x\n  v: 2\n# not any more\non: 1\n"),
        ("day: 2026-02-30\nno: {x: 1}\n", "day: 2026-02-30\nno: {x: 1, v: 2}\n"),
    ],
)
def test_what_only_looks_odd_is_changed(before: str, after: str) -> None:
    assert text(before).with_value(("no", "v"), 2).raw.decode() == after


def test_line_ends_of_both_kinds_stay_as_they_are() -> None:
    found = Text(b"children:\r\n  al: 1\n  bo: 2\n", "fleet.yaml")
    assert found.without(("children", "al")).raw == b"children:\r\n  bo: 2\n"


def test_many_are_changed_by_one_look() -> None:
    names = [f"c{number}" for number in range(300)]
    before = text("children:\n" + "".join(f"  {name}: {{x: 1}}\n" for name in names))
    put = before.with_values({("children", name, "v"): 2 for name in names})
    assert put.raw == before.raw.replace(b"x: 1", b"x: 1, v: 2")
    assert before.without(*(("children", name) for name in names)).raw == b"children: {}\n"
