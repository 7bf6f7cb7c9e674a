"""A fleet on one page of HTML, which needs nothing beside it: how it is, how it was, what it costs, what drifts.

Whatever comes from outside is escaped by the templates, and what does not print is shown as an escape.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from reconciler import __version__
from reconciler.costs import in_all
from reconciler.model import Cause, Costs, Health, Level, Pass, Row, Trouble, Uptime
from reconciler.planner.money import as_text
from reconciler.render.alerts import age
from reconciler.render.text import harmless

SPANS: Final = {"24 h": timedelta(hours=24), "7 d": timedelta(days=7), "30 d": timedelta(days=30)}
WEEK: Final = timedelta(days=7)
_WIDTH: Final = 1000  # of a strip, in units of its own
LEVELS: Final = {Health.HEALTHY: "ok", Health.DEGRADED: "part", Health.OFFLINE: "out", Health.UNREACHABLE: "out"}
_WORDS: Final = {"ok": "answered", "part": "answered in part", "out": "gave no answer", "none": "nobody knows"}

Hours = Mapping[str, Mapping[datetime, Uptime]]  # by child and the beginning of each hour
Shares = Mapping[timedelta, Mapping[str, Uptime]]  # by span and child


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered: since when each trouble lasts, and how much of the time each child answered."""

    since: Mapping[tuple[str, str], datetime]
    hours: Hours
    shares: Shares


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a strip: where it begins, and how wide it is, of a thousand."""

    level: str
    start: float
    width: float
    text: str


def report_html(fleet: str, found: Pass, past: Past, costs: Costs | None, costs_problem: str = "") -> str:
    """The whole page. `costs` is None where nobody could tell: `costs_problem` says why."""
    ill = [row for row in found.rows if row.troubles]
    out = sum(row.answers is False for row in found.rows)
    warnings = sum(it.level is Level.WARNING for row in found.rows for it in row.troubles)
    page = {
        "fleet": fleet,
        "headline": headline(found, out, warnings),
        "at": found.at.isoformat(timespec="seconds"),
        "at_text": f"{found.at:%Y-%m-%d %H:%M:%S} UTC",
        "tiles": tiles(found, costs),
        "fleet_troubles": [trouble(it, None) for it in found.fleet],
        "ill": [{"child": row.child, "troubles": troubles_of(row, past.since, found.at)} for row in ill],
        "rows": [row_of(row, past, found.at) for row in sorted(found.rows, key=lambda it: it.child)],
        "remembers": any(past.hours.values()),
        "costs": [_cost(it) for it in costs.rows] if costs else [],
        "costs_problem": harmless(costs_problem),
        "currency": costs.currency if costs else "",
        "monthly": amount(in_all(costs.rows).monthly) if costs else "",
        "drift": [{"child": row.child, "text": it} for row in found.rows for it in _drift(row)],
        "no_drift": "Nothing was changed outside." if found.rows else "Nobody could be asked.",
        "seconds": f"{found.seconds:.1f}",
        "tool": __version__,
    }
    return environment().get_template("report.html").render(page=page, style=style())


def tiles(found: Pass, costs: Costs | None) -> list[dict[str, Any]]:
    """The numbers that come first, each with how bad it is."""
    out = sum(row.answers is False for row in found.rows)
    unknown = sum(row.answers is None for row in found.rows)
    warnings = sum(it.level is Level.WARNING for row in found.rows for it in row.troubles)
    counted = [
        (len(found.rows), "children", ""),
        (out, "without an answer", "out" if out else "ok"),
        (warnings, "warnings", "part" if warnings else "ok"),
    ]
    if unknown:
        counted.append((unknown, "nobody can tell of", "part"))
    told = [{"number": number, "text": text, "level": level} for number, text, level in counted]
    if costs is not None:
        monthly = amount(in_all(costs.rows).monthly)
        told.append({"number": monthly, "text": f"{costs.currency} a month", "level": ""})
    return told


def row_of(row: Row, past: Past, now: datetime) -> dict[str, Any]:
    """One child as a line of the table."""
    strip = strip_of(past.hours.get(row.child, {}), now)
    week = past.shares.get(WEEK, {}).get(row.child)
    return {
        "child": row.child,
        "health": str(row.health),
        "level": "out" if row.answers is False else LEVELS[row.health],
        "sync": str(row.sync),
        "group": row.measures.group,
        "version": harmless(row.measures.version),
        "where": " ".join(filter(None, (row.measures.region, row.measures.server_type))),
        "shares": [
            {"span": name, "text": share_text(past.shares.get(span, {}).get(row.child))} for name, span in SPANS.items()
        ],
        "strip": strip,
        "strip_text": f"{row.child}, the last seven days: {share_text(week) or 'nobody knows'}",
        "troubles": troubles_of(row, past.since, now),
    }


def troubles_of(row: Row, since: Mapping[tuple[str, str], datetime], now: datetime) -> list[dict[str, str]]:
    found = []
    for it in row.troubles:
        began = since.get((row.child, it.key))
        found.append(trouble(it, age(now, began) if began else None))
    return found


def trouble(it: Trouble, since: str | None) -> dict[str, str]:
    level = "out" if it.level is Level.CRITICAL else "part"
    mend = "\n".join(map(harmless, it.mend.splitlines()))
    return {"cause": str(it.cause), "level": level, "text": harmless(it.text), "mend": mend, "since": since or ""}


def strip_of(hours: Mapping[datetime, Uptime], now: datetime) -> list[Span]:
    """The last seven days, hour by hour; hours alike that follow each other are one piece."""
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    begin, count = end - WEEK, WEEK // timedelta(hours=1)
    levels = [_level(hours.get(begin + timedelta(hours=number))) for number in range(count)]
    pieces, first = list[Span](), 0
    for number in range(1, count + 1):
        if number == count or levels[number] != levels[first]:
            pieces.append(_piece(levels[first], first, number, count, begin))
            first = number
    return pieces


def share_text(it: Uptime | None) -> str:
    """Never rounded up to all of it."""
    if it is None or it.share is None:
        return ""
    return "100 %" if it.share == 1 else f"{min(it.share, 0.9999):.2%}".replace("%", " %")


def amount(it: Decimal | None) -> str:
    return as_text(it) or "?"


@functools.cache
def environment() -> Environment:
    """Of the templates in pages/. Everything is escaped, and what is not given is an error."""
    return Environment(
        loader=PackageLoader("reconciler.render", "pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def style() -> str:
    """The one style sheet."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), "style.css")[0]


