"""`fleet add`, `remove`, `update`, `adopt`: what a person would write into the fleet file, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import consent, follow_moves, has_errors, run_plan, show_plan
from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.fleetfile import FleetFile
    from reconciler.model import Json


@click.command()
@click.argument("name")
@click.option("--bot-token", metavar="REF", help="Where its bot's token is; else in file:secrets/NAME.token.")
@click.option("--region", "regions", multiple=True, help="Where; the first that can be had is taken (repeatable).")
@click.option("--server-type", "types", multiple=True, help="Which servers will do, likewise (repeatable).")
@click.option("--version", help="Of OpenClaw.")
@click.option("--group", help="The group that it belongs to.")
@click.option("--owner", type=click.IntRange(1, 2**53), metavar="ID", help="Its owner's Telegram id.")
@with_settings
def add(
    settings: Settings,
    name: str,
    bot_token: str | None,
    regions: tuple[str, ...],
    types: tuple[str, ...],
    version: str | None,
    group: str | None,
    owner: int | None,
) -> int:
    """Write a child into the fleet file. What is not said comes from its group and from `defaults`."""
    from reconciler.fleetfile import FleetFile

    values: dict[str, Json] = {
        "group": group,
        "region": _one_or_many(regions),
        "server_type": _one_or_many(types),
        "version": version,
        "bot": {"token": bot_token or f"file:secrets/{name}.token"},
        "users": {"allowed": [owner], "owner": owner} if owner else None,
    }
    file = FleetFile(settings.file)
    file.add(name, {key: value for key, value in values.items() if value is not None})
    file.fleet()
    _saved(file)
    click.echo(f"\nTo give it its bot, its server and its user: fleet onboard {name}")
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@with_settings
def remove(settings: Settings, selection: Selection) -> int:
    """Take children out of the fleet file. Their servers go with the next apply, after a last copy of their memory."""
    from reconciler.fleetfile import FleetFile

    refuse_empty(selection, "take out of the fleet file")
    names = declared_of(open_client(settings), selection)
    file = FleetFile(settings.file)
    for name in names:
        file.remove(name)
    file.fleet()
    _saved(file)
    click.echo(f"\nTo delete their servers, after a last copy of what they remember: fleet apply {' '.join(names)}")
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.argument("version", metavar="VERSION|latest")
@click.option("--yes", "-y", is_flag=True, help="Without asking.")
@with_settings
def update(settings: Settings, selection: Selection, version: str, yes: bool) -> int:
    """Bring children to a version of OpenClaw: it is written into the fleet file, planned and applied.

    fleet update alice 2026.9.6. The last word is the version; `latest` is the newest that there is now, and it is
    written as what it is. Nothing is written unless you agree to the plan.
    """
    from reconciler.fleetfile import FleetFile

    if selection.is_empty:
        raise UsageProblem("nobody is named, or there is no version", "fleet update CHILD VERSION; or --all VERSION")
    client = open_client(settings)
    names = declared_of(client, selection)
    exact = client.newest_version(names) if version == "latest" else version
    file = FleetFile(settings.file)
    for name in names:
        file.put(name, "version", exact)
    then = client.of(file.fleet())
    with whoever_reads() as output, then.lock("fleet update"):
        planned = then.plan(names)
        click.echo("\n".join(file.diff()) or f"The fleet file says {exact} already.")
        show_plan(settings, planned)
        if planned.plan.is_refused or has_errors(planned):
            raise Refused("nothing was written, and nothing was changed", "mend what is said above")
        consent(f"Write this into {settings.file} and apply?", yes, output)
        file.save()
        then.note("version-written", children=[*names], version=exact)
        follow_moves(then, planned)
        return run_plan(then, planned, settings) if not planned.plan.is_empty else 0


@click.command()
@click.argument("child")
@click.argument("what", type=click.Choice(["users"]))
@with_settings
def adopt(settings: Settings, child: str, what: str) -> int:
    """Write into the fleet file what a child's host has and the file does not: the users that somebody has let in."""
    from reconciler.fleetfile import FleetFile

    del what  # there is one thing so far
    client = open_client(settings)
    strangers = _let_in(client, child)
    file = FleetFile(settings.file)
    for user in strangers:
        file.allow(child, user)
    if not strangers:
        click.echo(f"The fleet file names all whom {child} lets in.")
        return 0
    file.fleet()
    _saved(file)
    client.note("users-adopted", child=child, users=[*strangers])
    click.echo(f"\nThat is what holds already; to have the gateway's configuration say it, too: fleet apply {child}")
    return 0


def _let_in(client: FleetClient, child: str) -> list[int]:
    if child not in client.fleet.children:
        raise UsageProblem(f"the fleet file declares no child {child}", "fleet list says which there are")
    [access] = client.pairings().look([child])
    if access.problem:
        raise Refused(access.problem, access.advice)
    return [int(user) for user in access.strangers if user.isascii() and user.isdecimal()]


def _saved(file: FleetFile) -> None:
    from reconciler.render.text import harmless

    for line in file.diff():
        click.echo(harmless(line))
    file.save()


def _one_or_many(words: tuple[str, ...]) -> Json:
    return [*words] if len(words) > 1 else words[0] if words else None
