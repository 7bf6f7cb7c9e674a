"""Writes tests/RESULTS.md: every case of the last full run of its part, how it ended, its seconds, and of which commit.

    scripts/results.py DIRECTORY [AGAIN...] RESULTS.md

DIRECTORY holds pytest's JUnit files, and the commit in a file `commit`. A test with many parameters is one line with
their number. A case that is in a file of the same name in AGAIN was run again: that counts, and is said.
A part without a file stays in RESULTS.md as it is, with the commits that it has, or says that it was not run. Exits 1
where no file is there.
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
    ("kills.xml", "Kills of simulated machines"),
    ("memories.xml", "Versions, sleep, drills and watched faults, on real machines"),
    ("matrices.xml", "Interrupted steps, the Host contract and faults, on real machines"),
)
MEASURED = "Measured"
HEAD = """\
# Results

Written by `scripts/test --full`; do not edit. Its parts may be of different runs: each case names its commit. The
figure is seconds of wall time, with all set-up that the case itself caused. A case with many inputs is one line: the
number in parentheses says how many. "Again" is a case that had failed in its run, or had not come to its end in it, and
was run once more by itself. What cases have measured of the product itself comes first.
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
    before = sections(target.read_text(encoding="utf-8")) if target.is_file() else {}
    new = {name for name, _ in PARTS if (directories[0] / name).is_file()}
    if not new:
        sys.stderr.write(f"no report in {directories[0]}: run scripts/test --full\n")
        return 1
    runs = {name: runs_of(name, directories) for name, _ in PARTS if name in new}
    ran = {name_of(run.element) for part in runs.values() for run in part}
    figures, tables = list[str](), list[str]()
    for name, title in PARTS:
        if name in new:
            tables.append(table(title, cases_of(runs[name])))
            figures += map(figure_row, figures_of(runs[name]))
        else:
            tables.append(kept_section(before.get(title, f"## {title}\n\nNot run yet.\n"), ran))
            figures += kept_figures(before, tables[-1])
    target.write_text("\n".join([HEAD, measured(figures), *tables]), encoding="utf-8")
    return 0


def sections(text: str) -> dict[str, str]:
    """Of a report that is there, by title, each with its heading."""
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in text.split("\n## ")[1:]}


def kept_section(section: str, ran: set[str]) -> str:
    """Without the cases that another part has run now, and then without its sum."""
    lines = section.splitlines()
    left = [line for line in lines if not (line.startswith("| `") and line.split("`")[1] in ran)]
    if len(left) < len(lines):
        left = [line for line in left if not line.endswith(" s.")]
    return "\n".join(left).rstrip() + "\n"


def kept_figures(before: dict[str, str], section: str) -> list[str]:
    """What the cases of this section have measured, as it stands there."""
    cases = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    rows = before.get(MEASURED, "").splitlines()
    return [row for row in rows if row.count("`") >= 2 and row.split("`")[-2] in cases]


def figure_row(figure: tuple[str, str, str]) -> str:
    case, what, value = figure
    return f"| {what} | {value} | `{case}` |"


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


def measured(rows: Iterable[str]) -> str:
    return "\n".join([f"## {MEASURED}", "", "| What | Figure | Case |", "| --- | --- | --- |", *rows, ""])


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
