"""Fifty children while the cloud fails at random, by the real command over HTTP and SSH: the next applies end it.

The same over thousands of seeds in memory: tests/crash/test_storms.py. One seed alone:
pytest tests/kills/test_storms.py -k '[7]'
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Final

import pytest

from tests.kills.scene import OpenScene, scenes
from tests.kills.storm import storm

SEEDS: Final = range(10)
AT_A_TIME: Final = 4  # they wait longer than they work

Storms = dict[int, Future[list[str]]]


@pytest.fixture(scope="module")
def storms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Future[list[str]]]]:
    asked = [seed for seed in SEEDS if any(f"[{seed}]" in item.name for item in request.session.items)]
    free: SimpleQueue[OpenScene] = SimpleQueue()

    def run(seed: int) -> list[str]:
        open_scene = free.get()
        try:
            with open_scene() as scene:
                return storm(seed, scene)
        finally:
            free.put(open_scene)

    with ExitStack() as opened, ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in range(AT_A_TIME):
            free.put(opened.enter_context(scenes(tmp_path_factory.mktemp("scenes"))))
        yield {seed: pool.submit(run, seed) for seed in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_after_a_storm(seed: int, storms: Storms) -> None:
    assert storms[seed].result() == []
