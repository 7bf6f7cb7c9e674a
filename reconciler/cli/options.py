"""The options that commands share. They may stand before or after the command's name; after wins."""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FILE = "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the fleet is, and what its file may ask for. `color` is true on a terminal that nobody wants plain.

    `allow_sources` and `allow_cmd` are as secrets/allowed.py takes them.
    """

    file: Path
    state_dir: Path
    color: bool
    allow_sources: str | None = None
    allow_cmd: tuple[str, ...] = ()


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declares the options and no more: for the group, whose values with_settings finds again."""
    for option in (
        click.option("--no-color", is_flag=True, default=None, help="Plain text also on a terminal (NO_COLOR)."),
        click.option(
            "--allow-cmd",
            multiple=True,
            metavar="PROGRAM",
            help="A program that cmd: references may run (repeatable; FLEET_ALLOW_CMD).",
        ),
        click.option(
            "--allow-sources",
            metavar="KIND,...",
            help="The only kinds of secret references that the fleet file may use (FLEET_ALLOW_SOURCES).",
        ),
        click.option(
            "--state-dir",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="The journal and records (FLEET_STATE_DIR; state/ beside the fleet file).",
        ),
        click.option(
            "--file", type=click.Path(path_type=Path), metavar="PATH", help=f"The fleet file (FLEET_FILE; {FILE})."
        ),
    ):
        command = option(command)
    return command


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """For a command: adds the shared options and calls it with a Settings first.

    @click.command()
    @with_settings
    def validate(settings: Settings) -> None: ...
    """

    @functools.wraps(command)
    def wrapped(
        file: Path | None,
        state_dir: Path | None,
        allow_sources: str | None,
        allow_cmd: tuple[str, ...],
        no_color: bool | None,
        **arguments: Any,
    ) -> Any:
        _refuse_a_log_that_cannot_be_written()
        return command(_settings(file, state_dir, allow_sources, allow_cmd, no_color), **arguments)

    return shared_options(wrapped)


def _settings(
    file: Path | None, state_dir: Path | None, allow_sources: str | None, allow_cmd: tuple[str, ...], plain: bool | None
) -> Settings:
    before = click.get_current_context().find_root().params
    file = file or before.get("file") or Path(os.environ.get("FLEET_FILE") or FILE)
    named = state_dir or before.get("state_dir") or os.environ.get("FLEET_STATE_DIR")
    plain = bool(plain or before.get("no_color") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")
    return Settings(
        file=file,
        state_dir=Path(named) if named else file.parent / "state",
        color=not plain and sys.stdout.isatty(),
        allow_sources=allow_sources if allow_sources is not None else before.get("allow_sources"),
        allow_cmd=(*before.get("allow_cmd", ()), *allow_cmd),
    )


def _refuse_a_log_that_cannot_be_written() -> None:
    """Before anything happens, not when the first line is due."""
    if os.environ.get("FLEET_LOG"):
        from reconciler.log import get_log

        get_log()


def with_consent(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--yes`; `what` is the command's verb."""
    text = f"{what} without asking: else the plan is shown, and nothing is done before you agree."
    return click.option("--yes", "-y", "yes", is_flag=True, help=text)


class Commands(click.Group):
    """A group that says which commands it has, where it is asked for another."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        there = self.list_commands(ctx)
        if args and args[0] not in there and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], there, 2)
            meant = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(there)}."
            ctx.fail(f"There is no command {args[0]!r} here. {meant}")
        return super().resolve_command(ctx, args)
