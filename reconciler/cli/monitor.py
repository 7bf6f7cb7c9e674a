"""`fleet monitor`: what is wrong with the fleet, once or for as long as it runs, and who is told; `fleet history`."""

from __future__ import annotations

import difflib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.history import History
    from reconciler.model import Pass

LEAST = 10  # seconds from pass to pass
SPANS = (timedelta(hours=24), timedelta(days=7), timedelta(days=30))


@click.command()
@with_selection(NONE_IS_ALL)
@click.option(
    "--watch",
    "every",
    is_flag=False,
    flag_value=0,
    type=int,
    metavar="[SECONDS]",
    help="Again and again, until Ctrl-C; without a number as `monitoring: {interval: ...}` says.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is wrong.")
@click.option("-v", "--verbose", is_flag=True, help="Every check of every child.")
@click.option("--no-alerts", is_flag=True, help="Tell nobody, whatever is wrong.")
@click.option("--json", "as_json", is_flag=True, help="Each pass as a line of JSON on standard output.")
@with_settings
def monitor(
    settings: Settings,
    selection: Selection,
    every: int | None,
    quiet: bool,
    verbose: bool,
    no_alerts: bool,
    as_json: bool,
) -> int:
    """Look at everything once, say what is wrong and what mends it, and tell whom the fleet file names: fleet monitor

    The same look and the same planner as those of an apply, and a closer one at each host; it changes nothing. A
    trouble is told when it was seen in some passes on end (`monitoring: {fire_after: 3}`), once, and once more when it
    is over. Exit code 2: something is wrong; 0: nothing is. With --watch it ends with Ctrl-C.
    """
    from reconciler.monitor import begin, wait_for

    if every and every < LEAST:
        raise UsageProblem(f"--watch {every} is too often", f"the least is --watch {LEAST}")
    client, history = open_client(settings), open_history(settings)
    if every == 0:
        every = int(client.fleet.alerts.interval.total_seconds())
    names = names_of(client, selection)
    state = begin(history)
    remembers = history.exists or not os.environ.get("CI")
    if not remembers:
        click.echo("Nothing is remembered from pass to pass here, so what is wrong is told at once.", err=True)
    while True:
        found = client.watch(names, state.slow, remembers=remembers)
        told, state, problems = client.heed(found, state, remembers=remembers, is_silent=no_alerts)
        history.remember(found.at, (row.seen for row in found.rows), found.everyone, state.book, state.slow)
        _show(found, state.since, settings, quiet=quiet, verbose=verbose, as_json=as_json)
        for line in (*told, *problems):
            click.echo(line, err=True)
        if every is None:
            return 0 if found.is_well else 2
        wait_for(client.clock, every, found)


@click.command()
@click.argument("child")
@click.option(
    "-n", "--lines", "most", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The last N."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def history(settings: Settings, child: str, most: int, as_json: bool) -> int:
    """How healthy a child was, as passes of `fleet monitor` on this machine have seen it: fleet history alice"""
    from reconciler.render.history import history_json, turn_lines, uptime_lines
    from reconciler.render.text import json_text
    from reconciler.wiring import moment

    found, at = open_history(settings), moment()
    turns = found.turns(child, most)
    if not turns:
        known = found.children()
        near = difflib.get_close_matches(child, known)
        there = f"did you mean {near[0]}?" if near else f"seen were: {', '.join(known) or 'none'}; look: fleet monitor"
        raise UsageProblem(f"no pass on this machine has seen a child named {child}", there)
    uptimes = {span: found.uptimes(at - span).get(child) for span in SPANS}
    if as_json:
        click.echo(json_text(history_json(turns, uptimes)))
    else:
        show_lines([*turn_lines(turns), *uptime_lines(uptimes)], settings)
    return 0


def _show(found: Pass, since: object, settings: Settings, *, quiet: bool, verbose: bool, as_json: bool) -> None:
    import json

    from reconciler.render.monitor import pass_json, pass_lines

    if as_json:
        click.echo(json.dumps(pass_json(found)))
    else:
        show_lines(pass_lines(found, since, quiet=quiet, verbose=verbose), settings)  # type: ignore[arg-type]


def open_history(settings: Settings) -> History:
    from reconciler.history import History

    return History(settings.state_dir or settings.file.parent / "state")
