"""How much is tried: a sample in the quick suite, all of it where FLEET_TEST_FULL is 1 (scripts/test --full)."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import pytest

FULL: Final = os.environ.get("FLEET_TEST_FULL") == "1"


def seeds(quick: int, full: int) -> range:
    """The seeds to run. A failing one is run alone by its number: pytest -k '[17]'."""
    return range(full if FULL else quick)


def leave_out(config: pytest.Config, items: list[pytest.Item], directory: Path, only_in_full: Collection[str]) -> None:
    """Files of this directory, and tests of it (`file.py::test`), are for FLEET_TEST_FULL: else pytest counts them."""
    here = [item for item in items if item.path.parent == directory]
    left_out = [item for item in here if not {item.path.name, named(item)}.isdisjoint(only_in_full)]
    if left_out and not FULL:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def named(item: pytest.Item) -> str:
    """Its file and function, whatever its parameters."""
    return f"{item.path.name}::{item.name.partition('[')[0]}"
