"""`fleet pairing`: who asks to talk to bots, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import consent, refuse_questions
from reconciler.cli.client import asked_of, declared_of, open_client
from reconciler.cli.options import Commands, Settings, with_settings
from reconciler.cli.output import show_table, whoever_reads
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.model import PairingRequest
    from reconciler.pairings import Pairings

answer_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Who was answered as JSON on standard output; with --yes."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Without asking.")


@click.group(cls=Commands)
def pairing() -> None:
    """Who asks to talk to bots (`users: {policy: pairing}`): a stranger is told a code, and waits for an hour."""


@pairing.command("list")
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def list_requests(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Who asks now, and who else has been let in.

    Those are in no fleet file: `fleet adopt` writes them there. Exit code 3: somebody could not be asked.
    """
    from reconciler.render.pairings import access_json, odd_lines, request_table, stranger_lines
    from reconciler.render.text import json_text

    client = open_client(settings)
    with client.lines(kept=False) as lines:
        looked = client.pairings(lines).look(asked_of(lines, declared_of(client, selection), selection))
    if as_json:
        click.echo(json_text({access.child: access_json(access) for access in looked}))
        return 3 if any(access.problem for access in looked) else 0
    if any(access.requests or access.problem for access in looked):
        show_table(request_table(looked), settings)
    else:
        click.echo("Nobody asks.")
    for line in odd_lines(looked):
        click.echo(line, err=True)
    if told := list(stranger_lines(looked)):
        click.echo("\n" + "\n".join(told))
        click.echo("To have the fleet file say so, too: fleet adopt CHILD users")
    return 3 if any(access.problem for access in looked) else 0


@pairing.command()
@with_selection("None of these means all children, of which one is asked with this code.")
@click.argument("code", metavar="CODE|USER")
@click.option("--notify", is_flag=True, help="Let the bot tell them.")
@yes_option
@answer_json_option
@with_settings
def approve(settings: Settings, selection: Selection, code: str, notify: bool, yes: bool, as_json: bool) -> int:
    """Let somebody talk to a bot: fleet pairing approve alice HDMC3TZP. The last word is their code, or Telegram id.

    They may talk to it, and do not become its owner: that is who the fleet file names. What they may do else is as
    the gateway's configuration says.
    """
    from reconciler.render.pairings import who

    refuse_questions(yes=yes, as_json=as_json)
    pairings, request = _sought(settings, selection, code, beside=as_json)
    with whoever_reads() as output:
        consent(f"{request.child}: let {who(request)} talk to the bot?", yes, output)
        told = pairings.approve(request, notify=notify)
        _answered(request, f"{who(request)} may talk to {request.child} now.", as_json=as_json, is_told=told)
        if notify and not told:
            click.echo("The bot could not tell them so.", err=True)
    return 0


@pairing.command()
@with_selection("None of these means all children, of which one is asked with this code.")
@click.argument("code", metavar="CODE|USER")
@yes_option
@answer_json_option
@with_settings
def deny(settings: Settings, selection: Selection, code: str, yes: bool, as_json: bool) -> int:
    """Do away with a request: fleet pairing deny alice HDMC3TZP. They are told nothing, and may ask again."""
    from reconciler.render.pairings import who

    refuse_questions(yes=yes, as_json=as_json)
    pairings, request = _sought(settings, selection, code, beside=as_json)
    with whoever_reads() as output:
        consent(f"{request.child}: turn {who(request)} away?", yes, output)
        pairings.deny(request)
        _answered(request, f"{who(request)} does not ask {request.child} any more.", as_json=as_json, is_told=False)
    return 0


@pairing.command()
@with_selection(NONE_IS_ALL)
@click.option(
    "--every", type=click.IntRange(1, 3600), default=5, show_default="5", metavar="SECONDS", help="Between looks."
)
@click.option("--timeout", type=click.IntRange(0), metavar="SECONDS", help="End after so long; else with Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Each change as a line of JSON.")
@with_settings
def watch(settings: Settings, selection: Selection, every: int, timeout: int | None, as_json: bool) -> int:
    """Say who asks as soon as they do, over connections that stay open."""
    from reconciler.render.pairings import news_json, news_line
    from reconciler.render.text import json_text

    client = open_client(settings)
    with client.lines(kept=True) as lines:
        names = asked_of(lines, declared_of(client, selection), selection)
        if not names:
            raise UsageProblem("none of them has a server", "fleet list says who has one")
        for news in client.pairings(lines).watch(names, every, timeout):
            click.echo(json_text(news_json(news), indent=None) if as_json else news_line(news))
    return 0


def _answered(request: PairingRequest, said: str, *, as_json: bool, is_told: bool) -> None:
    from reconciler.render.pairings import request_json
    from reconciler.render.text import json_text

    click.echo(json_text({**request_json(request), "is_told": is_told}) if as_json else said)


def _sought(settings: Settings, selection: Selection, code: str, *, beside: bool) -> tuple[Pairings, PairingRequest]:
    from reconciler.pairings import find

    client = open_client(settings, beside=beside)
    with client.lines(kept=False) as lines:
        found = find(client.pairings(lines).look(asked_of(lines, declared_of(client, selection), selection)), code)
    return client.pairings(), found
