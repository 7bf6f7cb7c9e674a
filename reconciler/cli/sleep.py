"""`fleet hibernate`, `fleet wake`: children that cost nothing for a while, and lose nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.backup import identity_of, identity_option
from reconciler.cli.changes import consent, has_errors, run_plan, show_plan
from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import Selection, resolve

if TYPE_CHECKING:
    from reconciler.api import FleetClient


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--yes", "-y", is_flag=True, help="Put to sleep without asking.")
@with_settings
def hibernate(settings: Settings, selection: Selection, yes: bool) -> int:
    """Keep the memory of children, and delete their servers: then they cost nothing. `fleet wake` brings them back.

    A server that is switched off (`enabled: false`) goes on costing its full price.
    """
    refuse_empty(selection, "put to sleep")
    client = open_client(settings)
    with whoever_reads() as output, client.lock("fleet hibernate"):
        planned = client.plan_hibernation(client.select(selection))
        show_plan(settings, planned)
        if has_errors(planned):
            raise Refused("nothing was changed", "leave out the children named above, or mend what is said there")
        if planned.plan.is_empty:
            return 0
        consent("Put them to sleep?", yes, output)
        return run_plan(client, planned, settings)


def _names(client: FleetClient, selection: Selection) -> tuple[str, ...]:
    """All that the file declares; by their names, also those that sleep and are in the file no more."""
    declared = client.fleet.children
    if selection.means_all:
        return tuple(declared)
    if selection.names_only(declared):
        return selection.names
    found = resolve(selection, declared, {**dict.fromkeys(client.asleep()), **client.servers()})
    return tuple(name for name in found if name in declared or name in selection.names)


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--from", "backup_id", metavar="BACKUP", help="Another backup than the one it went to sleep with.")
@click.option("--empty", is_flag=True, help="Give its memory up: the next apply makes it anew.")
@click.option("--yes", "-y", is_flag=True, help="Wake without asking.")
@identity_option
@with_settings
def wake(
    settings: Settings, selection: Selection, backup_id: str | None, empty: bool, yes: bool, identity: Path | None
) -> int:
    """Give children that sleep a new server, and the memory that they went to sleep with before they start.

    They start with the version of then; the next apply goes on to the one in the fleet file.
    """
    refuse_empty(selection, "wake")
    if empty and (backup_id or identity):
        raise UsageProblem("--empty gives the memory up, and --from and --identity ask for one", "give one of them")
    client, key = open_client(settings), identity_of(identity)
    with whoever_reads() as output, client.lock("fleet wake"):
        names = _names(client, selection)
        if backup_id is not None and len(names) > 1:
            raise UsageProblem(f"--from names a backup of one child, and {len(names)} are meant", "name one child")
        asleep = client.asleep(names)
        awake = [name for name in names if name not in asleep]
        if awake and not selection.means_all:
            raise Refused(f"not asleep: {', '.join(awake)}", "a child that has no server gets one by: fleet apply")
        chosen = {name: asleep[name] for name in names if name in asleep}
        if not chosen:
            click.echo("Nobody sleeps.")
            return 0
        if empty:
            consent(f"Give up for good what {', '.join(chosen)} remembered?", yes, output)
            return _give_up(client, chosen)
        _refuse_undeclared(client, chosen)
        keeper = client.keeper()
        backups = {name: keeper.find(it.source, backup_id or it.backup or None) for name, it in chosen.items()}
        planned = client.plan_waking(backups, key)
        show_plan(settings, planned)
        if has_errors(planned):
            raise Refused("nothing was changed", "mend what is said above")
        consent("Wake them?", yes, output)
        client.begin_waking(planned)
        if planned.plan.is_empty:
            click.echo("They are awake: their servers were not deleted yet.")
            return 0
        return run_plan(client, planned, settings)


def _give_up(client: FleetClient, names: Iterable[str]) -> int:
    servers = client.servers()
    for name in names:
        client.forget_sleep(name)
    if there := [name for name in names if servers.get(name)]:
        click.echo(f"They go on with the servers that they still have: fleet apply {' '.join(there)}")
    if gone := [name for name in names if not servers.get(name) and name in client.fleet.children]:
        click.echo(f"To make them anew, without a memory: fleet apply {' '.join(gone)}")
    return 0


def _refuse_undeclared(client: FleetClient, names: Iterable[str]) -> None:
    if gone := [name for name in names if name not in client.fleet.children]:
        raise Refused(
            f"the fleet file does not declare: {', '.join(gone)}",
            f"declare it, or give what it remembered to another child: fleet restore {gone[0]} --to CHILD",
        )
