"""How much is tried: a sample in the quick suite, all of it where FLEET_TEST_FULL is 1 (scripts/test --full)."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("FLEET_TEST_FULL") == "1"


def seeds(quick: int, full: int) -> range:
    """The seeds to run. A failing one is run alone by its number: pytest -k '[17]'."""
    return range(full if FULL else quick)
