"""Lines and tables on standard output: coloured on a terminal that wants it, plain and stable when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings

if TYPE_CHECKING:
    from rich.table import Table

UNFOLDED = 400  # columns; piped output is never folded to a width that nobody has


def show_lines(lines: Iterable[tuple[str, str | None]], settings: Settings) -> None:
    """Each line in its colour (click's names), or as it is."""
    for line, color in lines:
        click.secho(line, fg=color, color=settings.color)


def show_table(table: Table, settings: Settings) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else UNFOLDED
    console = Console(width=width, no_color=not settings.color, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=settings.color)
