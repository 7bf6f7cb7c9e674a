"""Laws of comparing and patching that hold for every JSON value."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff import apply_patch, changes, digest, list_paths, merge_patch, same, value_at
from reconciler.model import Json

# No nulls: in a merge patch they mean "delete" (RFC 7386), so no document that is patched may contain one.
KEYS = st.text(st.sampled_from("ab.é\"'[] 0_"), max_size=3)
SCALARS = st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
MAPS: st.SearchStrategy[dict[str, Json]] = st.dictionaries(KEYS, VALUES, max_size=4)


def text(value: Json) -> str:
    """To Python True is 1; in JSON it is not."""
    return json.dumps(value, sort_keys=True)


@given(MAPS, MAPS)
def test_a_merge_patch_leads_from_one_to_the_other(before: Json, after: Json) -> None:
    assert text(apply_patch(before, merge_patch(before, after))) == text(after)


@given(MAPS)
def test_nothing_to_change_is_an_empty_patch(value: Json) -> None:
    assert merge_patch(value, value) == {}
    assert apply_patch(value, {}) == value


@given(MAPS, MAPS)
def test_patching_twice_is_patching_once(before: Json, after: Json) -> None:
    patch = merge_patch(before, after)
    assert apply_patch(apply_patch(before, patch), patch) == after


@given(MAPS, MAPS, VALUES)
def test_a_key_that_the_patch_does_not_name_survives(
    before: dict[str, Json], after: dict[str, Json], other: Json
) -> None:
    patched = apply_patch({**before, "theirs": other}, merge_patch(before, after))
    assert patched == {**after, "theirs": other}


@given(VALUES, VALUES)
def test_there_are_changes_where_values_differ_and_only_there(before: Json, after: Json) -> None:
    assert (changes("it", before, after) == ()) == (text(before) == text(after))


@given(MAPS, MAPS)
def test_each_change_says_what_is_at_its_path(before: dict[str, Json], after: dict[str, Json]) -> None:
    for change in changes("it", before, after):
        assert text(change.before) != text(change.after)


@given(VALUES, VALUES)
def test_the_change_of_a_secret_has_no_values(before: Json, after: Json) -> None:
    for change in changes("it", before, after, secret=True):
        assert (change.path, change.before, change.after) == ("it", None, None)


@given(MAPS)
def test_a_digest_does_not_see_the_order_of_keys(value: dict[str, Json]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: [value], lambda value: {"a": [{"b": value}]}])
@pytest.mark.parametrize(("number", "truth"), [(1, True), (0, False)])
def test_a_number_is_no_truth(wrapped: Callable[[Json], Json], number: int, truth: bool) -> None:
    for before, after in ((number, truth), (truth, number)):
        [change] = changes("it", {"x": wrapped(before)}, {"x": wrapped(after)})
        assert change.path in ("it.x", "it.x.a")
        assert text(apply_patch({}, merge_patch({"x": wrapped(before)}, {"x": wrapped(after)}))) == text(
            {"x": wrapped(after)}
        )


def test_a_whole_number_is_the_same_with_a_point() -> None:
    """A fleet file may say 1.0, and the gateway writes 1."""
    assert same({"a": [1.0]}, {"a": [1]})
    assert [change.path for change in changes("it", {"a": 1, "b": 1}, {"a": 1.0, "b": 2})] == ["it.b"]
    assert merge_patch({"a": 1}, {"a": 1.0}) == {}


def test_a_key_with_underscores_is_a_key() -> None:
    assert [change.path for change in changes("it", {"a": {"__b": 1}}, {"a": {"__b": 2}})] == ["it.a.__b"]


def test_a_list_is_one_value() -> None:
    [change] = changes("config", {"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}})
    assert (change.path, change.before, change.after) == ("config.a.b", [1, 2], [1, 3])


def test_every_list_of_a_patch_is_named_by_its_path() -> None:
    assert list(list_paths({"a": {"b": [1], "c": None}, "d": [[2]], "e": 1})) == ["a.b", "d"]


def test_a_path_that_ends_early_has_no_value() -> None:
    assert value_at({"a": {"b": 1}}, ("a", "b")) == 1
    assert value_at({"a": 1}, ("a", "b", "c")) is None
