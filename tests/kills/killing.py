"""Ends an apply by SIGKILL after so many signs of life: requests that the cloud answered, steps that it has told."""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tests.kills.scene import PATIENCE, Scene

EVERY: Final = 0.0005  # seconds between looks at it
ALWAYS: Final = 8  # so many signs gives every apply that has anything left to do
STEP: Final = re.compile(r"  \w+: .* \(.* s\)\n")


class Died(NamedTuple):
    """`code` is negative for who was killed; `signs` were seen by then."""

    code: int
    signs: int
    output: str


def moments(dice: random.Random, signs: int, count: int) -> Iterator[int]:
    """So many moments to kill one apply after the other at, each of which goes on where the last one died.

    `signs` has an undisturbed one. What is left to do becomes less, so each moment is early enough to come at all.
    """
    left = signs
    for _ in range(count):
        moment = dice.randint(1, max(ALWAYS, left // 2))
        yield moment
        left -= max(0, moment - ALWAYS)


def kill_after(scene: Scene, signs: int, *arguments: str) -> Died:
    """`fleet ARGUMENTS`, killed right after this many signs if it does not end before."""
    requests, lines = scene.stage.cloud.log.entries, list[str]()
    before, deadline = len(requests), time.monotonic() + PATIENCE

    def seen() -> int:
        return len(requests) - before + sum(1 for line in list(lines) if STEP.fullmatch(line))

    with scene.start(*arguments, output=subprocess.PIPE) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=_gather, args=(process.stdout, lines))
        reader.start()
        try:
            while process.poll() is None and seen() < signs:
                assert time.monotonic() < deadline, "".join(lines)
                time.sleep(EVERY)
        finally:
            process.kill()
            reader.join()
    return Died(process.wait(), seen(), "".join(lines))


def _gather(printed: Iterable[str], lines: list[str]) -> None:
    lines.extend(printed)
