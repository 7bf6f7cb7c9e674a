"""`fleet config show`, `diff`: what gateways read, key by key, and how that differs from the fleet file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Commands, Settings, with_settings
from reconciler.cli.output import show_table
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import ChildConfig


@click.group(cls=Commands)
def config() -> None:
    """OpenClaw's own configuration on children's hosts (openclaw.json), each key with its owner.

    What is changed there stays until its server is made anew. To keep a key in the fleet file: fleet adopt CHILD config
    """


@config.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--owner", type=click.Choice(("fleet", "file", "agent")), help="Keys of this owner alone.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def show(settings: Settings, selection: Selection, owner: str | None, as_json: bool) -> int:
    """What gateways read now: fleet config show alice

    Secrets are masked. Owners: fleet, this tool sets it for every child; file, the fleet file's `config`; agent, nobody
    of ours, and no apply touches it. Exit code 3: some hosts did not answer; 1: none did.
    """
    from reconciler.model import Owner
    from reconciler.render.configs import config_json, config_table
    from reconciler.render.text import json_text

    client = open_client(settings)
    found = client.configs(_names(client, selection, "show"))
    if as_json:
        click.echo(json_text(config_json(found)))
    else:
        for number, it in enumerate(it for it in found if not it.problem):
            _head(it, number, len(found))
            sheet = config_table(it, None if owner is None else Owner(owner))
            if sheet.rows:
                show_table(sheet, settings)
            else:
                click.echo(f"No key is of the owner {owner}." if owner else "openclaw.json has no key.")
    return _problems(found) or 0


@config.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def diff(settings: Settings, selection: Selection, as_json: bool) -> int:
    """How that differs from the fleet file, and which of both has changed since the last apply: fleet config diff alice

    Exit code 2: something differs, and the next apply would put the file's there. Keys of the agent never differ.
    """
    from reconciler.render.configs import difference_json, difference_table
    from reconciler.render.text import json_text

    client = open_client(settings)
    found = client.config_differences(_names(client, selection, "diff"))
    if as_json:
        click.echo(json_text(difference_json(found)))
    else:
        for number, it in enumerate(it for it in found if not it.problem):
            _head(it, number, len(found))
            if it.differences:
                show_table(difference_table(it), settings)
            else:
                click.echo("openclaw.json is as the fleet file says.")
    return _problems(found) or (2 if any(it.differences for it in found) else 0)


def _names(client: FleetClient, selection: Selection, verb: str) -> tuple[str, ...]:
    if selection.is_empty:
        raise UsageProblem("name the children, or give --all", f"fleet config {verb} CHILD")
    return declared_of(client, selection)


def _head(found: ChildConfig, number: int, count: int) -> None:
    if count > 1:
        click.echo(f"\n{found.child}" if number else found.child)


def _problems(found: list[ChildConfig]) -> int:
    """The exit code where somebody could not be asked, and who."""
    from reconciler.render.text import harmless

    silent = [it for it in found if it.problem]
    for it in silent:
        click.echo(f"{it.child}: {harmless(it.problem)}\n    {harmless(it.advice)}".rstrip(), err=True)
    return 0 if not silent else 1 if len(silent) == len(found) else 3
