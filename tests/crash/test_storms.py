"""Fifty children while cloud and hosts fail at random: however that went, the next applies end it. See chaos.

2,000 seeds with FLEET_TEST_FULL=1, in as many processes as there are processors. One seed alone:
python -c 'from tests.crash.chaos import storm; print(storm(17))'
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from tests.crash.chaos import storm
from tests.extent import FULL, seeds


def test_every_invariant_holds_after_every_storm() -> None:
    tried = seeds(quick=8, full=2_000)
    if FULL:
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(storm, tried, chunksize=20))
    else:
        found = [storm(seed) for seed in tried]
    wrong = [text for text in found if text]
    assert not wrong, "\n".join(wrong)
