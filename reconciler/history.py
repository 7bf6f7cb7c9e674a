"""What passes have found, in one SQLite file of the state directory: what alerting remembers, and how healthy all were.

The journal is what was done; this is how it was. It is bounded: changes of ninety days, and by the hour thirty days of
how long each child answered. Losing it loses no more than that, and alerts begin anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.errors import StateError
from reconciler.model import AlertState, Book, Cause, Level, Seen, SlowLook, Trouble, Turn, Undelivered, Uptime

FILE: Final = "monitor.sqlite"
KEPT_CHANGES: Final = timedelta(days=90)
KEPT_HOURS: Final = timedelta(days=30)
MOST_GAP: Final = 3600.0  # seconds between two passes that still say how it was in between
GAPS: Final = 3  # so many intervals, where that is more

_TABLES: Final = """
create table if not exists kept (name text primary key, value text not null);
create table if not exists changes (child text not null, at text not null, health text not null, cause text not null,
  text text not null);
create index if not exists changes_by_child on changes (child, at);
create table if not exists hours (child text not null, hour text not null, well real not null, ill real not null,
  unknown real not null, primary key (child, hour));
create table if not exists last (child text primary key, at text not null, health text not null, cause text not null);
"""


class History:
    """The file in a state directory; made when something is written. Raises StateError."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE

    @property
    def exists(self) -> bool:
        return self._path.is_file()

    def remembered(self) -> tuple[Book, dict[str, SlowLook], tuple[Undelivered, ...]]:
        """What the pass before has left; nothing where there was none, or nobody can read it."""
        if not self.exists:
            return Book(), {}, ()
        with self._open() as db:
            kept = dict(db.execute("select name, value from kept").fetchall())
        try:
            book = Book({(it["trouble"]["child"], _key(it)): _state(it) for it in json.loads(kept.get("book", "[]"))})
            slow = {name: _slow(it) for name, it in json.loads(kept.get("slow", "{}")).items()}
            waiting = tuple(map(_letter, json.loads(kept.get("waiting", "[]"))))
        except (ValueError, KeyError, TypeError):
            return Book(), {}, ()
        return book, slow, waiting

    def remember(
        self,
        at: datetime,
        seen: Iterable[Seen],
        everyone: Iterable[str],
        book: Book,
        slow: Mapping[str, SlowLook],
        waiting: Iterable[Undelivered] = (),
        every: timedelta = timedelta(0),
    ) -> None:
        """One pass, in one transaction; the next one shall come after `every`."""
        everyone, most_gap = set(everyone), max(MOST_GAP, GAPS * every.total_seconds())
        with self._open() as db:
            before = {row[0]: row[1:] for row in db.execute("select child, at, health, cause from last")}
            for it in seen:
                self._add(db, at, it, before.get(it.child), most_gap)
            gone = [(name,) for name in before if name not in everyone]
            db.executemany("delete from last where child = ?", gone)
            states = [_plain(state) for state in book.states.values()]
            db.execute("insert or replace into kept values ('book', ?)", (json.dumps(states),))
            looks = {name: asdict(it) for name, it in slow.items() if name in {*everyone, ""}}
            db.execute("insert or replace into kept values ('slow', ?)", (json.dumps(looks),))
            letters = [_plain(letter) for letter in waiting]
            db.execute("insert or replace into kept values ('waiting', ?)", (json.dumps(letters),))
            newest = "select max(rowid) from changes group by child"  # who is well for longer than that is known, too
            db.execute(f"delete from changes where at < ? and rowid not in ({newest})", (_text(at - KEPT_CHANGES),))  # noqa: S608
            db.execute("delete from hours where hour < ?", (_hour(at - KEPT_HOURS),))

    def children(self) -> list[str]:
        """All that any pass has seen."""
        if not self.exists:
            return []
        with self._open() as db:
            return [name for (name,) in db.execute("select distinct child from changes order by child")]

    def turns(self, child: str, most: int) -> list[Turn]:
        """The last changes of this child, the oldest first."""
        if not self.exists:
            return []
        with self._open() as db:
            rows = db.execute(
                "select at, health, cause, text from changes where child = ? order by at desc limit ?", (child, most)
            ).fetchall()
        return [Turn(child, datetime.fromisoformat(at), *rest) for at, *rest in reversed(rows)]

    def uptimes(self, since: datetime) -> dict[str, Uptime]:
        """By child, of the hours that began since then."""
        if not self.exists:
            return {}
        with self._open() as db:
            rows = db.execute(
                "select child, sum(well), sum(ill), sum(unknown) from hours where hour >= ? group by child",
                (_hour(since),),
            ).fetchall()
        return {child: Uptime(*sums) for child, *sums in rows}

    def hours(self, since: datetime) -> list[tuple[str, datetime, Uptime]]:
        """Child, the beginning of an hour, and how that was; of those that began since then."""
        if not self.exists:
            return []
        with self._open() as db:
            rows = db.execute(
                "select child, hour, well, ill, unknown from hours where hour >= ? order by child, hour",
                (_hour(since),),
            ).fetchall()
        return [(child, datetime.fromisoformat(f"{hour}:00:00+00:00"), Uptime(*sums)) for child, hour, *sums in rows]

    def _add(
        self, db: sqlite3.Connection, at: datetime, it: Seen, before: tuple[str, str, str] | None, most_gap: float
    ) -> None:
        if before is None or before[1:] != (it.health, it.cause):
            row = (it.child, _text(at), it.health, it.cause, it.text)
            db.execute("insert into changes values (?, ?, ?, ?, ?)", row)
        if before is not None:
            self._count(db, it, datetime.fromisoformat(before[0]), at, most_gap)
        db.execute("insert or replace into last values (?, ?, ?, ?)", (it.child, _text(at), it.health, it.cause))

    def _count(self, db: sqlite3.Connection, it: Seen, since: datetime, at: datetime, most_gap: float) -> None:
        """What passed since the pass before counts as it is found now; of a long gap nobody knows."""
        is_gap = (at - since).total_seconds() > most_gap
        kind = 2 if is_gap or it.answers is None else 0 if it.answers else 1
        for hour, seconds in _by_hour(since, at):
            amounts = [0.0, 0.0, 0.0]
            amounts[kind] = seconds
            db.execute(
                "insert into hours values (?, ?, ?, ?, ?) on conflict (child, hour) do update set "
                "well = well + excluded.well, ill = ill + excluded.ill, unknown = unknown + excluded.unknown",
                (it.child, hour, *amounts),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30)) as db, db:
                db.execute("pragma journal_mode = wal")
                db.execute("pragma synchronous = normal")
                db.executescript(_TABLES)
                yield db
        except (sqlite3.Error, OSError) as error:
            raise StateError(
                f"{self._path} cannot be read or written: {error}", "move it away: health is then noted anew"
            ) from error