def headline(found: Pass, out: int, warnings: int) -> str:
    if found.fleet:
        return "the fleet itself is in trouble"
    if out:
        return f"{out} without an answer"
    if not found.rows:
        return "no children"
    return f"all answer, {warnings} warnings" if warnings else "all is well"


def _level(it: Uptime | None) -> str:
    if it is None or it.share is None:
        return "none"
    return "ok" if it.ill == 0 else "out" if it.well == 0 else "part"


def _piece(level: str, first: int, end: int, count: int, begin: datetime) -> Span:
    at, until = (begin + timedelta(hours=number) for number in (first, end))
    text = f"{at:%a %d %b %H:%M} to {until:%a %d %b %H:%M} UTC: {_WORDS[level]}"
    return Span(level, round(first / count * _WIDTH, 1), round((end - first) / count * _WIDTH, 1), text)


def _cost(it: Any) -> dict[str, str]:
    return {
        "child": harmless(it.child),
        "role": it.role,
        "kind": it.server.server_type,
        "region": it.server.region,
        "monthly": amount(it.monthly),
    }


def _drift(row: Row) -> Iterable[str]:
    return [harmless(it.text) for it in row.troubles if it.cause is Cause.DRIFTED]


def known(hours: Sequence[tuple[str, datetime, Uptime]]) -> dict[str, dict[datetime, Uptime]]:
    """By child and hour."""
    found = dict[str, dict[datetime, Uptime]]()
    for child, hour, it in hours:
        found.setdefault(child, {})[hour] = it
    return found
