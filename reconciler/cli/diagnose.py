"""`fleet diagnose`: what is wrong, why, and what mends it."""

from __future__ import annotations

import click

from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def diagnose(settings: Settings, selection: Selection, as_json: bool) -> int:
    """What is wrong with a child, why, and what mends it: fleet diagnose alice

    From the cloud up to the reply; what needs a check that has failed is skipped. Looks only, and asks the model's
    provider and Telegram. Exit code 0: nothing is wrong that can be seen; 2: something is; 3: nothing, and some could
    not be looked at closely.
    """
    from reconciler.render.diagnosis import diagnosis_json, diagnosis_lines
    from reconciler.render.text import json_text

    if selection.is_empty:
        raise UsageProblem("name the children, or give --all", "fleet diagnose CHILD")
    client = open_client(settings)
    found = client.diagnose(declared_of(client, selection))
    if as_json:
        click.echo(json_text(diagnosis_json(found)))
    else:
        for number, diagnosis in enumerate(found):
            blank = [("", None)] if number else []
            show_lines([*blank, *diagnosis_lines(diagnosis, whole=len(found) == 1)], settings)
    if any(it.cause is not None for it in found):
        return 2
    return 3 if any(it.unseen for it in found) else 0
