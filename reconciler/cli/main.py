"""`fleet`: the group of all commands, what it prints when one fails, and the exit code.

Nothing heavy is imported here: a command's module is loaded when that command is asked for.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from reconciler import __version__
from reconciler.cli.options import shared_options
from reconciler.cli.streams import make_reliable
from reconciler.errors import FleetError, place_of

if TYPE_CHECKING:
    from reconciler.api import FleetClient

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
    "rollback": ("reconciler.cli.versions:rollback", "Bring children back to a version and memory of before."),
    "checkpoints": ("reconciler.cli.versions:checkpoints", "The copies of memory that hosts keep."),
    "quarantine": ("reconciler.cli.versions:quarantine", "Versions that the fleet keeps away from."),
    "backup": ("reconciler.cli.backup:backup", "Copies of memory off the hosts, sealed."),
    "restore": ("reconciler.cli.backup:restore", "Put a backup back, into the same child or another."),
    "hibernate": ("reconciler.cli.sleep:hibernate", "Keep children's memory, delete their servers: no more costs."),
    "wake": ("reconciler.cli.sleep:wake", "Bring them back, with their memory."),
    "drill": ("reconciler.cli.drill:drill", "Prove that backups can be restored, on throw-away servers."),
    "export": ("reconciler.cli.backup:export", "What a child remembers, for the user who leaves."),
    "restart": ("reconciler.cli.run:restart", "Start gateways anew, a few at a time, each proven before the next."),
    "start": ("reconciler.cli.run:start", "Start gateways that do not run."),
    "stop": ("reconciler.cli.run:stop", "End gateways, until somebody starts them."),
    "reboot": ("reconciler.cli.run:reboot", "Boot servers anew, a few at a time, where they need it."),
    "rebuild": ("reconciler.cli.rebuild:rebuild", "Give children a new server, with their memory."),
    "status": ("reconciler.cli.look:status", "How healthy each child is."),
    "resuscitate": ("reconciler.cli.resuscitate:resuscitate", "Bring children back, the least that may help first."),
    "diagnose": ("reconciler.cli.diagnose:diagnose", "What is wrong with a child, why, and what mends it."),
    "monitor": ("reconciler.cli.monitor:monitor", "What is wrong with the fleet, and who is told."),
    "monitor install": ("reconciler.cli.install:install", "Let it be looked at by systemd, cron, GitHub and others."),
    "dashboard": ("reconciler.cli.dashboard:dashboard", "The fleet in a browser of this machine."),
    "report": ("reconciler.cli.report:report", "The fleet on one page of HTML, to keep or to send."),
    "history": ("reconciler.cli.monitor:history", "How healthy a child was."),
    "alert": ("reconciler.cli.alert:alert", "Where alerts go: try it, and see what would be said."),
    "silence": ("reconciler.cli.alert:silence", "Hear nothing of children for a while."),
    "events": ("reconciler.cli.events:events", "Whether messages come and go, and the last of them."),
    "cost": ("reconciler.cli.cost:cost", "What the fleet costs in a month."),
    "config": (
        "reconciler.cli.configuring:config",
        "What gateways read, key by key; and how to change that.",
    ),
    "logs": ("reconciler.cli.logs:logs", "What gateways and their units have written."),
    "list": ("reconciler.cli.look:list_children", "The children and their servers."),
    "add": ("reconciler.cli.edit:add", "Write a child into the fleet file."),
    "remove": ("reconciler.cli.edit:remove", "Take children out of the fleet file."),
    "update": ("reconciler.cli.edit:update", "Bring children to a version of OpenClaw, in the file and then there."),
    "adopt": ("reconciler.cli.adopt:adopt", "Write into the fleet file what a host has besides."),
    "onboard": ("reconciler.cli.onboard:onboard", "From a child in the file to a user who gets answers."),
    "bot": ("reconciler.cli.bot:bot", "Telegram bots: give a child its token, ask who they are."),
    "pairing": ("reconciler.cli.pairing:pairing", "Who asks to talk to bots: let them in, or not."),
    "send": ("reconciler.cli.messages:send", "Let bots write to their users."),
    "exec": ("reconciler.cli.exec:execute", "Run a command on children's servers."),
    "ssh": ("reconciler.cli.look:ssh", "A shell on a child's server."),
    "tunnel": ("reconciler.cli.tunnel:tunnel", "The control UI of a child's gateway in your browser."),
    "ssh-config": ("reconciler.cli.ssh_config:ssh_config", "Let plain ssh reach the children by their names."),
    "import": ("reconciler.cli.records:import_server", "Bring an existing server under the fleet."),
    "import legacy": ("reconciler.cli.files:import_legacy", "Write the fleet file of what the original scripts made."),
    "journal": ("reconciler.cli.records:journal", "What was done, when, and how it ended."),
    "refresh": ("reconciler.cli.records:refresh", "Rebuild the records in state/ from the live hosts."),
    "key": ("reconciler.cli.key:key", "The fleet key: show, recover it, or export one that can only look."),
    "sandbox": ("reconciler.cli.sandbox:sandbox", "A cloud on this machine, to try everything without cost."),
}


SECTIONS: Final = {
    "The fleet as its file says": (
        *("init", "validate", "plan", "apply", "add", "update", "remove", "adopt", "destroy"),
        *("import", "import legacy"),
    ),
    "Looking": (
        *("list", "status", "diagnose", "logs", "events", "journal", "cost"),
        *("monitor", "monitor install", "dashboard", "report", "history", "alert", "silence"),
    ),
    "Users and their bots": ("onboard", "bot", "pairing", "send"),
    "Running": ("restart", "start", "stop", "reboot", "resuscitate", "rebuild", "config"),
    "Memory": (
        *("rollback", "checkpoints", "quarantine", "backup", "restore", "drill", "export"),
        *("hibernate", "wake"),
    ),
    "Hosts": ("exec", "ssh", "tunnel", "ssh-config"),
    "This directory": ("key", "refresh", "sandbox"),
}
EXIT_CODES: Final = (
    ("0", "done, or nothing to do"),
    ("1", "an error"),
    ("2", "something to do (plan --detailed-exitcode, config diff) or wrong (monitor, report, diagnose, bot check)"),
    ("3", "some children are done, others not"),
    ("4", "refused: by policy or protection, or nobody has said yes"),
    ("5", "another run holds the lock"),
    ("64", "the command line is wrong"),
)
# What others call it.
OTHER_WORDS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("doctor", "check", "why", "troubleshoot", "health", "inspect"), ("diagnose", "status")),
    **dict.fromkeys(("repair", "fix", "heal", "recover", "revive", "mend"), ("resuscitate", "diagnose")),
    **dict.fromkeys(("ls", "ps", "get", "show", "describe", "servers"), ("list", "status")),
    **dict.fromkeys(("deploy", "up", "sync", "create", "converge", "run"), ("apply", "plan")),
    **dict.fromkeys(("delete", "rm", "down", "terminate"), ("destroy", "remove")),
    **dict.fromkeys(("upgrade", "bump"), ("update",)),
    **dict.fromkeys(("downgrade", "undo", "revert"), ("rollback", "restore")),
    **dict.fromkeys(("sleep", "suspend", "pause", "archive"), ("hibernate", "stop")),
    **dict.fromkeys(("resume", "unpause"), ("wake", "start")),
    **dict.fromkeys(("replace", "recreate", "move"), ("rebuild",)),
    **dict.fromkeys(("message", "say", "tell", "broadcast"), ("send",)),
    **dict.fromkeys(("audit", "who"), ("journal",)),
    **dict.fromkeys(("uptime", "sla"), ("history",)),
    **dict.fromkeys(("watch", "poll"), ("monitor",)),
    **dict.fromkeys(("mute", "snooze", "acknowledge", "ack"), ("silence",)),
    **dict.fromkeys(("alerts", "notify", "notifications"), ("alert",)),
    **dict.fromkeys(("price", "bill", "costs", "budget"), ("cost",)),
    **dict.fromkeys(("approve", "users", "invite"), ("pairing", "onboard")),
    **dict.fromkeys(("diff", "preview"), ("plan",)),
    **dict.fromkeys(("tail",), ("logs",)),
    **dict.fromkeys(("console", "shell", "login"), ("ssh",)),
    **dict.fromkeys(("token",), ("bot",)),
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if " ".join(args[:2]) in COMMANDS:
            args = [" ".join(args[:2]), *args[2:]]
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = OTHER_WORDS.get(args[0].lower()) or difflib.get_close_matches(args[0], COMMANDS, 2)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", COMMANDS[name][1]) for name in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fleet")
@shared_options
def fleet(**shared: object) -> None:
    """Keeps a fleet of OpenClaw gateways as one file says."""


def main() -> None:
    """The console script."""
    make_reliable()
    signal.signal(signal.SIGTERM, _terminate)
    code = run(sys.argv[1:])
    if code in (INTERRUPTED, TERMINATED):
        # Threads may still wait for hosts. Every step may be cut off anywhere: the next apply goes on from there.
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str], opener: Callable[..., FleetClient] | None = None) -> int:
    """Run one command line; its exit code. Nothing leaves here as a traceback, unless FLEET_DEBUG is set.

    `opener` is used instead of FleetClient.load, by who brings a world of their own.
    """
    try:
        code = fleet.main(list(arguments), prog_name="fleet", standalone_mode=False, obj=opener)
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
    except OSError as error:
        return _output_lost() or _bug(error)
    except Exception as error:
        return _bug(error)
    return code if isinstance(code, int) else 0


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _without_reader() -> int:
    """Whoever read our output has gone, as in `fleet list | head`. Commands that change something go on."""
    from reconciler.cli.output import to_nowhere

    to_nowhere(sys.stdout)
    return 1


def _output_lost() -> int:
    """0 when that was not it, which one more line tells: where there is no place it fails too."""
    from reconciler.cli.output import to_nowhere

    try:
        click.echo()
    except OSError as error:
        click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
        to_nowhere(sys.stdout)
        return 1
    return 0


def _bug(error: Exception) -> int:
    """Only the type and the place, unless somebody wants to see it all."""
    if os.environ.get("FLEET_DEBUG"):
        import traceback

        traceback.print_exception(error)
    click.echo(
        f"Error: {place_of(error)}: this is a bug in fleet\n  Run it again with FLEET_DEBUG=1 and report it.", err=True
    )
    return 1
