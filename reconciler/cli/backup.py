"""`fleet backup`, `fleet restore`, `fleet export`: memory off the host, sealed, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
from reconciler.errors import BackupDamaged, FleetError, Refused, UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import Secret, VerifiedBackup

identity_option = click.option(
    "--identity",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The age identity that opens its backups, where `backup.key` names another recipient than the fleet key.",
)


made_json_option = click.option("--json", "as_json", is_flag=True, help="What came of it as JSON on standard output.")


@click.group(cls=Commands)
def backup() -> None:
    """Copies of children's memory off their hosts, sealed with age: made, listed, tried, fetched, removed."""


@backup.command()
@with_selection(NONE_IS_REFUSED)
@made_json_option
@with_settings
def create(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Make a backup of each child now, while its gateway runs, and read it back. Removes what is too old then."""
    refuse_empty(selection, "back up")
    return _create(settings, selection, only_due=False, as_json=as_json)


@backup.command()
@with_selection(NONE_IS_ALL)
@made_json_option
@with_settings
def due(settings: Settings, selection: Selection, as_json: bool) -> int:
    """The same for those that run and whose newest is older than `backup.every` says. Says nothing if none is due.

    For a timer, cron or CI.
    """
    return _create(settings, selection, only_due=True, as_json=as_json)


@backup.command("list")
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def list_backups(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Which there are: when they were made, of which version, how large, and what they hold."""
    from reconciler.render.backups import backup_json, backup_table, problem_lines
    from reconciler.render.text import json_text

    client = open_client(settings)
    kept = {name: client.keeper().kept(name) for name in _kept_names(client, selection)}
    if as_json:
        click.echo(json_text(backup_json(kept)))
    else:
        show_table(backup_table(kept), settings)
    for line in problem_lines(kept):
        click.echo(line, err=True)
    return _code([found.problems for found in kept.values()])


@backup.command()
@with_selection(NONE_IS_ALL)
@click.option("--id", "backup_id", metavar="BACKUP", help="That one.  [default: the newest of each child]")
@identity_option
@made_json_option
@with_settings
def verify(
    settings: Settings, selection: Selection, backup_id: str | None, identity: Path | None, as_json: bool
) -> int:
    """Read backups again, whole: is each what was kept, does it open, is it what its host has made?"""
    from reconciler.render.backups import verified_json, verified_lines
    from reconciler.render.text import json_text

    client, key = open_client(settings), identity_of(identity)
    names = _kept_names(client, selection)
    _refuse_many(names, backup_id)
    found = [_verified(client, name, backup_id, key) for name in names]
    if as_json:
        click.echo(json_text(verified_json(found)))
    else:
        show_lines(verified_lines(found), settings)
    return _code([it.problem for it in found])


@backup.command()
@click.argument("child")
@click.option("--id", "backup_id", metavar="BACKUP", help="That one.  [default: the newest]")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where it goes (.tar.gz).")
@identity_option
@with_settings
def fetch(settings: Settings, child: str, backup_id: str | None, out: Path, identity: Path | None) -> int:
    """Open a backup into a plain archive on this machine, for its owner's eyes only."""
    client, key = open_client(settings), identity_of(identity)
    name = _single(_kept_names(client, Selection((child,))), child)
    keeper = client.keeper()
    _to_file(out, lambda: keeper.fetch(name, keeper.find(name, backup_id), out, key))
    click.echo(f"The memory of {name} is in {out}, unsealed: keep it from others.")
    return 0


@backup.command()
@with_selection(NONE_IS_ALL)
@made_json_option
@with_settings
def prune(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Remove what is older than `backup.max_age` or more than `backup.keep`. The newest of a child always stays."""
    from reconciler.render.text import json_text

    client = open_client(settings)
    with client.lock("fleet backup prune"):
        gone = client.keeper().prune(_kept_names(client, selection))
    if as_json:
        click.echo(json_text({name: {"removed": [it.id for it in removed]} for name, removed in gone.items()}))
        return 0
    for name, removed in gone.items():
        if removed:
            click.echo(f"{name}: removed {', '.join(it.id for it in removed)}")
    if not any(gone.values()):
        click.echo("Nothing is too old.")
    return 0


@click.command()
@click.argument("child")
@click.option("--from", "backup_id", metavar="BACKUP", help="Its id, of `fleet backup list`.  [default: the newest]")
@click.option("--to", "other", metavar="OTHER", help="Another child, which gets the memory of CHILD.")
@with_consent("Restore")
@identity_option
@json_option
@with_settings
def restore(
    settings: Settings,
    child: str,
    backup_id: str | None,
    other: str | None,
    yes: bool,
    identity: Path | None,
    as_json: bool,
) -> int:
    """Put a backup back: the memory of then, with the version of then. The next apply goes on from there.

    What the gateway remembers now is kept on its host as a checkpoint. A child that has no server gets one, and the
    memory before it starts there. Keys and secrets are none of a backup: the child has its own.
    """
    refuse_questions(yes=yes, as_json=as_json)
    client, key = open_client(settings, beside=as_json), identity_of(identity)
    name = _single(client.select(Selection((other or child,))), other or child)
    source = child if other else name  # who gave it may be in the file no more
    keeper = client.keeper()
    with whoever_reads() as output, client.lock("fleet restore"):
        found = keeper.find(source, backup_id)
        planned = client.plan_restore(name, found, key)
        if not as_json:
            show_plan(settings, planned)
        if has_errors(planned) or planned.plan.is_empty:
            show_refused(settings, planned, as_json=as_json)
            raise Refused("nothing was changed", "mend what is said above")
        refuse_to_end(settings, planned, as_json=as_json)
        consent(f"Put the backup {found.id} of {source} into {name}?", yes, output)
        if planned.options.waking:
            client.begin_waking(planned)  # it has no server yet
        else:
            keeper.send(name, source, found, key)
        return run_plan(client, planned, settings, as_json=as_json)


@click.command()
@click.argument("child")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Where it goes (.tar.gz).")
@with_settings
def export(settings: Settings, child: str, out: Path) -> int:
    """What a child remembers now, as a plain archive for the user who leaves: workspace, conversations, settings."""
    client = open_client(settings)
    name = _single(client.select(Selection((child,))), child)
    with client.lock("fleet export"):
        _to_file(out, lambda: client.keeper().export(name, out))
    click.echo(f"The memory of {name} is in {out}, unsealed: it is its user's alone.")
    return 0


def _create(settings: Settings, selection: Selection, *, only_due: bool, as_json: bool) -> int:
    from reconciler.render.backups import made_json, made_lines
    from reconciler.render.text import json_text

    client = open_client(settings, beside=as_json)
    with client.lock("fleet backup"):
        keeper, names = client.keeper(), _names(client, selection)
        made = keeper.create_due(names) if only_due else keeper.create(names)
    if as_json:
        click.echo(json_text(made_json(made)))
    else:
        show_lines(made_lines(made), settings)
    return _code([it.problem for it in made])


def _code(problems: Sequence[object]) -> int:
    """By what each child's problem is, empty for none."""
    failed = sum(map(bool, problems))
    return 0 if not failed else 1 if failed == len(problems) else 3


def _verified(client: FleetClient, name: str, backup_id: str | None, key: Secret | None) -> VerifiedBackup:
    from reconciler.model import VerifiedBackup

    keeper, found = client.keeper(), None
    try:
        found = keeper.find(name, backup_id)
        return VerifiedBackup(name, found, is_opened=keeper.verify(name, found, key))
    except FleetError as error:
        is_lost = isinstance(error, BackupDamaged) or (found is None and isinstance(error, Refused))
        if is_lost and found is not None and key is not None and _verified(client, name, found.id, None).is_kept:
            is_lost = False  # it is whole, and this identity is of another
        return VerifiedBackup(
            name, found, problem=error.summary, advice=error.advice, is_kept=False if is_lost else None
        )


def _names(client: FleetClient, selection: Selection) -> tuple[str, ...]:
    names = names_of(client, selection)
    return tuple(client.fleet.children) if names is None else names


def _kept_names(client: FleetClient, selection: Selection) -> tuple[str, ...]:
    """The same, and whoever has gone from the file and left backups."""
    from reconciler.selection import resolve

    declared = client.fleet.children
    if selection.names_only(declared):
        return selection.names
    return resolve(selection, declared, dict.fromkeys(client.keeper().names()))


def _single(names: tuple[str, ...], child: str) -> str:
    """Raises UsageProblem where what was given means several."""
    if len(names) > 1:
        raise UsageProblem(f"{child} means {len(names)} children, and this is done for one", "name one child")
    return names[0]


def _refuse_many(names: tuple[str, ...], backup_id: str | None) -> None:
    if backup_id is not None and len(names) > 1:
        raise UsageProblem(f"--id names a backup of one child, and {len(names)} are meant", "name one child")


def identity_of(path: Path | None) -> Secret | None:
    if path is None:
        return None
    from reconciler.secrets.age_identity import read_identity

    return read_identity(path)


def _to_file(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except FileExistsError as error:
        raise UsageProblem(f"{path} is there already", "name a file that is not, or move that one away") from error
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}", "name a place where you may write") from error
