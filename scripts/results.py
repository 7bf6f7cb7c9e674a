"""Writes tests/RESULTS.md: every case of the last full run, how it ended, its seconds, and of which commit.

    scripts/results.py DIRECTORY RESULTS.md

DIRECTORY holds pytest's JUnit files. A test with many parameters is one line with their number.
Exits 1 when a file is missing: half a report would look like a whole one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

PARTS = (
    ("no_trace.xml", "End to end, alone on the machine"),
    ("e2e.xml", "End to end, on real machines"),
    ("matrices.xml", "Interrupted steps and the Host contract, on real machines"),
    ("quick.xml", "Unit, contract, crash"),
    ("laws.xml", "Laws and mutants"),
    ("kills.xml", "Kills of simulated machines; changes of version, sleep and drills on real ones"),
)
HEAD = """\
# Results

Written by `scripts/test --full`; do not edit. The figure is seconds of wall time, with all set-up that the case itself
caused. A case with many inputs is one line: the number in parentheses says how many. What cases have measured of the
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

    @property
    def result(self) -> str:
        if self.failed:
            return f"FAILED {self.failed}"
        return f"skipped {self.skipped}" if self.skipped else "passed"


def main(directory: Path, target: Path) -> int:
    missing = [name for name, _ in PARTS if not (directory / name).is_file()]
    if missing:
        sys.stderr.write(f"no report {', '.join(missing)} in {directory}: run scripts/test --full\n")
        return 1
    commit = commit_of(target)
    tables = [table(title, cases_of(directory / name), commit) for name, title in PARTS]
    figures = [row for name, _ in PARTS for row in figures_of(directory / name)]
    target.write_text("\n".join([HEAD, measured(figures), *tables]), encoding="utf-8")
    return 0


def cases_of(report: Path) -> list[Case]:
    """In the order in which they ran."""
    found: dict[str, Case] = {}
    for element in testcases(report):
        name = name_of(element)
        before = found.get(name, Case(name, 0, 0, 0, 0.0))
        bad = any(element.find(kind) is not None for kind in ("failure", "error"))
        found[name] = Case(
            name,
            before.runs + 1,
            before.failed + bad,
            before.skipped + (element.find("skipped") is not None),
            before.seconds + float(element.get("time", "0")),
        )
    return list(found.values())


def figures_of(report: Path) -> list[tuple[str, str, str]]:
    """(case, what, figure) of everything that a case has noted with pytest's record_property."""
    return [
        (name_of(element), noted.get("name", ""), noted.get("value", ""))
        for element in testcases(report)
        for noted in element.iter("property")
    ]


def testcases(report: Path) -> Iterable[ElementTree.Element]:
    return ElementTree.parse(report).getroot().iter("testcase")  # noqa: S314  # pytest wrote it just now


def name_of(element: ElementTree.Element) -> str:
    return f"{element.get('classname', '')}::{element.get('name', '').partition('[')[0]}".removeprefix("tests.")


def measured(figures: Iterable[tuple[str, str, str]]) -> str:
    rows = [f"| {what} | {figure} | `{case}` |" for case, what, figure in figures]
    return "\n".join(["## Measured", "", "| What | Figure | Case |", "| --- | --- | --- |", *rows, ""])


def table(title: str, cases: Iterable[Case], commit: str) -> str:
    rows = list(cases)
    lines = [f"## {title}", "", "| Case | Result | Seconds | Commit |", "| --- | --- | ---: | --- |"]
    for case in rows:
        count = f" ({case.runs})" if case.runs > 1 else ""
        lines.append(f"| `{case.name}`{count} | {case.result} | {case.seconds:.1f} | {commit} |")
    runs, failed = sum(case.runs for case in rows), sum(case.failed for case in rows)
    return "\n".join([*lines, "", f"{runs} runs, {failed} failed, {sum(case.seconds for case in rows):.0f} s.", ""])


def commit_of(target: Path) -> str:
    """The commit that was tested; marked when files other than the report differed from it."""
    short = _git("rev-parse", "--short", "HEAD").strip()
    changed = [line for line in _git("status", "--porcelain").splitlines() if Path(line[3:]).name != target.name]
    return f"{short} + changes" if changed else short


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
