"""What fleets of growing size cost: create all, a plan without changes, a plan for one child. Needs root.

    python bench/scale.py [--runs N] [--speed FACTOR] [--against CHECKOUT] [SIZE...]

Everything runs against the emulated cloud, with its true limits, and simulated machines over real SSH. The cloud's
actions end at once; with `--speed 1` they take as long as Hetzner's (15 s to create, 8 s to start). The operator is
the real `fleet` in a process of its own. Sizes are 100, 300 and 1,000 unless given; commands that change nothing run
`--runs` times (3) and show medians. An exponent is the slope of log(time) over log(size): 1 is linear. With another
checkout, its `fleet` makes the same plans in turn with ours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

from world import PROJECT, Stage, Took, enter_namespaces, stage

WHAT = ("create all", "plan", "plan one")
HEAD = f"{'':28}  children   wall s    CPU s  world's    MB  threads  requests  polls  trips  commands"


@dataclass(frozen=True)
class Row:
    """Medians of the runs of one command on one fleet."""

    what: str
    size: int
    runs: tuple[Took, ...]

    def median(self, figure: str) -> float:
        return float(statistics.median(getattr(run, figure) for run in self.runs))

    def __str__(self) -> str:
        figures = [f"{self.median(name):9.2f}" for name in ("seconds", "cpu", "world_cpu")]
        counts = [f"{self.median(name):{width}.0f}" for name, width in COUNTS.items()]
        return f"{self.what:28}  {self.size:8,}{''.join(figures)}{''.join(counts)}"


COUNTS = {"megabytes": 6, "threads": 9, "budgeted": 10, "polls": 7, "connections": 7, "commands": 10}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--speed", type=float)
    parser.add_argument("--against", type=Path)
    parser.add_argument("sizes", type=int, nargs="*")
    asked = parser.parse_args()
    enter_namespaces()
    print(f"{HEAD}\n", end="", flush=True)
    rows = [row for size in asked.sizes or (100, 300, 1000) for row in of_size(size, asked)]
    judge(rows)


def judge(rows: Sequence[Row]) -> None:
    """The targets are those for 1,000 children; what is per child or flat is told of smaller fleets, too."""
    create, plan, one = ([row for row in rows if row.what == what] for what in WHAT)
    largest = plan[-1]
    told = [
        ("plan: API requests", largest.median("budgeted"), 30),
        ("plan: SSH connections per child", largest.median("connections") / largest.size, 1),
        ("plan: SSH commands per child", largest.median("commands") / largest.size, 1),
        ("plan: MB", largest.median("megabytes"), 300),
        ("plan one: s", one[-1].median("seconds"), 2),
        ("create all: API requests per child", create[-1].median("budgeted") / create[-1].size, 1.6),
    ]
    if len(plan) > 1:
        told += [(f"{of[0].what}: exponent of time", slope(of, "seconds"), 1.15) for of in (plan, create)]
        told += [(f"{of[0].what}: exponent of CPU time", slope(of, "cpu"), 1.15) for of in (plan, create)]
    print(f"\n{'':40}{'figure':>8}{'target':>10}")
    for what, figure, target in told:
        print(f"{what:40}{figure:8.2f}{f'<= {target:g}':>10}{'' if figure <= target else '  missed'}")


def of_size(size: int, asked: argparse.Namespace) -> list[Row]:
    with tempfile.TemporaryDirectory() as directory, stage(Path(directory), size, asked.speed) as set_up:
        found = [shown(Row("create all", size, (set_up.fleet("apply", "--yes"),)))]
        for what, words in (("plan", ("plan",)), ("plan one", ("plan", f"child{size // 2}"))):
            found += compared(set_up, what, size, words, asked.runs, asked.against)
    print(f"{'load average':28}  {os.getloadavg()[0]:.1f}", flush=True)
    return found


def compared(set_up: Stage, what: str, size: int, words: Sequence[str], runs: int, against: Path | None) -> list[Row]:
    """In turn, so that whatever else the machine does falls on both."""
    checkouts = {what: PROJECT} | ({f"{what}, {against.name}": against} if against else {})
    took: dict[str, list[Took]] = {name: [] for name in checkouts}
    for _ in range(runs):
        for name, project in checkouts.items():
            took[name].append(set_up.fleet(*words, project=project))
    return [shown(Row(name, size, tuple(runs_of))) for name, runs_of in took.items()]


def shown(row: Row) -> Row:
    print(row, flush=True)
    return row


def slope(rows: Sequence[Row], figure: str) -> float:
    """By least squares."""
    points = [(log(row.size), log(row.median(figure))) for row in rows]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


if __name__ == "__main__":
    main()
