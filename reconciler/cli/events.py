"""`fleet events`: do messages arrive?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.client import asked_of, declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.model import Activity

FOLLOW_EVERY = 2.0  # seconds between two looks


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("-n", "count", type=click.IntRange(0, 1000), default=10, show_default="10", help="Messages of each.")
@click.option("--texts", is_flag=True, help="And what they say. Nothing keeps it but your terminal.")
@click.option("-f", "--follow", is_flag=True, help="And then the messages that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each child, and for each look.")
@with_settings
def events(settings: Settings, selection: Selection, count: int, texts: bool, follow: bool, as_json: bool) -> int:
    """Whether messages come and go: fleet events alice -n 50

    When its gateway has last heard from Telegram, in and out, and the last messages: when, whose (-> to the bot, <-
    from it), in which conversation, and how long. Exit code 0: all have answered; 3: some; 1: none.
    """
    if selection.is_empty:
        raise UsageProblem("name the children, or give --all", "fleet events CHILD")
    client = open_client(settings)
    with client.lines(kept=follow) as lines:
        names = asked_of(lines, declared_of(client, selection), selection)
        well, troubled = 0, set[str]()
        for number, looked in enumerate(client.activities(names, lines, count, texts=texts, every=FOLLOW_EVERY)):
            well = sum(not (it.problem or it.silence) for it in looked)
            _name_silent(looked, troubled, with_gateways=number > 0)
            _show(looked, settings, client.clock.now(), as_json=as_json, is_first=number == 0)
            if not follow:
                break
    return 0 if well == len(names) else 3 if well else 1


def _name_silent(looked: list[Activity], troubled: set[str], *, with_gateways: bool) -> None:
    """Who does not answer, once, and that it does again; a first look shows beside the messages whose gateway it is."""
    from reconciler.render.text import harmless

    for it in looked:
        problem = it.problem or (it.silence if with_gateways or it.child in troubled else "")
        if problem and it.child not in troubled:
            troubled.add(it.child)
            click.echo(f"{it.child}: {harmless(problem)}", err=True)
        if not (it.problem or it.silence) and it.child in troubled:
            troubled.discard(it.child)
            click.echo(f"{it.child} answers again", err=True)


def _show(looked: list[Activity], settings: Settings, now: datetime, *, as_json: bool, is_first: bool) -> None:
    from reconciler.render.events import activity_json, activity_lines, message_line
    from reconciler.render.text import json_text

    for activity in looked:
        if as_json:
            if is_first or activity.messages:
                click.echo(json_text(activity_json(activity), indent=None))
        elif is_first and not activity.problem:
            show_lines(activity_lines(activity, now), settings)
        else:
            show_lines(((f"{activity.child} | {message_line(it)}", None) for it in activity.messages), settings)
