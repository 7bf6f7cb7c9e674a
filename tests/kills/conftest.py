"""Which of these are for `scripts/test --full` only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.extent import leave_out

ONLY_IN_FULL = {"test_interruptions.py", "test_storms.py"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items, Path(__file__).parent, ONLY_IN_FULL)
