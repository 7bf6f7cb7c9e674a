"""Every file in tests/cases/alerts is one rule of alerting: what thirty passes see, and what is told.

A pass is a minute, a letter what it sees of a child: `.` all is well, `?` nobody can tell, `-` there is no such child,
`m` its gateway is silent while it has maintenance; the others are in LETTERS. Capitals are warnings.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.alerting import advance
from reconciler.model import ANSWERS, AlertRules, Book, Cause, Level, Notice, Quiet, Sighting, Trouble

CASES: Final = sorted((Path(__file__).parent.parent / "cases" / "alerts").glob("*.yaml"))
START: Final = datetime(2026, 11, 28, tzinfo=UTC)
LETTERS: Final[dict[str, Cause]] = {
    "c": Cause.CLOUD_SILENT, "h": Cause.HOST_SILENT, "t": Cause.TELEGRAM_SILENT, "s": Cause.GATEWAY_SILENT,
    "m": Cause.GATEWAY_SILENT, "D": Cause.DISK_FULL, "M": Cause.MEMORY_SHORT,
}  # fmt: skip
ALL_KEYS: Final = frozenset[str]({ANSWERS, *Cause})


def sighting(child: str, letter: str, both: str, groups: tuple[str, ...], muted: frozenset[str]) -> Sighting:
    troubles = tuple(
        Trouble(child, LETTERS[it], Level.WARNING if it.isupper() else Level.CRITICAL, "check", "seen", "mend")
        for it in (letter, both)
        if it in LETTERS
    )
    excuse = "maintenance" if letter == "m" else ""
    return Sighting(child, "fsn1", groups, troubles, ALL_KEYS if letter == "?" else frozenset(), excuse, muted)


def minute(moment: datetime | None) -> int:
    assert moment is not None
    return round((moment - START) / timedelta(minutes=1))


def line(at: int, notice: Notice) -> str:
    whom = ", ".join(state.trouble.child or "the fleet" for state in notice.states)
    return f"{at:2} {notice.word}: {notice.first.trouble.cause} of {whom} since {minute(notice.first.since)}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts(path: Path) -> None:
    assert told(yaml.safe_load(path.read_text())) == yaml.safe_load(path.read_text())["told"]


def told(case: dict[str, Any]) -> list[str]:
    counts = {name: case[name] for name in ("fire_after", "clear_after", "flaps", "group_from") if name in case}
    spans: dict[str, Any] = {name: timedelta(minutes=case[name]) for name in ("repeat", "flap_within") if name in case}
    rules = replace(AlertRules(**counts), **spans)
    quiets = [
        Quiet(it["child"], START + timedelta(minutes=it["until"]), it.get("cause", "")) for it in case.get("quiet", [])
    ]
    book, lines = Book(), list[str]()
    timelines: dict[str, str] = {name if name != "fleet" else "": line for name, line in case["passes"].items()}
    for at in range(max(map(len, timelines.values()))):
        letters = {name: timeline[at].strip() for name, timeline in timelines.items() if timeline[at] != "-"}
        above = {name: case.get("above", {}).get(name, " " * 99)[at] for name in letters}
        of, muted = case.get("groups", {}), frozenset(case.get("muted", ()) if at >= case.get("muted_from", 0) else ())
        seen = [
            sighting(name, letter, above[name], tuple(of.get(name, "").split()), muted)
            for name, letter in letters.items()
            if letter
        ]
        now = START + timedelta(minutes=at)
        book, notices = advance(
            book, seen, set(letters), lambda _: rules, quiets if at >= case.get("from", 0) else [], now
        )
        lines += [line(at, notice) for notice in notices]
    return lines
