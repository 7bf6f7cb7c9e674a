"""`fleet`: the group of all commands, what it prints when one fails, and the exit code.

Nothing heavy is imported here: a command's module is loaded when that command is asked for.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Final

import click

from reconciler import __version__
from reconciler.cli.options import shared_options
from reconciler.errors import FleetError

USAGE: Final = 64
INTERRUPTED: Final = 130
TERMINATED: Final = 143

# name -> (module:attribute, what `fleet --help` says)
COMMANDS: Final = {
    "init": ("reconciler.cli.files:init", "Start a fleet in this directory: its file, its state and its key."),
    "validate": ("reconciler.cli.files:validate", "Check the fleet file. Needs no secret and no network."),
    "plan": ("reconciler.cli.changes:plan", "Show what apply would do, and why."),
    "apply": ("reconciler.cli.changes:apply", "Make the fleet as the file says."),
    "destroy": ("reconciler.cli.changes:destroy", "Delete children, with their servers."),
    "status": ("reconciler.cli.look:status", "How healthy each child is."),
    "list": ("reconciler.cli.look:list_children", "The children and their servers."),
    "ssh": ("reconciler.cli.look:ssh", "A shell on a child's server."),
    "sandbox": ("reconciler.cli.sandbox:sandbox", "A cloud on this machine, to try everything without cost."),
}


class _Terminated(BaseException):
    """SIGTERM, on its way out."""


class LazyGroup(click.Group):
    """Knows its commands by COMMANDS and imports one when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleet")
@shared_options
def fleet(file: Path | None, state_dir: Path | None, no_color: bool | None) -> None:
    """Keeps a fleet of OpenClaw gateways as one file says."""


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminate)
    code = run(sys.argv[1:])
    if code in (INTERRUPTED, TERMINATED):
        # Threads may still wait for hosts. Every step may be cut off anywhere: the next apply goes on from there.
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Nothing leaves here as a traceback, unless FLEET_DEBUG is set."""
    try:
        code = fleet.main(list(arguments), prog_name="fleet", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return USAGE
    except FleetError as error:
        # Its import costs as much as click's, and help never fails.
        from reconciler.render.diagnostics import error_text

        click.echo(error_text(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except BrokenPipeError:
        return _without_reader()
    except Exception as error:
        return _bug(error)
    return code if isinstance(code, int) else 0


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _without_reader() -> int:
    """Whoever read our output has gone, as in `fleet list | head`. Python must not try to flush to it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _bug(error: Exception) -> int:
    """Only the type and the place: the text of an unforeseen error may carry anything, also a secret."""
    import traceback

    if os.environ.get("FLEET_DEBUG"):
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    click.echo(f"Error: {where}: this is a bug in fleet\n  Run it again with FLEET_DEBUG=1 and report it.", err=True)
    return 1
