"""`fleet monitor`: what is wrong with the fleet, once or for as long as it runs, and who is told; `fleet history`."""

from __future__ import annotations

import difflib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.passes import Passes, Wishes, open_history
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.metrics import Metrics

LEAST = 10  # seconds from pass to pass
SPANS = (timedelta(hours=24), timedelta(days=7), timedelta(days=30))


class _Address(click.ParamType[tuple[str, int]]):
    """9464, 127.0.0.1:9464, [::1]:9464."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            self.fail(f"{value!r} is no address: write 9464 or 127.0.0.1:9464", param, ctx)
        return host.strip("[]") or "127.0.0.1", int(port)


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
@click.option(
    "--only-look", is_flag=True, help="Mend nothing, whatever `resuscitate` and `drift` in the fleet file allow."
)
@click.option(
    "--prometheus",
    "metrics_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write each pass there for Prometheus, by its node exporter's textfile collector.",
)
@click.option(
    "--listen",
    type=_Address(),
    metavar="[HOST:]PORT",
    help="With --watch: answer Prometheus there, at /metrics. 9464 means 127.0.0.1:9464.",
)
@click.option("--json", "as_json", is_flag=True, help="Each pass as a line of JSON on standard output.")
@with_settings
def monitor(
    settings: Settings,
    selection: Selection,
    every: int | None,
    quiet: bool,
    verbose: bool,
    no_alerts: bool,
    only_look: bool,
    metrics_file: Path | None,
    listen: tuple[str, int] | None,
    as_json: bool,
) -> int:
    """Look at everything once, say what is wrong and what mends it, and tell whom the fleet file names: fleet monitor

    The same look and the same planner as those of an apply, and a closer one at each host. It changes nothing, but for
    what the fleet file lets it mend (`monitoring: {resuscitate: ..., drift: ...}`; not with --only-look). A trouble is
    told when it was seen in some passes on end (`defaults: {monitoring: {fire_after: 3}}`), once, and once more when it
    is over. Exit code 2: something is wrong; 0: nothing is. With --watch it ends with Ctrl-C.
    """
    from reconciler.heeding import wait_for

    _refuse_what_does_not_go(every, listen)
    client = open_client(settings, beside=True, only_looks=True)
    if every is not None:
        client.stay_connected()
    metrics = _metrics(client.fleet.name, listen) if metrics_file or listen else None
    wishes = Wishes(quiet=quiet, verbose=verbose, as_json=as_json, tells=not no_alerts, mends=not only_look)
    passes = Passes(settings, selection, client, wishes, every=None if every is None else timedelta(seconds=every))
    if not passes.remembers:
        click.echo("Nothing is remembered from pass to pass here, so what is wrong is told at once.", err=True)
    try:
        while True:
            found = passes.one()
            if metrics:
                metrics.show(found, passes.uptimes(found.at, SPANS))
                if metrics_file is not None:
                    metrics.write(metrics_file)
            if every is None:
                return 0 if found.is_well else 2
            wait_for(client.clock, passes.every.total_seconds(), found)
            passes.follow_the_file()
    finally:
        passes.close()


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


def _refuse_what_does_not_go(every: int | None, listen: tuple[str, int] | None) -> None:
    if every and every < LEAST:
        raise UsageProblem(f"--watch {every} is too often", f"the least is --watch {LEAST}")
    if listen and every is None:
        raise UsageProblem(
            "--listen answers for as long as this runs", "add --watch; or write a file: --prometheus FILE"
        )


def _metrics(fleet: str, listen: tuple[str, int] | None) -> Metrics:
    from reconciler.metrics import Metrics

    made = Metrics(fleet)
    if listen:
        port, _ = made.serve(*listen)
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        click.echo(f"Prometheus is answered at http://{host}:{port}/metrics", err=True)
    return made