def _by_hour(since: datetime, at: datetime) -> Iterator[tuple[str, float]]:
    """The span in pieces of the hours that it lies in: of a very long one the last thirty days."""
    begin = max(since, at - KEPT_HOURS)
    while begin < at:
        end = min(at, begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
        yield _hour(begin), (end - begin).total_seconds()
        begin = end


def _hour(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H}"


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _plain(state: AlertState | Undelivered) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(state), default=lambda moment: moment.isoformat()))  # type: ignore[no-any-return]


def _key(told: Mapping[str, Any]) -> str:
    return _trouble(told["trouble"]).key


def _state(told: Mapping[str, Any]) -> AlertState:
    moments = {name: told[name] and datetime.fromisoformat(told[name]) for name in ("since", "fired", "told", "over")}
    return AlertState(
        **{
            **told,
            **moments,
            "trouble": _trouble(told["trouble"]),
            "groups": tuple(told["groups"]),
            "starts": tuple(map(datetime.fromisoformat, told["starts"])),
        }
    )


def _letter(told: Mapping[str, Any]) -> Undelivered:
    level = told["level"] and Level(told["level"])
    return Undelivered(**{**told, "level": level, "at": datetime.fromisoformat(told["at"])})


def _trouble(told: Mapping[str, Any]) -> Trouble:
    return Trouble(**{**told, "cause": Cause(told["cause"]), "level": Level(told["level"])})


def _slow(said: dict[str, Any]) -> SlowLook:
    """JSON knows no tuples."""
    plain: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in said.items()}
    return SlowLook(**plain)
