"""`fleet import`, `fleet journal`, `fleet refresh`: what comes under the fleet, and what is written down about it."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from reconciler.cli.ages import age_of
from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines, whoever_reads
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

_HOST_KEY = re.compile(r"ssh-ed25519 (AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43})(?: .*)?")  # 32 bytes of key
_NO_HOST_KEY = """\
without the server's host key nobody can tell whether it is the server that answers
log in to its console at the cloud, run: cat /etc/ssh/ssh_host_ed25519_key.pub
and give what it says: --host-key "ssh-ed25519 AAAA..."
ssh-keyscan is no proof: it asks over the network, where somebody else may answer"""


@click.command("import")
@click.argument("server", metavar="NAME_OR_ID")
@click.option("--as", "child", required=True, metavar="CHILD", help="The child of the fleet file that it becomes.")
@click.option(
    "--identity", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Your private key that gets in."
)
@click.option(
    "--host-key", metavar='"ssh-ed25519 AAAA..."', help="The server's own public key, read on its console.  [required]"
)
@click.option("--user", default="root", show_default=True, metavar="NAME", help="Who you log in as; root, or sudo -n.")
@click.option("--port", default=22, show_default=True, type=click.IntRange(1, 65535), help="Where its sshd listens.")
@click.option("--take-over", is_flag=True, help="Also a server that another fleet key has labelled as its own.")
@with_settings
def import_server(
    settings: Settings,
    server: str,
    child: str,
    identity: Path,
    host_key: str | None,
    user: str,
    port: int,
    take_over: bool,
) -> int:
    """Bring an existing server under the fleet, as CHILD.

    The server gets this fleet's login account, host key, name and labels; what else is on it is not touched yet. The
    next `fleet apply` makes it like any other child. If an import is cut off, run it again.
    """
    from reconciler.importing import Request
    from reconciler.render.imported import imported_lines
    from reconciler.secrets import identity as identity_file

    key = _checked_host_key(host_key)
    client = open_client(settings)
    secret = identity_file.read(identity, _ask_passphrase)
    request = Request(server, child, secret, key, user, port, take_over)
    with whoever_reads(), client.lock("fleet import"):
        done = client.take_in(request)
        show_lines(imported_lines(done.child, done.server, done.survey), settings)
    return 0


@click.command()
@click.argument("child", required=False)
@click.option(
    "-n", "count", type=click.IntRange(1), default=50, show_default=True, help="How many lines, from the end."
)
@click.option("--since", metavar="WHEN", help="From then on: 2026-11-22, 2026-11-22T14:00, 90m, 12h or 7d (UTC).")
@click.option("--until", metavar="WHEN", help="Only what was before then; the same words.")
@click.option("--json", "as_json", is_flag=True, help="The events as JSON, one a line.")
@with_settings
def journal(
    settings: Settings, child: str | None, count: int, since: str | None, until: str | None, as_json: bool
) -> int:
    """What was done from this directory, when, by which run, and how it ended. Needs no key and no network."""
    from reconciler.api import read_journal
    from reconciler.render.journal import event_json, event_line, is_about, is_since
    from reconciler.render.text import json_text

    start, end = _moment(since, "--since"), _moment(until, "--until")
    about = (event for event in read_journal(settings.state_dir) if is_about(event, child))
    events = [it for it in about if is_since(it, start) and (end is None or not is_since(it, end))][-count:]
    if not events and not as_json:
        whom = "" if child is None else f" about {child}"
        click.echo(f"Nothing in the journal{whom}{'' if start is None and end is None else ' in that time'}.")
    for event in events:
        if as_json:
            click.echo(json_text(event_json(event), indent=None))
        else:
            show_lines([event_line(event)], settings)
    return 0


@click.command()
@with_selection(NONE_IS_ALL)
@with_settings
def refresh(settings: Settings, selection: Selection) -> int:
    """Rebuild the records in state/ from what the hosts say. Changes nothing else; needed when state/ was lost."""
    from reconciler.render.text import count_text, harmless

    client = open_client(settings)
    with client.lock("fleet refresh"):
        found = client.refresh(names_of(client, selection))
    click.echo(f"Rebuilt {count_text(len(found.rebuilt), 'record')}.")
    for name, why in found.kept.items():
        click.echo(f"  {name}: left as it was: {harmless(why)}")
    for name in found.forgotten:
        click.echo(f"  {name}: forgotten, it has no server")
    is_some = bool(found.rebuilt or found.forgotten)
    return 0 if not found.kept else 3 if is_some else 1


def _checked_host_key(text: str | None) -> str:
    if text is None:
        raise UsageProblem(*_NO_HOST_KEY.split("\n", 1))
    found = _HOST_KEY.fullmatch(text.strip())
    if found is None:
        raise UsageProblem(
            "--host-key is not an Ed25519 public key",
            "it begins with ssh-ed25519 AAAA and stands in /etc/ssh/ssh_host_ed25519_key.pub on the server",
        )
    return f"ssh-ed25519 {found[1]}"


def _ask_passphrase() -> str:
    if not sys.stdin.isatty():
        raise UsageProblem(
            "the identity has a passphrase, and there is no terminal to ask for it",
            "run it on a terminal, or name an identity without one",
        )
    answer: str = click.prompt("Passphrase of the identity", hide_input=True, err=True)
    return answer


def _moment(since: str | None, option: str) -> datetime | None:
    if since is None:
        return None
    if (ago := age_of(since)) is not None:
        return _before_now(ago)
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise UsageProblem(
            f"{option} {since} is no time", "write 2026-11-22, 2026-11-22T14:00, 90m, 12h or 7d"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _before_now(time: timedelta) -> datetime:
    """Longer ago than there are dates is the first of them."""
    try:
        return datetime.now(UTC) - time
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
