"""`fleet drill`: is a backup of any use? It is restored to a throw-away server that can reach nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reconciler.cli.backup import identity_option
from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection


@click.command()
@with_selection("None of these is refused: for all children say --all; with --sample it means all.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only N of them: those whose last drill is the longest ago, among equals by lot.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@identity_option
@with_settings
def drill(settings: Settings, selection: Selection, sample: int | None, as_json: bool, identity: Path | None) -> int:
    """Prove that the newest backup of each child can be restored: how old it is, and how long that takes.

    Each is restored to a throw-away server that has no bot, no model's key and no channel: nobody can reach it, and it
    reaches nobody. What is there is compared with what the backup's note says, the gateway is started and proven, and
    the server destroyed. It costs an hour of a server of the child's type. Exits with 0 when all were proven, 3 when
    some failed, 1 when all did.
    """
    from reconciler.render.drills import drill_json, drill_lines
    from reconciler.render.text import harmless, json_text
    from reconciler.secrets.age_identity import read_identity

    if selection.is_empty and sample is None:
        raise UsageProblem("no child was named", "name the children to drill, or give --all or --sample N")
    client = open_client(settings, beside=as_json)
    declared, key = client.fleet.children, read_identity(identity) if identity else None
    meant = names_of(client, selection)
    names = tuple(name for name in (declared if meant is None else meant) if name in declared)
    if not names:
        raise UsageProblem("none of these is in the fleet file", "a drill takes the server's type and image from there")
    with client.lock("fleet drill"), _telling_what_is_left():
        drills = client.drill(names if sample is None else client.sample(names, sample), key)
    if as_json:
        click.echo(json_text(drill_json(drills)))
    else:
        show_lines(drill_lines(drills), settings)
    for found in drills:
        if found.left:
            text = f"Warning: the throw-away server of {found.child} is still there: {harmless(found.left)}"
            click.echo(f"{text}\nThe next `fleet apply` destroys it.", err=True)
    failed = sum(not found.is_proven for found in drills)
    return 0 if not failed else 1 if failed == len(drills) else 3


@contextmanager
def _telling_what_is_left() -> Iterator[None]:
    """Ctrl-C ends a drill as well as an error does: what could not be taken away is said before either is."""
    from reconciler.render.text import harmless

    try:
        yield
    except BaseException as end:
        for note in getattr(end, "__notes__", ()):
            click.echo("\n".join(harmless(line) for line in f"Warning: {note}".splitlines()), err=True)
        raise
