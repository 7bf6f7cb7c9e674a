"""What a command writes into the fleet file: shown first, valid as a whole or not written, and noted in the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from reconciler.fleetfile import FleetFile

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
written_json_option = click.option(
    "--json", "as_json", is_flag=True, help="What was written, as JSON on standard output, and nothing else there."
)


def save(
    settings: Settings,
    file: FleetFile,
    event: str,
    children: Sequence[str],
    *,
    dry_run: bool,
    as_json: bool,
    agreed: Callable[[], None] = lambda: None,
) -> None:
    """Under the lock, so that of two who change it at once both are heard; when it was shown and somebody has `agreed`.

    That raises Refused where nobody does.
    """
    with valid_or_not_written():
        file.fleet()
    diff = [*diff_lines(file)]
    if not as_json:
        _show(diff)
    if not dry_run:
        agreed()
    written = [] if dry_run else _written(settings, file, event, children, beside=as_json)
    tell(children, diff, written, as_json=as_json)
    if dry_run:
        click.echo("\nNothing was written (--dry-run).", err=as_json)


def tell(children: Sequence[str], diff: Sequence[str] = (), written: Sequence[str] = (), *, as_json: bool) -> None:
    """For machines: of whom, the lines that change, and the files that were written."""
    from reconciler.render.text import json_text

    if as_json:
        click.echo(json_text({"children": [*children], "diff": [*diff], "written": [*written]}))


def _written(settings: Settings, file: FleetFile, event: str, children: Sequence[str], *, beside: bool) -> list[str]:
    from reconciler.wiring import note, open_store

    store = open_store(settings.state_dir)
    with store.lock("fleet add, remove or adopt"):
        names = write(file, beside=beside)
        note(store, event, children=[*children])
        return names


def diff_lines(file: FleetFile) -> Iterator[str]:
    """What changes, and no secret of it."""
    from reconciler.document import looks_secret

    for line in file.diff():
        yield f"{line[:1]} (not shown: it looks like a secret)" if looks_secret(line) else line


def show_diff(file: FleetFile, *, beside: bool = False) -> None:
    _show(diff_lines(file), beside=beside)


def _show(diff: Iterable[str], *, beside: bool = False) -> None:
    from reconciler.render.text import harmless

    for line in diff:
        click.echo(harmless(line), err=beside)


def write(file: FleetFile, *, beside: bool = False) -> list[str]:
    """The names of the files that are written."""
    names = file.save()
    if names:
        click.echo(f"\nWritten: {', '.join(names)}", err=beside)
    return names


@contextlib.contextmanager
def valid_or_not_written() -> Iterator[None]:
    """What is wrong is said of the file as it would be; the one that is there is as it was."""
    try:
        yield
    except ConfigError:
        click.echo("Nothing was written: the fleet file would not be valid. As it would be:", err=True)
        raise
