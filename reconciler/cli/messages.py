"""`fleet send`: messages from bots to their users."""

from __future__ import annotations

import sys

import click

from reconciler.cli.changes import consent
from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_table, whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, with_selection
from reconciler.errors import UsageProblem
from reconciler.model import LARGEST_USER, Recipients
from reconciler.selection import Selection

_USER = click.IntRange(1, LARGEST_USER)
_LONGEST = 1 << 20  # bytes that are read from a pipe


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.argument("text")
@click.option("--owner", is_flag=True, help="To the owner that the fleet file names.")
@click.option("--everybody", is_flag=True, help="To the owner, and to all that the file allows.")
@click.option("--user", "users", multiple=True, type=_USER, metavar="ID", help="To this Telegram user.")
@click.option("--plain", is_flag=True, help="The text as it is, not as a template.")
@click.option("--dry-run", is_flag=True, help="Show who would get which text, and send nothing.")
@click.option("--yes", "-y", is_flag=True, help="To several users without asking.")
@click.option("--json", "as_json", is_flag=True, help="What became of each message, as JSON on standard output.")
@with_settings
def send(
    settings: Settings,
    selection: Selection,
    text: str,
    owner: bool,
    everybody: bool,
    users: tuple[int, ...],
    plain: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Let bots write to their users: fleet send alice --owner "Hello". The last word is the text, or - for a pipe's.

    The text is a template: {{ name }}, {{ fleet }}, {{ group }}, {{ region }}, {{ labels.KEY }} and {{ users.owner }}
    are each child's own. Who has never written to a bot cannot be written to. Texts are kept nowhere.
    """
    from reconciler.messages import letters
    from reconciler.render.messages import delivery_json, delivery_table, letter_json, letter_lines
    from reconciler.render.text import json_text

    if selection.is_empty:
        raise UsageProblem("nobody is named, or there is no text", 'fleet send CHILD --owner "Hello"; or --all')
    to = Recipients(owner, everybody, users)
    if to.is_empty:
        raise UsageProblem("nobody is said to get it", "give --owner, --everybody or --user ID")
    client = open_client(settings)
    names, words = declared_of(client, selection), _piped() if text == "-" else text
    written, nobody = letters(client.fleet, names, words, to, plain=plain)
    if dry_run:
        click.echo(json_text(letter_json(written, nobody)) if as_json else "\n".join(letter_lines(written, nobody)))
        return 3 if nobody else 0
    with whoever_reads() as output:
        if len(written) > 1:
            children = len({letter.child for letter in written})
            consent(f"Send this to {len(written)} users of {children} children?", yes, output)
        done = [*client.send(written), *nobody]
        if as_json:
            click.echo(json_text(delivery_json(done)))
        else:
            show_table(delivery_table(done), settings)
    sent = sum(bool(delivery.message) for delivery in done)
    return 0 if sent == len(done) else 3 if sent else 1


def _piped() -> str:
    try:
        return sys.stdin.buffer.read(_LONGEST).decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise UsageProblem("what came from the pipe is no text in UTF-8", "send text") from error
