"""Commands that name some children, in fleets of a few with groups and labels, declared or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from hypothesis import strategies as st

from reconciler.errors import UsageProblem
from reconciler.model import ChildSpec, Server
from reconciler.selection import Selection, resolve
from tests.fakes.worlds import make_server, make_spec

NAMES: Final = ("web-1", "web-2", "api")
PATTERNS: Final = ("web-1", "web-*", "*", "ap?", "gone", "web-3")
GROUPS: Final = (None, "canary", "rest")
LABELS: Final[tuple[dict[str, str], ...]] = ({}, {"tier": "gold"}, {"tier": "tin", "eu": "yes"})
WANTED_LABELS: Final = ("tier", "tier=gold", "eu", "eu=no", "tier=*")


@dataclass(frozen=True)
class Member:
    """`labels` are those of the file for who is declared, those of the server for who is not."""

    declared: bool
    group: str | None
    labels: dict[str, str]
    server: bool = True


@dataclass(frozen=True)
class Choice:
    members: dict[str, Member]
    selection: Selection


@dataclass(frozen=True)
class Chosen:
    """`names` is None where the command was refused for what it says."""

    names: tuple[str, ...] | None
    problem: str = ""


def chosen(choice: Choice) -> Chosen:
    try:
        return Chosen(resolve(choice.selection, declared(choice), servers(choice)))
    except UsageProblem as problem:
        return Chosen(None, f"{problem.summary}\n{problem.advice}")


def declared(choice: Choice) -> dict[str, ChildSpec]:
    return {
        name: make_spec(name, group=member.group, labels=member.labels)
        for name, member in choice.members.items()
        if member.declared
    }


def servers(choice: Choice) -> dict[str, Server | None]:
    """A server's labels are told apart from those of the file."""
    return {
        name: make_server(name, labels={"by-hand": "yes"} if member.declared else member.labels)
        if member.server
        else None
        for name, member in choice.members.items()
        if member.server or not member.declared
    }


def every_word() -> Iterator[Choice]:
    """Each single word that may be said, and each pair of them, to one fleet."""
    members = {
        "web-1": Member(True, "canary", LABELS[1]),
        "web-2": Member(True, "rest", LABELS[2], server=False),
        "api": Member(False, None, LABELS[1]),
    }
    names = [(), *((pattern,) for pattern in PATTERNS), ("api", "web-2"), ("api", "gone")]
    groups = [(), ("canary",), ("canary", "rest"), ("gone",), ("can*",)]
    labels = [(), *((label,) for label in WANTED_LABELS), ("tier", "eu")]
    for words in product(names, groups, labels, (False, True)):
        yield Choice(members, Selection(*words))
    yield Choice({}, Selection(names=("api",)))


def some(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2).map(tuple)


members: Final = st.builds(Member, st.booleans(), st.sampled_from(GROUPS), st.sampled_from(LABELS), st.booleans())
choices: Final = st.builds(
    Choice,
    st.dictionaries(st.sampled_from(NAMES), members),
    st.builds(Selection, some(PATTERNS), some(("canary", "rest", "can*")), some(WANTED_LABELS), st.booleans()),
)
