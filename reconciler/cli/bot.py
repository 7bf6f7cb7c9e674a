"""`fleet bot`: the Telegram bots of children."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import consent, refuse_questions, show_plan
from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Commands, Settings, with_settings
from reconciler.cli.output import LastingOutput, show_table, whoever_reads
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.model import Secret
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import BotIdentity

_LONGEST = 4096  # bytes that are read from a pipe: a token has 46


@click.group(cls=Commands)
def bot() -> None:
    """The Telegram bots of children: @BotFather makes them, and each child has one of its own."""


@bot.command()
@click.argument("child")
@click.option("--yes", "-y", is_flag=True, help="In the place of another bot without asking.")
@click.option("--json", "as_json", is_flag=True, help="The bot and the plan as JSON on standard output; with --yes.")
@with_settings
def token(settings: Settings, child: str, yes: bool, as_json: bool) -> int:
    """Give a child its bot: reads the token from standard input, or asks for it without showing it.

    Telegram is asked whose it is, and whether anybody else uses that bot; then the token is written where the fleet
    file says (`bot: {token: file:PATH}`), and what that changes is planned.
    """
    from reconciler.render.bots import given_json
    from reconciler.render.plan import plan_json
    from reconciler.render.text import json_text

    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    client.bots().place(child)
    given = given_token()
    with whoever_reads() as output, client.lock("fleet bot token"):
        with contextlib.redirect_stdout(sys.stderr if as_json else output):
            identity = give(client, child, given, yes, output)
        planned = client.plan([child])
        if as_json:
            click.echo(json_text({"bot": given_json(child, identity), "plan": plan_json(planned.plan)}))
            return 0
        show_plan(settings, planned)
        if not planned.plan.is_empty:
            click.echo(f"\nTo do that: fleet apply {child}")
    return 0


@bot.command()
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def check(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Ask Telegram who the bots of children are, and what keeps them from answering. Exit code 2: something does."""
    from reconciler.render.bots import bot_json, bot_table
    from reconciler.render.text import json_text

    client = open_client(settings)
    checked = client.bots().check(declared_of(client, selection))
    if as_json:
        click.echo(json_text(bot_json(checked)))
    else:
        show_table(bot_table(checked), settings)
    return 2 if any(found.findings for found in checked) else 0


def give(client: FleetClient, child: str, given: Secret, yes: bool, output: LastingOutput) -> BotIdentity:
    """The child has this bot from now on. The caller holds the lock. Raises what Bots does, Refused without consent."""
    from reconciler.render.text import harmless

    bots = client.bots()
    place, identity = bots.place(child), bots.judge(child, given)
    show_bot = harmless(f"@{identity.username} ({identity.name}), {identity.link}")
    if (before := bots.before(child)) not in ("", f"the bot {identity.id}"):
        consent(f"{child} has {before} now. Give it {show_bot} instead?", yes, output)
    bots.keep(child, given, identity)
    click.echo(f"{child} has {show_bot}\nIts token is in {place}, and you alone can read it.\n")
    return identity


def given_token() -> Secret:
    """From a pipe all that it holds, without its line's end; from a person one hidden line."""
    if sys.stdin.isatty():
        text = click.prompt("Token from @BotFather", hide_input=True, err=True)
    else:
        text = sys.stdin.buffer.read(_LONGEST).decode("utf-8", "replace")
    if not text.strip():
        raise UsageProblem("no token was given", "pipe it in: fleet bot token CHILD < FILE; or run this on a terminal")
    return Secret(text.strip())
