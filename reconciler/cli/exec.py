"""`fleet exec`: one command on the servers of many children."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.client import open_client, with_server
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.commands.shell import plain
from reconciler.errors import FleetError, UsageProblem
from reconciler.model import Completed
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.ports import Host

_SECONDS = click.FloatRange(1, 3600)


class _WithCommand(click.Command):
    """What stands behind the first -- is the command, whatever it looks like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta["command"] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


@click.command("exec", cls=_WithCommand)
@with_selection(NONE_IS_REFUSED)
@click.option("--timeout", default=60.0, show_default=True, type=_SECONDS, help="Seconds for each.")
@click.option("--json", "as_json", is_flag=True, help="Exit code and output of each, as JSON on standard output.")
@with_settings
def execute(settings: Settings, selection: Selection, timeout: float, as_json: bool) -> int:
    """Run a command on the servers of children, all at once: fleet exec --all -- sudo systemctl status openclaw-gateway

    It gets its words as they are, no shell and no standard input; `sh -c "..."` gives it one. Output comes when it has
    ended, child by child, at most 1 MiB of each. Exit code 0: all ended with 0; 3: some did; 1: none.
    """
    from reconciler.render.exec import answer_json, answer_lines
    from reconciler.render.text import json_text

    words: tuple[str, ...] = click.get_current_context().meta.get("command", ())
    if selection.is_empty:
        raise UsageProblem("name the children, or give --all", "fleet exec CHILD -- COMMAND")
    if not words:
        raise UsageProblem("there is no command", "it stands behind --: fleet exec CHILD -- COMMAND")
    client = open_client(settings)
    wanted = plain(words, timeout)

    def run(name: str, host: Host) -> Completed:
        client.note("command-intended", child=name, program=program_of(words[0]))
        code = None
        try:
            answer = host.run(wanted)
            code = answer.exit_code
            return answer
        finally:
            client.note("command-run", child=name, program=program_of(words[0]), exit_code=code)

    answers = client.on_each(with_server(client, client.select(selection), selection), run)
    if as_json:
        click.echo(json_text(answer_json(answers)))
    else:
        show_lines(answer_lines(answers), settings)
    well = sum(_code(answer) == 0 for answer in answers.values())
    return 0 if answers and well == len(answers) else 3 if well else 1


def program_of(word: str) -> str:
    """For the journal: what is no program's name may be a whole line, with a secret in it."""
    return word if re.fullmatch(r"[A-Za-z0-9_./+-]{1,100}", word) else "(no plain name)"


def _code(answer: Completed | FleetError) -> Any:
    """None where it did not end."""
    return None if isinstance(answer, FleetError) else answer.exit_code
