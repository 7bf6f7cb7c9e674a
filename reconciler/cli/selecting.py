"""The one selector: the same argument and options at every command that means some of the children."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from reconciler.errors import UsageProblem
from reconciler.selection import Selection


def with_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `[CHILD or glob]... --group --label --all` and calls the command with `selection=Selection(...)`.

    What an empty selection means is the command's own business.
    """

    @functools.wraps(command)
    def wrapped(
        *arguments: Any, children: tuple[str, ...], groups: tuple[str, ...], labels: tuple[str, ...], everything: bool,
        **options: Any,
    ) -> Any:  # fmt: skip
        selection = Selection(children, groups, labels, everything)
        if everything and (children or groups or labels):
            raise UsageProblem("--all is every child, and something else was named besides", "give one of the two")
        return command(*arguments, selection=selection, **options)

    for option in (
        click.option("--all", "everything", is_flag=True, help="Every child."),
        click.option(
            "--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Only with this label (repeatable: all)."
        ),
        click.option(
            "--group", "groups", multiple=True, metavar="GROUP", help="Only of this group (repeatable: any of them)."
        ),
        click.argument("children", nargs=-1, metavar="[CHILD or glob]..."),
    ):
        wrapped = option(wrapped)
    return wrapped


def refuse_empty(selection: Selection, doing: str) -> None:
    """For commands that destroy: nobody may mean all by saying nothing."""
    if selection.is_empty:
        raise UsageProblem(f"name the children to {doing}, or give --all")
