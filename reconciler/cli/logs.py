"""`fleet logs`: what gateways and their units have written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.ages import age_of
from reconciler.cli.client import asked_of, declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.model import ChildLog

FOLLOW_EVERY = 2.0  # seconds between two looks


class _Age(click.ParamType[timedelta]):
    """1h, 30m, 2d: a number and its unit."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = age_of(str(value))
        if found is None:
            self.fail(f"{value!r} is no time such as 30m, 1h or 2d", param, ctx)
        return found


class _Pattern(click.ParamType[re.Pattern[str]]):
    """A regular expression of Python's."""

    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> re.Pattern[str]:
        try:
            return re.compile(str(value))
        except (re.error, RecursionError, OverflowError) as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("-n", "--lines", type=click.IntRange(1), metavar="N", help="The last N of each.  [default: 100]")
@click.option("--since", "age", type=_Age(), metavar="AGE", help="Not older than this: 30m, 1h, 2d.")
@click.option("--errors", is_flag=True, help="Errors alone, and what the unit has failed at.")
@click.option("--grep", "pattern", type=_Pattern(), metavar="REGEX", help="Lines alone that match, secrets masked.")
@click.option("-f", "--follow", is_flag=True, help="And then what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Each line as a line of JSON.")
@with_settings
def logs(
    settings: Settings,
    selection: Selection,
    lines: int | None,
    age: timedelta | None,
    errors: bool,
    pattern: re.Pattern[str] | None,
    follow: bool,
    as_json: bool,
) -> int:
    """What gateways have written, and systemd of their units: fleet logs alice --since 1h --errors

    OpenClaw's log and the journal in the order of time (UTC), each line once; secrets are masked. With --since all
    since then, unless -n says how many, of the newest 300 kB. Exit code 0: all have answered; 3: some; 1: none.
    """
    from reconciler.model import LogRequest

    if selection.is_empty:
        raise UsageProblem("name the children, or give --all", "fleet logs CHILD")
    wanted = LogRequest(lines if lines or age else 100, age, errors, pattern)
    client = open_client(settings)
    with client.lines(kept=follow) as connections:
        names = asked_of(connections, declared_of(client, selection), selection)
        found = client.logs(connections)
        if not follow:
            return _show(found.read(names, wanted), settings, as_json)
        shown = _Followed(settings, max((len(name) for name in names), default=0), as_json)
        for looked in found.follow(names, wanted, FOLLOW_EVERY):
            shown.show(looked)
    return 0


def _show(found: list[ChildLog], settings: Settings, as_json: bool) -> int:
    """Child by child, each under its name where there are several."""
    from reconciler.render.logs import cut_line, log_lines, problem_lines, unknown_line

    for log in found:
        if log.problem:
            click.echo("\n".join(problem_lines(log)), err=True)
            continue
        if log.unknown:
            click.echo(unknown_line(log), err=True)
        if as_json:
            if log.is_cut:
                click.echo(cut_line(log), err=True)
            _echo_json([log])
            continue
        if len(found) > 1:
            click.echo(f"== {log.child}")
        if not log.lines:
            click.echo("(nothing)")
        show_lines(log_lines([log], width=None), settings)
    well = sum(not log.problem for log in found)
    return 0 if well == len(found) else 3 if well else 1


class _Followed:
    """Line by line, each behind the name of its child; what stands in the way is said when it begins and ends."""

    def __init__(self, settings: Settings, width: int, as_json: bool) -> None:
        self._settings, self._width, self._as_json = settings, width, as_json
        self._troubled, self._warned = set[str](), set[str]()

    def show(self, looked: Iterable[ChildLog]) -> None:
        from reconciler.render.logs import log_lines, problem_lines, unknown_line

        for log in looked:
            if log.problem and log.child not in self._troubled:
                self._troubled.add(log.child)
                click.echo("\n".join(problem_lines(log)), err=True)
            if not log.problem and log.child in self._troubled:
                self._troubled.discard(log.child)
                click.echo(f"{log.child} answers again", err=True)
            if log.unknown and log.child not in self._warned:
                self._warned.add(log.child)
                click.echo(unknown_line(log), err=True)
        if self._as_json:
            _echo_json(looked)
        else:
            show_lines(log_lines(looked, width=self._width), self._settings)


def _echo_json(found: Iterable[ChildLog]) -> None:
    from reconciler.render.logs import log_json
    from reconciler.render.text import json_text

    for log in found:
        for line in log.lines:
            click.echo(json_text(log_json(line), indent=None))
