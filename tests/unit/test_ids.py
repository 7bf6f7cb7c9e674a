"""Ids are times, and the newest is the one that was made last, whatever the clock of whoever made it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.ids import free_id, later_id

NOW = datetime(2026, 11, 27, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "made"),
    [
        ((), "20261127T063000Z"),
        (("20261127T062959Z",), "20261127T063000Z"),
        (("20261127T063000Z",), "20261127T063001Z"),
        (("20261127T064000Z", "20261120T000000Z"), "20261127T064001Z"),  # another runner's clock is ahead
        (("20261127T235959Z",), "20261128T000000Z"),
        (("99999999T999999Z", "NOTE.md", "", "99991231T235959Z"), "20261127T063000Z"),  # no ids of ours
    ],
)
def test_an_id_is_later_than_all_before(known: tuple[str, ...], made: str) -> None:
    assert later_id(NOW, known) == made


def test_a_free_one_is_the_first_that_nobody_has() -> None:
    assert free_id(NOW, {"20261127T063000Z", "20261127T063001Z", "20261127T063003Z"}) == "20261127T063002Z"
