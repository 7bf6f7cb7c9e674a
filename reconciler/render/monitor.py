"""A pass as lines, a line for each child, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from reconciler.model import Health, Json, Level, Pass, Row, Sync, Trouble, Verdict
from reconciler.render.alerts import age
from reconciler.render.status import COLORS
from reconciler.render.text import harmless


def pass_lines(
    found: Pass, since: Mapping[tuple[str, str], datetime], *, quiet: bool, verbose: bool
) -> Iterator[tuple[str, str | None]]:
    """What is wrong with whom and what mends it; of whom nothing is, a line, or with `quiet` none."""
    for trouble in found.fleet:
        yield f"The fleet: {trouble.cause}: {harmless(trouble.text)}", "red"
        yield from _mend(trouble)
    width = max((len(row.child) for row in found.rows), default=0)
    for row in sorted(found.rows, key=lambda row: (not row.troubles, row.child)):
        if row.troubles or not quiet:
            yield from _row_lines(row, width, since, found.at, verbose=verbose)
    if not quiet or not found.is_well:
        yield summary(found), None


def summary(found: Pass) -> str:
    if not found.rows:
        return "Nobody could be looked at." if found.fleet else "The fleet file declares no children."
    healths = Counter(row.health for row in found.rows)
    counted = ", ".join(f"{healths[health]} {health}" for health in Health if healths[health])
    troubles = [trouble for row in found.rows for trouble in row.troubles]
    critical = sum(trouble.level is Level.CRITICAL for trouble in troubles)
    return (
        f"{len(found.rows)} children: {counted}. {critical} without an answer, {len(troubles) - critical} warnings; "
        f"{found.seconds:.1f} s."
    )


def pass_json(found: Pass) -> dict[str, Json]:
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "seconds": round(found.seconds, 3),
        "well": found.is_well,
        "fleet": [_trouble_json(trouble) for trouble in found.fleet],
        "children": {row.child: _row_json(row) for row in found.rows},
    }


def _row_lines(
    row: Row, width: int, since: Mapping[tuple[str, str], datetime], now: datetime, *, verbose: bool
) -> Iterator[tuple[str, str | None]]:
    sync = "" if row.sync is Sync.IN_SYNC else f"  {row.sync}"
    excuse = f"  ({harmless(row.sighting.excuse)})" if row.sighting.excuse else ""
    yield f"{row.child:<{width}}  {row.health}{sync}{excuse}", COLORS[row.health]
    for trouble in row.troubles:
        began = since.get((row.child, trouble.key))
        lasts = f", for {age(now, began)}" if began else ""
        yield f"    {trouble.level}: {trouble.cause}{lasts}: {harmless(trouble.text)}", None
        yield from _mend(trouble)
    if verbose:
        for finding in (*row.diagnosis.findings, *row.findings):
            yield f"    {finding.verdict:<8} {finding.check:<13} {harmless(finding.text)}", _color(finding.verdict)


def _color(verdict: Verdict) -> str | None:
    return "red" if verdict is Verdict.FAILED else None


def _mend(trouble: Trouble) -> Iterator[tuple[str, str | None]]:
    for line in trouble.mend.splitlines():
        yield f"        {harmless(line)}", None


def _row_json(row: Row) -> Json:
    return {
        "health": str(row.health),
        "sync": str(row.sync),
        "excuse": row.sighting.excuse or None,
        "troubles": [_trouble_json(trouble) for trouble in row.troubles],
        "findings": [
            {"check": it.check, "verdict": str(it.verdict), "text": it.text}
            for it in (*row.diagnosis.findings, *row.findings)
        ],
    }


def _trouble_json(trouble: Trouble) -> Json:
    return {
        "cause": str(trouble.cause),
        "level": str(trouble.level),
        "check": trouble.layer,
        "evidence": trouble.text,
        "mend": trouble.mend,
    }
