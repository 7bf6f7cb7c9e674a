"""`fleet add`, `remove`, `update`: what a person would write into the fleet file, and what follows from it."""

from __future__ import annotations

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
from reconciler.cli.writing import (
    dry_run_option,
    save,
    show_diff,
    valid_or_not_written,
    write,
    written_json_option,
)
from reconciler.errors import Refused, UsageProblem
from reconciler.model import LARGEST_USER
from reconciler.selection import Selection, resolve

if TYPE_CHECKING:
    from reconciler.fleetfile import FleetFile
    from reconciler.model import Json


@click.command()
@click.argument("name")
@click.option("--bot-token", metavar="REF", help="Where its bot's token is; else in file:secrets/NAME.token.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="The first that can be had (repeatable).")
@click.option("--server-type", "types", multiple=True, metavar="TYPE", help="The first that can be had (repeatable).")
@click.option("--version", metavar="VERSION", help="Of OpenClaw.")
@click.option("--group", metavar="GROUP", help="The group that it belongs to.")
@click.option(
    "--owner", type=click.IntRange(1, LARGEST_USER), metavar="ID", help="Its owner's Telegram id, who is let in."
)
@dry_run_option
@written_json_option
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
    as_json: bool,
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
    with valid_or_not_written():
        if owner:  # a list of its own is used instead of its group's
            allowed = dict.fromkeys((*file.fleet().children[name].users.allowed, owner))
            file.put([name], "users", {"allowed": [*allowed], "owner": owner})
    save(settings, file, "child-added", (name,), dry_run=dry_run, as_json=as_json)
    click.echo(f"\nTo give it its bot, its server and its user: fleet onboard {name}", err=as_json)
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@dry_run_option
@click.option("--yes", "-y", is_flag=True, help="Several of them without asking.")
@written_json_option
@with_settings
def remove(settings: Settings, selection: Selection, dry_run: bool, yes: bool, as_json: bool) -> int:
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
            refuse_questions(yes=yes, as_json=as_json)

        def agreed() -> None:
            if len(names) > 1:
                consent(f"Take {len(names)} children out of the fleet file: {', '.join(names)}?", yes, output)

        save(settings, file, "children-removed", names, dry_run=dry_run, as_json=as_json, agreed=agreed)
        said = "\nThe next apply deletes what servers they have, after a last copy of their memory: fleet plan"
        click.echo(said, err=as_json)
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
    goes back to a checkpoint, and the plan says what that loses. Nothing is written unless you agree. Who does not
    answer keeps nobody else from it, and follows with the next apply (exit code 3).
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
        show_diff(file, beside=as_json)
        if not file.changes_anything:
            click.echo(f"The fleet file says {version} already.", err=as_json)
        if not as_json:
            show_plan(settings, planned)
        if planned.plan.is_refused or (has_errors(planned) and planned.plan.is_empty):
            if as_json:
                show_end(settings, planned, [], as_json=True)
            raise Refused("nothing was written, and nothing was changed", "mend what is said above")
        refuse_to_end(settings, planned, as_json=as_json)
        if not file.changes_anything and planned.plan.is_empty:
            show_end(settings, planned, [], as_json=as_json)
            return 0
        consent(f"Write this into {settings.file} and apply?" if file.changes_anything else "Apply this?", yes, output)
        write(file, beside=as_json)
        then.note("version-written", children=[*names], version=version)
        follow_moves(then, planned, beside=as_json)
        if planned.plan.is_empty:
            show_end(settings, planned, [], as_json=as_json)
            return 0
        return run_plan(then, planned, settings, as_json=as_json)


def _put_version(file: FleetFile, names: tuple[str, ...], version: str) -> None:
    """Who has it already, from its group or by itself, is left as it is."""
    file.put([name for name in names if file.before.children[name].version != version], "version", version)
    with valid_or_not_written():
        file.fleet()


def _one_or_many(words: tuple[str, ...]) -> Json:
    return [*words] if len(words) > 1 else words[0] if words else None
