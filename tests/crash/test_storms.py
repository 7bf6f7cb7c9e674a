"""Fifty children while cloud and hosts fail at random: however that went, the next applies end it. See chaos.

500 seeds with FLEET_TEST_FULL=1, in as many processes as there are processors; others by hand, such as 1,000 others:
FLEET_TEST_FULL=1 FLEET_TEST_FIRST_STORM=1000 pytest tests/crash/test_storms.py. One seed alone:
python -c 'from tests.crash.chaos import storm; print(storm(17))'
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from tests.crash.chaos import storm
from tests.extent import FULL, seeds


def test_every_invariant_holds_after_every_storm() -> None:
    first = int(os.environ.get("FLEET_TEST_FIRST_STORM", "0"))
    tried = [first + seed for seed in seeds(quick=8, full=500)]
    if FULL:
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(storm, tried, chunksize=20))
    else:
        found = [storm(seed) for seed in tried]
    wrong = [text for text in found if text]
    assert not wrong, "\n".join(wrong)
