"""Whom a command means: told word by word from what was said."""

from __future__ import annotations

from typing import Final

from reconciler.selection import resolve
from tests.properties.choices import Choice, Chosen, Member, declared, servers

MEANT: Final = {  # by each pattern
    "web-1": {"web-1"},
    "web-*": {"web-1", "web-2"},
    "*": {"web-1", "web-2", "api"},
    "ap?": {"api"},
    "api": {"api"},
    "web-2": {"web-2"},
}


def exactly_those_are_chosen_of_whom_all_is_true(choice: Choice, chosen: Chosen) -> None:
    if chosen.names is not None:
        assert list(chosen.names) == sorted(name for name in _there(choice) if _is_meant(choice, name))


def whoever_names_nothing_means_all(choice: Choice, chosen: Chosen) -> None:
    said = choice.selection
    assert said.is_empty == (said == type(said)())
    if said.is_empty or said.everything:
        assert set(chosen.names or ()) == _there(choice)


def a_word_that_fits_nobody_is_refused_by_name(choice: Choice, chosen: Chosen) -> None:
    said = choice.selection
    if said.everything:
        return
    strange = [f"no child matches {it}" for it in said.names if not MEANT.get(it, set()) & _there(choice)]
    strange += [f"no group matches {it}" for it in said.groups if not _of_group(choice, it)]
    strange += [f"no label matches {it}" for it in said.labels if not _with_label(choice, it)]
    nobody = not any(_is_meant(choice, name) for name in _there(choice))
    assert (chosen.names is None) == (bool(strange) or (nobody and not said.is_empty))
    if strange:
        assert chosen.problem.startswith(f"{strange[0]}\n")
    elif chosen.names is None:
        assert f"no child is all of this: {said}" in chosen.problem


def who_is_refused_is_told_what_there_is(choice: Choice, chosen: Chosen) -> None:
    if "no child matches" in chosen.problem:
        advice = chosen.problem.partition("\n")[2]
        assert advice.startswith(("did you mean ", "there are: "))
        assert any(name in advice for name in _there(choice)) or advice == "there are: none"
    if chosen.problem.startswith("no child matches web-3\n") and _there(choice) & {"web-1", "web-2"}:
        assert "did you mean web-" in chosen.problem


def a_selection_reads_as_on_a_command_line(choice: Choice, chosen: Chosen) -> None:
    said = choice.selection
    options = [("--group", group) for group in said.groups] + [("--label", label) for label in said.labels]
    words = [*said.names, *(word for option in options for word in option)]
    assert str(said).split() == (words or ["--all"])


def the_file_alone_answers_where_it_can(choice: Choice, chosen: Chosen) -> None:
    """Then nobody asks the cloud; a command that lists children by their full names is the same with and without."""
    said, members = choice.selection, choice.members
    full = bool(said.names) and all(name in members and members[name].declared for name in said.names)
    alone = said.names_only(declared(choice))
    assert alone == (full and not said.groups and not said.labels)
    if alone and not said.everything:
        assert resolve(said, declared(choice), {}) == chosen.names


LAWS: Final = (
    exactly_those_are_chosen_of_whom_all_is_true,
    whoever_names_nothing_means_all,
    a_word_that_fits_nobody_is_refused_by_name,
    who_is_refused_is_told_what_there_is,
    a_selection_reads_as_on_a_command_line,
    the_file_alone_answers_where_it_can,
)


def _there(choice: Choice) -> set[str]:
    return {*declared(choice), *servers(choice)}


def _is_meant(choice: Choice, name: str) -> bool:
    said = choice.selection
    if said.everything:
        return True
    by_name = not said.names or any(name in MEANT.get(pattern, set()) for pattern in said.names)
    by_group = not said.groups or any(name in _of_group(choice, group) for group in said.groups)
    return by_name and by_group and all(name in _with_label(choice, label) for label in said.labels)


def _of_group(choice: Choice, group: str) -> set[str]:
    return {name for name, member in choice.members.items() if member.declared and member.group == group}


def _with_label(choice: Choice, label: str) -> set[str]:
    key, has_value, value = label.partition("=")
    found = {name: _labels(member).get(key) for name, member in choice.members.items()}
    return {name for name, there in found.items() if there is not None and (there == value or not has_value)}


def _labels(member: Member) -> dict[str, str]:
    return member.labels if member.declared or member.server else {}
