"""`fleet rebuild`: another server for a child that has one, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.backup import identity_of, identity_option
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
from reconciler.cli.client import declared_of, named_children, open_client
from reconciler.cli.options import Settings, with_consent, with_settings
from reconciler.cli.output import whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import Selection


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option(
    "--no-backup",
    multiple=True,
    metavar="CHILD",
    help="Do not ask this child's host for its memory, as it does not answer: its new server gets its newest backup, "
    "and what it was told since is lost (repeatable).",
)
@with_consent("Rebuild")
@identity_option
@json_option
@with_settings
def rebuild(
    settings: Settings,
    selection: Selection,
    no_backup: tuple[str, ...],
    yes: bool,
    identity: Path | None,
    as_json: bool,
) -> int:
    """Give children a new server, with their memory: fleet rebuild alice. The old one goes when the new one is proven.

    A last copy of the memory is kept and read back before. Where that fails, the old gateway goes on. The address
    changes, also where the file says nothing new.
    """
    refuse_empty(selection, "rebuild")
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    with whoever_reads() as output, client.lock("fleet rebuild"):
        names, without_copy = declared_of(client, selection), named_children(client, no_backup, "--no-backup")
        if spared := sorted(without_copy - set(names)):
            raise UsageProblem(
                f"--no-backup {spared[0]}: {spared[0]} is not among those that are rebuilt", "name it there as well"
            )
        planned = client.plan_rebuild(names, without_copy, identity_of(identity))
        if not as_json:
            show_plan(settings, planned)
        if has_errors(planned) or planned.plan.is_empty:
            show_refused(settings, planned, as_json=as_json)
            raise Refused("nothing was rebuilt", "leave out the children named above, or mend what is said there")
        refuse_to_end(settings, planned, as_json=as_json)
        consent("Give them new servers?", yes, output)
        return run_plan(client, planned, settings, client.fleet.rollout.max_parallel, as_json=as_json)
