"""`fleet adopt`: what a host has and the fleet file does not comes into the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.writing import dry_run_option, save, tell, valid_or_not_written, written_json_option
from reconciler.errors import Refused, UsageProblem
from reconciler.model import LARGEST_USER
from reconciler.selection import not_declared

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.fleetfile import FleetFile


@click.command()
@click.argument("child")
@click.argument("what", metavar="users|config")
@click.option("--key", "keys", multiple=True, metavar="PATH", help="Of config, this key of the agent (repeatable).")
@dry_run_option
@written_json_option
@with_settings
def adopt(settings: Settings, child: str, what: str, keys: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Write into the fleet file what a child's host has and the file does not: fleet adopt alice users

    The users whom somebody has let in come into its `users.allowed`, beside those that are there or that it has from
    its group. Of its configuration the keys of the fleet file's `config` come into it that somebody has changed on the
    host, and those of the agent that --key names, such as ui.theme: from then on they are the file's.
    """
    from reconciler.fleetfile import FleetFile

    if what not in ("users", "config"):
        first = f": fleet adopt {what} {child}" if child in ("users", "config") else ""
        raise UsageProblem(f"{what} is not what can be taken over", f"the child, then `users` or `config`{first}")
    if keys and what != "config":
        raise UsageProblem("--key is of the configuration", f"fleet adopt {child} config --key PATH")
    file = FleetFile(settings.file)
    client = open_client(settings, beside=as_json)
    if what == "config":
        return _adopt_config(settings, file, client, child, keys, dry_run=dry_run, as_json=as_json)
    strangers = _let_in(client, child)
    if not strangers:
        click.echo(f"The fleet file names all whom {child} lets in.", err=as_json)
        tell([child], as_json=as_json)
        return 0
    file.allow(child, strangers)
    save(settings, file, "users-adopted", [child], dry_run=dry_run, as_json=as_json)
    if not dry_run:
        said = f"They are let in already; to have the gateway's configuration say so, too: fleet apply {child}"
        click.echo(f"\n{said}", err=as_json)
    return 0


def _adopt_config(
    settings: Settings,
    file: FleetFile,
    client: FleetClient,
    child: str,
    keys: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    from reconciler.configs import adoptable
    from reconciler.render.configs import path_text

    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
    values = adoptable(client.fleet.children[child], client.whole_config(child), keys)
    if not values:
        said = f"The configuration of {child} is as its `config` says. To take over a key of the agent: --key PATH"
        click.echo(said, err=as_json)
        tell([child], as_json=as_json)
        return 0
    for path, value in values.items():
        file.put_within(child, ("config", *path), value)
    save(settings, file, "config-adopted", [child], dry_run=dry_run, as_json=as_json)
    if not dry_run:
        taken = ", ".join(map(path_text, values))
        click.echo(f"\nTaken over: {taken}. To note it on the host: fleet apply {child}", err=as_json)
    return 0


def adopt_drift(settings: Settings, client: FleetClient, child: str) -> str:
    """What was changed of this child's configuration, and is to be adopted, is in the fleet file then; what, in words.

    Raises FleetError.
    """
    from reconciler.configs import adoptable
    from reconciler.fleetfile import FleetFile
    from reconciler.model import DriftPolicy
    from reconciler.render.configs import path_text
    from reconciler.wiring import note, open_store

    spec, file, store = client.fleet.children[child], FleetFile(settings.file), open_store(settings.state_dir)
    found = adoptable(spec, client.whole_config(child))
    policy = spec.monitoring.policy_of
    wanted = {key: it for key, it in found.items() if policy(".".join(("config", *key))) is DriftPolicy.ADOPT}
    for path, value in wanted.items():
        file.put_within(child, ("config", *path), value)
    if not wanted:
        return f"{child}: nothing is left to take over"
    with valid_or_not_written():
        file.fleet()
    with store.lock("fleet monitor"):
        names = file.save()
        note(store, "config-adopted", children=[child])
    return f"{child}: taken over into {', '.join(names)}: {', '.join(map(path_text, wanted))}"


def _let_in(client: FleetClient, child: str) -> list[int]:
    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
    [access] = client.pairings().look([child])
    if access.problem:
        raise Refused(access.problem, access.advice)
    ids = (int(user) for user in access.strangers if re.fullmatch(r"[1-9][0-9]{0,15}", user))
    users = [user for user in ids if user <= LARGEST_USER]
    if odd := sorted(set(access.strangers) - {*map(str, users)}):
        from reconciler.render.text import harmless

        click.echo(f"Left out, for they are no ids of Telegram users: {harmless(', '.join(odd))}", err=True)
    return users
