"""The pages of the dashboard: the same words and parts as the report's, for a browser that asks again and again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model import ChildLog, Event, Finding, Health, Level, Pass, Row, Turn, Verdict
from reconciler.render.journal import event_line
from reconciler.render.logs import log_lines, problem_lines, unknown_line
from reconciler.render.report import LEVELS, Past, environment, headline, row_of, tiles, trouble
from reconciler.render.text import harmless

_VERDICTS = {Verdict.OK: "ok", Verdict.FAILED: "out", Verdict.UNKNOWN: "part", Verdict.SKIPPED: "none"}


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the table is shown: a part of a name or cause, one health, one group; empty: all."""

    text: str = ""
    health: str = ""
    group: str = ""


def fleet_page(fleet: str, found: Pass | None, past: Past, filters: Filters, problem: str) -> str:
    return environment().get_template("fleet.html").render(page=_fleet(fleet, found, past, filters, problem))


def table(fleet: str, found: Pass | None, past: Past, filters: Filters, problem: str) -> str:
    """Only the part that is asked for again."""
    return environment().get_template("table.html").render(page=_fleet(fleet, found, past, filters, problem))


def child_page(fleet: str, found: Pass, row: Row, past: Past, turns: Iterable[Turn], events: Sequence[Event]) -> str:
    page = {
        "fleet": fleet,
        "at": found.at.isoformat(timespec="seconds"),
        "at_text": f"{found.at:%H:%M:%S} UTC",
        "row": row_of(row, past, found.at),
        "findings": [_finding(it) for it in (*row.diagnosis.findings, *row.findings)],
        "turns": [_turn(it) for it in turns],
        "events": [event_line(it)[0] for it in events],
    }
    return environment().get_template("child.html").render(page=page)


def log_part(log: ChildLog) -> str:
    told = {
        "problem": " ".join(problem_lines(log)),
        "warnings": [unknown_line(log)] if log.unknown else [],
        "lines": [line for line, _ in log_lines([log], width=None)],
    }
    return environment().get_template("log.html").render(log=told)


def words_page(title: str, text: str) -> str:
    """What else there is to say, such as that somebody has no access."""
    return environment().get_template("words.html").render(title=title, text=text)


def shown(found: Pass, filters: Filters) -> list[Row]:
    """Who is wanted, the worst first."""
    text = filters.text.casefold()

    def is_wanted(row: Row) -> bool:
        words = (row.child, *(it.cause for it in row.troubles))
        return (
            any(text in word.casefold() for word in words)
            and filters.health in ("", row.health)
            and filters.group in ("", row.measures.group)
        )

    def badness(row: Row) -> tuple[int, str]:
        worst = 2 if row.answers is False else 1 if row.troubles else 0
        return -worst, row.child

    return sorted(filter(is_wanted, found.rows), key=badness)


def _fleet(fleet: str, found: Pass | None, past: Past, filters: Filters, problem: str) -> dict[str, Any]:
    page: dict[str, Any] = {
        "fleet": fleet,
        "filters": filters,
        "healths": [str(it) for it in Health],
        "groups": sorted({row.measures.group for row in found.rows if row.measures.group}) if found else [],
        "at": "",
        "headline": "the first pass is on its way",
        "problem": harmless(problem),
    }
    if found is None:
        return page
    out = sum(row.answers is False for row in found.rows)
    warnings = sum(it.level is Level.WARNING for row in found.rows for it in row.troubles)
    return {
        **page,
        "at": found.at.isoformat(timespec="seconds"),
        "at_text": f"{found.at:%H:%M:%S} UTC",
        "headline": headline(found, out, warnings),
        "tiles": tiles(found, None),
        "fleet_troubles": [trouble(it, None) for it in found.fleet],
        "rows": [row_of(row, past, found.at) for row in shown(found, filters)],
    }


def _finding(it: Finding) -> dict[str, str]:
    return {"check": it.check, "verdict": str(it.verdict), "level": _VERDICTS[it.verdict], "text": harmless(it.text)}


def _turn(it: Turn) -> dict[str, str]:
    why = f"{it.cause}: {harmless(it.text)}" if it.cause else ""
    return {"at": f"{it.at:%Y-%m-%d %H:%M:%S}", "health": it.health, "level": LEVELS[Health(it.health)], "why": why}
