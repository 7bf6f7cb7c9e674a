"""`fleet report`: the fleet on one page, to keep or to send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.passes import open_history
from reconciler.errors import CloudError, StateError
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.model import Costs


@click.command()
@click.option(
    "--html",
    "path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    metavar="FILE",
    help="Where the page goes; - for standard output.",
)
@with_settings
def report(settings: Settings, path: Path) -> int:
    """Look once, and write the fleet on one page of HTML: fleet report --html fleet.html

    How every child is, how it was in the last seven days (as passes of `fleet monitor` on this machine have seen it),
    what the servers cost, and what was changed outside. The page needs nothing beside it, holds no secret and asks no
    other place for anything. Exit code 2: something is wrong.
    """
    from reconciler.heeding import begin
    from reconciler.render.report import SPANS, WEEK, Past, known, report_html
    from reconciler.wholefile import replace

    client, history = open_client(settings, only_looks=True), open_history(settings)
    state = begin(history)
    found = client.watch(None, state.slow, remembers=history.exists)
    costs: Costs | None = None
    problem = ""
    try:
        costs = client.costs(Selection())
    except CloudError as error:
        problem = f"What it costs is not known: {error.summary}"
    shares = {span: history.uptimes(found.at - span) for span in SPANS.values()}
    past = Past(state.since, known(history.hours(found.at - WEEK)), shares)
    page = report_html(client.fleet.name, found, past, costs, problem)
    if str(path) == "-":
        click.echo(page, nl=False)
    else:
        try:
            replace(path, page.encode(), 0o600)
        except OSError as error:
            raise StateError(f"cannot write {path}: {error.strerror}", "mend that path, or: --html -") from error
        click.echo(f"The page is in {path}.", err=True)
    return 0 if found.is_well else 2
