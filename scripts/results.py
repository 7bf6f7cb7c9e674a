"""Writes tests/RESULTS.md: every case of the last full run, how it ended, its seconds, and of which commit.

    scripts/results.py DIRECTORY [AGAIN...] RESULTS.md

DIRECTORY holds pytest's JUnit files, and the commit in a file `commit`. A test with many parameters is one line with
their number. A case that is in a file of the same name in AGAIN was run again: that counts, and is said.
Exits 1 when a file is missing: half a report would look like a whole one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

PARTS = (
    ("no_trace.xml", "End to end, alone on the machine"),
    ("e2e.xml", "End to end, on real machines"),
    ("quick.xml", "Unit, contract, crash"),
    ("laws.xml", "Laws and mutants"),
    ("kills.xml", "Kills of simulated machines; versions, sleep, drills and watched faults on real ones"),
    ("matrices.xml", "Interrupted steps, the Host contract and faults, on real machines"),
)
HEAD = """\
# Results

Written by `scripts/test --full`; do not edit. The figure is seconds of wall time, with all set-up that the case itself
caused. A case with many inputs is one line: the number in parentheses says how many. "Again" is a case that had failed
in the full run, or had not come to its end in it, and was run once more by itself. What cases have measured of the
product itself comes first.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One test function with all its parameters."""

    name: str
    runs: int
    failed: int
    skipped: int
    seconds: float
    commits: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        if self.failed:
            return f"FAILED {self.failed}"
        return f"skipped {self.skipped}" if self.skipped else "passed"


@dataclass(frozen=True, slots=True)
class Run:
    """One parameter of one test function."""

    element: ElementTree.Element
    commit: str


def main(directories: Sequence[Path], target: Path) -> int:
    missing = [name for name, _ in PARTS if not (directories[0] / name).is_file()]
    if missing:
        sys.stderr.write(f"no report {', '.join(missing)} in {directories[0]}: run scripts/test --full\n")
        return 1
    parts = [(title, runs_of(name, directories)) for name, title in PARTS]
    tables = [table(title, cases_of(runs)) for title, runs in parts]
    figures = [row for _, runs in parts for row in figures_of(runs)]
    target.write_text("\n".join([HEAD, measured(figures), *tables]), encoding="utf-8")
    return 0


def runs_of(name: str, directories: Sequence[Path]) -> list[Run]:
    """In the order in which they ran first; of one that was run again, the last."""
    found: dict[tuple[str, str], Run] = {}
    for number, directory in enumerate(directories):
        if not (directory / name).is_file():
            continue
        commit = (directory / "commit").read_text().strip() + (", again" if number else "")
        for element in ElementTree.parse(directory / name).getroot().iter("testcase"):  # noqa: S314  # pytest wrote it
            found[element.get("classname", ""), element.get("name", "")] = Run(element, commit)
    return list(found.values())


def cases_of(runs: Iterable[Run]) -> list[Case]:
    found: dict[str, Case] = {}
    for run in runs:
        name = name_of(run.element)
        before = found.get(name, Case(name, 0, 0, 0, 0.0))
        bad = any(run.element.find(kind) is not None for kind in ("failure", "error"))
        found[name] = Case(
            name,
            before.runs + 1,
            before.failed + bad,
            before.skipped + (run.element.find("skipped") is not None),
            before.seconds + float(run.element.get("time", "0")),
            tuple(dict.fromkeys((*before.commits, run.commit))),
        )
    return list(found.values())


def figures_of(runs: Iterable[Run]) -> list[tuple[str, str, str]]:
    """(case, what, figure) of everything that a case has noted with pytest's record_property."""
    return [
        (name_of(run.element), noted.get("name", ""), noted.get("value", ""))
        for run in runs
        for noted in run.element.iter("property")
    ]


def name_of(element: ElementTree.Element) -> str:
    return f"{element.get('classname', '')}::{element.get('name', '').partition('[')[0]}".removeprefix("tests.")


def measured(figures: Iterable[tuple[str, str, str]]) -> str:
    rows = [f"| {what} | {figure} | `{case}` |" for case, what, figure in figures]
    return "\n".join(["## Measured", "", "| What | Figure | Case |", "| --- | --- | --- |", *rows, ""])


def table(title: str, cases: Iterable[Case]) -> str:
    rows = list(cases)
    lines = [f"## {title}", "", "| Case | Result | Seconds | Commit |", "| --- | --- | ---: | --- |"]
    for case in rows:
        count = f" ({case.runs})" if case.runs > 1 else ""
        lines.append(f"| `{case.name}`{count} | {case.result} | {case.seconds:.1f} | {'; '.join(case.commits)} |")
    runs, failed = sum(case.runs for case in rows), sum(case.failed for case in rows)
    return "\n".join([*lines, "", f"{runs} runs, {failed} failed, {sum(case.seconds for case in rows):.0f} s.", ""])


if __name__ == "__main__":
    sys.exit(main([*map(Path, sys.argv[1:-1])], Path(sys.argv[-1])))
