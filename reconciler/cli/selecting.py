"""The one selector: the same argument and options at every command that means some of the children."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

import click

from reconciler.errors import UsageProblem
from reconciler.selection import Selection

_HELP: Final = """

Names and globs, --group and --label say which children: of several names or groups any, of several labels all; and
each kind narrows down the others. """
NONE_IS_ALL: Final = "None of these means all children."
NONE_IS_REFUSED: Final = "None of these is refused: for all children say --all."

Function = Callable[..., Any]


def with_selection(nothing_given: str) -> Callable[[Function], Function]:
    """Adds `[CHILD or glob]... --group --label --all` and calls the command with `selection=Selection(...)`.

    `nothing_given` ends the paragraph about it in the command's help.
    """

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def wrapped(
            *arguments: Any,
            children: tuple[str, ...],
            groups: tuple[str, ...],
            labels: tuple[str, ...],
            everything: bool,
            **options: Any,
        ) -> Any:
            if everything and (children or groups or labels):
                raise UsageProblem("--all is every child, and something else was named besides", "give one of the two")
            return command(*arguments, selection=Selection(children, groups, labels, everything), **options)

        wrapped.__doc__ = inspect.cleandoc(command.__doc__ or "") + _HELP + nothing_given
        decorated: Function = wrapped
        for option in _OPTIONS:
            decorated = option(decorated)
        return decorated

    return decorate


_OPTIONS: Final[tuple[Callable[[Function], Function], ...]] = (
    click.option("--all", "everything", is_flag=True, help="Every child."),
    click.option(
        "--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Only with this label (repeatable: all)."
    ),
    click.option(
        "--group", "groups", multiple=True, metavar="GROUP", help="Only of this group (repeatable: any of them)."
    ),
    click.argument("children", nargs=-1, metavar="[CHILD or glob]..."),
)


def refuse_empty(selection: Selection, doing: str) -> None:
    """For commands that destroy: nobody may mean all by saying nothing."""
    if selection.is_empty:
        raise UsageProblem(f"name the children to {doing}, or give --all")
