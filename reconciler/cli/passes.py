"""The passes of `fleet monitor`: look, mend what the file lets it, tell people, remember, and show."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Settings
from reconciler.cli.output import show_lines
from reconciler.errors import CloudError, FleetError, UsageProblem
from reconciler.selection import Selection, resolve

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.history import History
    from reconciler.model import Book, Pass, Uptime


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants to see of them, and whether they may tell others, and mend."""

    quiet: bool
    verbose: bool
    as_json: bool
    tells: bool
    mends: bool


class Passes:
    """One after the other over one fleet file. Raises StateError where nobody can read what is remembered."""

    def __init__(
        self, settings: Settings, selection: Selection, client: FleetClient, wishes: Wishes, *, every: timedelta | None
    ) -> None:
        """A watch is what comes `every` so long; zero means as often as the file says. None: one pass alone."""
        from reconciler.heeding import begin
        from reconciler.mending import Mender

        self._settings, self._selection, self._client, self._wishes = settings, selection, client, wishes
        self._history = open_history(settings)
        self._state = begin(self._history)
        self._mender = None if every is None else Mender(client.clock)
        self._names = self._chosen(None)
        self._every = every
        self.remembers = self._history.exists or not os.environ.get("CI")

    @property
    def every(self) -> timedelta:
        """As the file says, unless a person has said otherwise."""
        return self._every or self._client.fleet.alerts.interval

    def one(self) -> Pass:
        """What it has found."""
        from reconciler.render.text import harmless

        found = self._client.watch(self._names, self._state.slow, remembers=self.remembers)
        may_mend = self._wishes.mends and not self._client.has_probe_key
        if not may_mend:
            left = self._left_to_others(found)
            lines = [*self._heed(found), *left]
            self._show(found)
        elif self._mender is not None:
            found, lines = self._beside(found)
            lines += self._heed(found)
            self._show(found)
        else:
            lines = self._then_mend(found)
        for line in lines:
            click.echo(harmless(line), err=True)
        return found

    def uptimes(self, at: datetime, spans: Iterable[timedelta]) -> dict[timedelta, dict[str, Uptime]]:
        return {span: self._history.uptimes(at - span) for span in spans}

    def follow_the_file(self) -> None:
        """What the file says by now, and what others have seen meanwhile: a pass by hand counts like one of these."""
        from reconciler.heeding import begin

        self._client = self._as_the_file_is_now()
        self._names = self._chosen(self._names)
        self._state = begin(self._history)

    def close(self) -> None:
        """Waits for what is being mended."""
        from reconciler.render.text import harmless

        if self._mender is not None:
            self._mender.close(lambda said: click.echo(harmless(said), err=True))

    def _chosen(self, before: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Who is looked at; where the cloud cannot tell who else there is, those of before, or of the file."""
        try:
            return names_of(self._client, self._selection)
        except CloudError:
            return before or resolve(self._selection, self._client.fleet.children, {})
        except UsageProblem:
            if before is None:
                raise
            return before  # who was taken out of the file meanwhile is looked at no more

    def _heed(self, found: Pass, *, is_late: bool = False) -> list[str]:
        """What was said of it, when people are told and all is remembered."""
        told, self._state, problems = self._client.heed(
            found, self._state, remembers=self.remembers, is_silent=not self._wishes.tells, is_late=is_late
        )
        seen, state = () if is_late else (row.seen for row in found.rows), self._state
        self._history.remember(found.at, seen, found.everyone, state.book, state.slow, state.waiting, self.every)
        return [*told, *problems]

    def _left_to_others(self, found: Pass) -> list[str]:
        """Whom the file would let a pass mend, and this one has a probe key."""
        if not self._wishes.mends or not (due := self._client.to_tend(found, self._state.book)):
            return []
        return [f"this is a probe key, so it only looks: a pass with the fleet key mends {', '.join(sorted(due))}"]

    def _beside(self, found: Pass) -> tuple[Pass, list[str]]:
        """The pass as it counts beside what a watch is mending, and what was done."""
        assert self._mender is not None
        client, book = self._client, self._state.book
        adopted = [] if self._mender.at_work_on else self._adopted(found, book)
        found, lines = self._mender.after(found, book, client.to_tend(found, book), client.tend)
        return found, [*lines, *adopted]

    def _then_mend(self, found: Pass) -> list[str]:
        """People are told of all others first: to bring somebody back takes minutes."""
        from reconciler.heeding import begin
        from reconciler.tending import Tended, held_back

        client, book = self._client, self._state.book
        due = client.to_tend(found, book)
        counted = held_back(found, due, book, client.fleet)
        lines = self._heed(counted)
        self._show(found)
        lines += self._adopted(found, book)
        if due:
            those = replace(counted, rows=tuple(row for row in counted.rows if row.child in due))
            tended = Tended()
            try:
                tended = client.tend(found, book, due)
            finally:
                self._state = begin(self._history)  # other passes have come and gone meanwhile
                lines += [*tended.lines, *self._heed(tended.seen_in(those), is_late=True)]
        return lines

    def _adopted(self, found: Pass, book: Book) -> list[str]:
        """What was taken into the fleet file, or why not, a line for each child."""
        from reconciler.cli.adopt import adopt_drift
        from reconciler.tending import to_adopt

        lines = []
        for child in to_adopt(found, book, self._client.fleet):
            try:
                lines.append(adopt_drift(self._settings, self._client, child))
            except FleetError as error:
                lines.append(f"{child}: its drift could not be taken over: {error.summary}")
        return lines

    def _as_the_file_is_now(self) -> FleetClient:
        """The same client, or one of the file as it has become; while that is wrong a watch goes on as before."""
        from reconciler.fleet import load_fleet

        file = self._settings.file
        if not file.exists():
            return self._client
        try:
            if load_fleet(file).digest == self._client.fleet.digest:
                return self._client
            changed = open_client(self._settings, beside=True, only_looks=True)
        except FleetError as error:
            click.echo(f"{file} is wrong by now, so it is watched as it was: {error.summary}", err=True)
            return self._client
        changed.stay_connected()
        return changed

    def _show(self, found: Pass) -> None:
        import json

        from reconciler.render.monitor import pass_json, pass_lines

        wishes = self._wishes
        if wishes.as_json:
            click.echo(json.dumps(pass_json(found)))
            return
        lines = pass_lines(found, self._state.since, quiet=wishes.quiet, verbose=wishes.verbose)
        show_lines(lines, self._settings)


def open_history(settings: Settings) -> History:
    from reconciler.history import History

    return History(settings.state_dir)
