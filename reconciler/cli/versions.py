"""`fleet rollback`, `fleet checkpoints`, `fleet quarantine`: the way back from a version."""

from __future__ import annotations

import click

from reconciler.cli.changes import (
    consent,
    has_errors,
    json_option,
    refuse_questions,
    refuse_to_end,
    run_plan,
    show_plan,
    show_refused,
)
from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Commands, Settings, with_consent, with_settings
from reconciler.cli.output import show_lines, show_table, whoever_reads
from reconciler.cli.selecting import NONE_IS_ALL, NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import Selection


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--to", metavar="CHECKPOINT", help="Its id, as `fleet checkpoints` shows it.  [default: the newest]")
@with_consent("Go back")
@json_option
@with_settings
def rollback(settings: Settings, selection: Selection, to: str | None, yes: bool, as_json: bool) -> int:
    """Bring children back to a checkpoint: the version of then, with the memory of then.

    What came since is kept on the host. The version in the file is held back until: fleet apply --retry CHILD.
    """
    refuse_empty(selection, "roll back")
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    names = client.select(selection)
    if to is not None and len(names) > 1:
        raise UsageProblem(f"--to names a checkpoint of one child, and {len(names)} are meant", "name one child")
    with whoever_reads() as output, client.lock("fleet rollback"):
        planned = client.plan_rollback(names, to)
        if not as_json:
            show_plan(settings, planned)
        if has_errors(planned) or planned.plan.is_empty:
            show_refused(settings, planned, as_json=as_json)
            raise Refused("nothing was changed", "mend what is said above, or leave that child out")
        refuse_to_end(settings, planned, as_json=as_json)
        consent("Go back?", yes, output)
        return run_plan(client, planned, settings, as_json=as_json)


@click.command()
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def checkpoints(settings: Settings, selection: Selection, as_json: bool) -> int:
    """The checkpoints of children: whole copies of their memory, one made before each change of version."""
    from reconciler.render.text import json_text
    from reconciler.render.versions import checkpoint_json, checkpoint_table

    client = open_client(settings)
    children = client.checkpoints(names_of(client, selection))
    if as_json:
        click.echo(json_text(checkpoint_json(children)))
    else:
        show_table(checkpoint_table(children), settings)
    return 0


@click.group(cls=Commands)
def quarantine() -> None:
    """Versions that the whole fleet keeps away from, because a child had to be brought back from them."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def list_quarantined(settings: Settings, as_json: bool) -> int:
    """Which, since when and why."""
    from reconciler.render.text import json_text
    from reconciler.render.versions import quarantine_json, quarantine_lines

    found = open_client(settings).quarantined()
    if as_json:
        click.echo(json_text(quarantine_json(found)))
    else:
        show_lines(quarantine_lines(found), settings)
    return 0


@quarantine.command()
@click.argument("version")
@with_settings
def clear(settings: Settings, version: str) -> int:
    """The fleet may go to this version again. A child that was brought back from it: fleet apply --retry CHILD."""
    from reconciler.commands import is_exact

    if not is_exact(version):
        raise UsageProblem(f"{version} is no version", "name one that `fleet quarantine list` shows, such as 2026.9.6")
    client = open_client(settings)
    with client.lock("fleet quarantine clear"):
        was = client.clear_quarantine(version)
    click.echo(f"{version} is not quarantined any more." if was else f"{version} was not known to be quarantined.")
    return 0
