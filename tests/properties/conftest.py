"""What is tried in full only, because it takes a minute: tests/extent.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.extent import leave_out

ONLY_IN_FULL = {"test_mutants.py::test_no_law_is_against_the_source_as_it_is"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items, Path(__file__).parent, ONLY_IN_FULL)
