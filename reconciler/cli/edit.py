"""`fleet add`, `remove`, `update`, `adopt`: what a person would write into the fleet file, and what follows from it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import (
    consent,
    follow_moves,
    has_errors,
    json_option,
    refuse_questions,
    refuse_to_end,
    run_plan,
    show_end,
    show_plan,
)
from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import ConfigError, Refused, UsageProblem
from reconciler.selection import Selection, not_declared, resolve

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.fleetfile import FleetFile
    from reconciler.model import Json

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")


@click.command()
@click.argument("name")
@click.option("--bot-token", metavar="REF", help="Where its bot's token is; else in file:secrets/NAME.token.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="The first that can be had (repeatable).")
@click.option("--server-type", "types", multiple=True, metavar="TYPE", help="The first that can be had (repeatable).")
@click.option("--version", metavar="VERSION", help="Of OpenClaw.")
@click.option("--group", metavar="GROUP", help="The group that it belongs to.")
@click.option("--owner", type=click.IntRange(1, 2**53), metavar="ID", help="Its owner's Telegram id, who is let in.")
@dry_run_option
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
    dry_run: bool,
) -> int:
    """Write a child into the fleet file: fleet add bob --owner 4242

    What is not said comes from its group and from `defaults`. Nothing is made before you apply.
    """
    from reconciler.document import looks_secret
    from reconciler.fleetfile import FleetFile

    if bot_token and looks_secret(bot_token):
        raise UsageProblem("--bot-token is a secret itself, and not where it is", "fleet bot token CHILD takes it")
    values: dict[str, Json] = {
        "group": group,
        "region": _one_or_many(regions),
        "server_type": _one_or_many(types),
        "version": version,
        "bot": {"token": bot_token or f"file:secrets/{name}.token"},
    }
    file = FleetFile(settings.file)
    file.add(name, {key: value for key, value in values.items() if value is not None})
    with _not_written():
        if owner:  # a list of its own is used instead of its group's
            allowed = dict.fromkeys((*file.fleet().children[name].users.allowed, owner))
            file.put([name], "users", {"allowed": [*allowed], "owner": owner})
    _save(settings, file, dry_run, "child-added", (name,))
    click.echo(f"\nTo give it its bot, its server and its user: fleet onboard {name}")
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@dry_run_option
@click.option("--yes", "-y", is_flag=True, help="Several of them without asking.")
@with_settings
def remove(settings: Settings, selection: Selection, dry_run: bool, yes: bool) -> int:
    """Take children out of the fleet file. The next apply deletes their servers, after a last copy of their memory.

    Needs neither secrets nor network.
    """
    from reconciler.fleetfile import FleetFile

    refuse_empty(selection, "take out of the fleet file")
    file = FleetFile(settings.file)
    names = resolve(selection, file.before.children, {})
    if kept := [name for name in names if file.before.children[name].protect]:
        raise Refused(
            f"protected: {', '.join(kept)}", "set `protect: false` in the fleet file and apply, then take it out"
        )
    file.remove(names)
    with whoever_reads() as output:
        if len(names) > 1 and not dry_run:
            consent(f"Take {len(names)} children out of the fleet file: {', '.join(names)}?", yes, output)
        _save(settings, file, dry_run, "children-removed", names)
        click.echo("\nThe next apply deletes what servers they have, after a last copy of their memory: fleet plan")
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.argument("version", metavar="VERSION|latest")
@click.option("--yes", "-y", is_flag=True, help="Without asking.")
@json_option
@with_settings
def update(settings: Settings, selection: Selection, version: str, yes: bool, as_json: bool) -> int:
    """Bring children to a version of OpenClaw, in the fleet file and then there: fleet update alice 2026.9.6

    The last word is the version, or `latest` for the newest that there is now, which is written as what it is. It
    becomes each child's own `version`, where that child is declared; then it is planned and applied. A lower version
    goes back to a checkpoint, and the plan says what that loses. Nothing is written unless you agree.
    """
    from reconciler.fleetfile import FleetFile

    if selection.is_empty:
        raise UsageProblem(
            f"{version} is taken for the version, and nobody is named", "fleet update CHILD VERSION; or --all VERSION"
        )
    refuse_questions(yes=yes, as_json=as_json)
    file = FleetFile(settings.file)
    names = resolve(selection, file.before.children, {})
    if version != "latest":
        _put_version(file, names, version)  # what is wrong with that needs no cloud to be said
    client = open_client(settings, beside=as_json)
    if version == "latest":
        version = client.newest_version(names)
        _put_version(file, names, version)
    then = client.of(file.fleet())
    with whoever_reads() as output, then.lock("fleet update"):
        planned = then.plan(names)
        _show(file, beside=as_json)
        if not file.changes_anything:
            click.echo(f"The fleet file says {version} already.", err=as_json)
        if not as_json:
            show_plan(settings, planned)
        if planned.plan.is_refused or has_errors(planned):
            if as_json:
                show_end(settings, planned, [], as_json=True)
            raise Refused("nothing was written, and nothing was changed", "mend what is said above")
        refuse_to_end(planned)
        if not file.changes_anything and planned.plan.is_empty:
            show_end(settings, planned, [], as_json=as_json)
            return 0
        consent(f"Write this into {settings.file} and apply?" if file.changes_anything else "Apply this?", yes, output)
        _written(file, beside=as_json)
        then.note("version-written", children=[*names], version=version)
        follow_moves(then, planned, beside=as_json)
        if planned.plan.is_empty:
            show_end(settings, planned, [], as_json=as_json)
            return 0
        return run_plan(then, planned, settings, as_json=as_json)


@click.command()
@click.argument("child")
@click.argument("what", metavar="users|config")
@click.option("--key", "keys", multiple=True, metavar="PATH", help="Of config, this key of the agent (repeatable).")
@dry_run_option
@with_settings
def adopt(settings: Settings, child: str, what: str, keys: tuple[str, ...], dry_run: bool) -> int:
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
    client = open_client(settings)
    if what == "config":
        return _adopt_config(settings, file, client, child, keys, dry_run)
    strangers = _let_in(client, child)
    if not strangers:
        click.echo(f"The fleet file names all whom {child} lets in.")
        return 0
    file.allow(child, strangers)
    _save(settings, file, dry_run, "users-adopted", (child,))
    if not dry_run:
        click.echo(f"\nThey are let in already; to have the gateway's configuration say so, too: fleet apply {child}")
    return 0


def _adopt_config(
    settings: Settings, file: FleetFile, client: FleetClient, child: str, keys: tuple[str, ...], dry_run: bool
) -> int:
    from reconciler.configs import adoptable
    from reconciler.render.configs import path_text

    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
    values = adoptable(client.fleet.children[child], client.whole_config(child), keys)
    if not values:
        click.echo(f"The configuration of {child} is as its `config` says. To take over a key of the agent: --key PATH")
        return 0
    for path, value in values.items():
        file.put_within(child, ("config", *path), value)
    _save(settings, file, dry_run, "config-adopted", (child,))
    if not dry_run:
        click.echo(f"\nTaken over: {', '.join(map(path_text, values))}. To note it on the host: fleet apply {child}")
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
    with _not_written():
        file.fleet()
    with store.lock("fleet monitor"):
        names = file.save()
        note(store, "config-adopted", children=[child])
    return f"{child}: taken over into {', '.join(names)}: {', '.join(map(path_text, wanted))}"


def _put_version(file: FleetFile, names: tuple[str, ...], version: str) -> None:
    """Who has it already, from its group or by itself, is left as it is."""
    file.put([name for name in names if file.before.children[name].version != version], "version", version)
    with _not_written():
        file.fleet()


def _let_in(client: FleetClient, child: str) -> list[int]:
    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
    [access] = client.pairings().look([child])
    if access.problem:
        raise Refused(access.problem, access.advice)
    users = [int(user) for user in access.strangers if re.fullmatch(r"[1-9][0-9]{0,15}", user)]
    if odd := sorted(set(access.strangers) - {*map(str, users)}):
        from reconciler.render.text import harmless

        click.echo(f"Left out, for they are no ids of Telegram users: {harmless(', '.join(odd))}", err=True)
    return users


def _save(settings: Settings, file: FleetFile, dry_run: bool, event: str, children: tuple[str, ...]) -> None:
    """Under the lock, so that of two who change it at once both are heard."""
    from reconciler.wiring import note, open_store

    with _not_written():
        file.fleet()
    _show(file)
    if dry_run:
        click.echo("\nNothing was written (--dry-run).")
        return
    store = open_store(settings.state_dir or settings.file.parent / "state")
    with store.lock("fleet add, remove or adopt"):
        _written(file)
        note(store, event, children=[*children])


def _show(file: FleetFile, *, beside: bool = False) -> None:
    from reconciler.document import looks_secret
    from reconciler.render.text import harmless

    for line in file.diff():
        said = f"{line[:1]} (not shown: it looks like a secret)" if looks_secret(line) else harmless(line)
        click.echo(said, err=beside)


def _written(file: FleetFile, *, beside: bool = False) -> None:
    if names := file.save():
        click.echo(f"\nWritten: {', '.join(names)}", err=beside)


@contextlib.contextmanager
def _not_written() -> Iterator[None]:
    """What is wrong is said of the file as it would be; the one that is there is as it was."""
    try:
        yield
    except ConfigError:
        click.echo("Nothing was written: the fleet file would not be valid. As it would be:", err=True)
        raise


def _one_or_many(words: tuple[str, ...]) -> Json:
    return [*words] if len(words) > 1 else words[0] if words else None
