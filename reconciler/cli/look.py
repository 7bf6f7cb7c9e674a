"""`fleet status`, `fleet list`, `fleet ssh`: looking at what is there."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import names_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_table
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import Server


@click.command()
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def status(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Health and sync of children: does its user get an answer, and is it as the file says?"""
    from reconciler.render.status import status_json, status_table
    from reconciler.render.text import json_text

    client = open_client(settings)
    planned = client.plan(names_of(client, selection))
    trials, problems = client.keeper().trials(planned.children)
    if as_json:
        click.echo(json_text(status_json(planned.children, planned.plan.sync, None if problems else trials)))
    else:
        show_table(status_table(planned.children, planned.plan.sync, trials), settings)
    for problem in problems:
        click.echo(f"Warning: nobody can tell when a backup was last proven: {problem}", err=True)
    return 0


@click.command("list")
@with_selection(NONE_IS_ALL)
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def list_children(settings: Settings, selection: Selection, as_json: bool) -> int:
    """Children and their servers as the cloud lists them: one request, no SSH."""
    from reconciler.ownership import Owned
    from reconciler.render.status import server_json, server_table
    from reconciler.render.text import json_text
    from reconciler.selection import resolve

    client = open_client(settings)
    there = client.owned()
    known = {name: found.server for name, found in there.items()}
    servers = {name: there.get(name, Owned()) for name in resolve(selection, client.fleet.children, known)}
    if as_json:
        click.echo(json_text(server_json(servers)))
    else:
        show_table(server_table(servers), settings)
    return 0


@click.command()
@click.argument("child")
@click.argument("command", nargs=-1)
@with_settings
def ssh(settings: Settings, child: str, command: tuple[str, ...]) -> int:
    """A shell on a child's host, or one command there: fleet ssh alice -- sudo journalctl -n 20"""
    from reconciler.cli.exec import program_of

    client = open_client(settings)
    host = client.connect(server_of(client, child))
    program, code = program_of(command[0]) if command else "a shell", None
    client.note("command-intended", child=child, program=program)
    try:
        if not command:
            code = host.interact()
            return code
        from reconciler.commands.shell import plain
        from reconciler.wire import OUTPUT_LIMIT

        answer = host.run(plain(command, 600.0))
        code = answer.exit_code
    finally:
        host.close()
        client.note("command-run", child=child, program=program, exit_code=code)
    sys.stdout.buffer.write(answer.stdout)
    sys.stderr.buffer.write(answer.stderr)
    if len(answer.stdout) >= OUTPUT_LIMIT:
        click.echo(f"\nOnly the first {OUTPUT_LIMIT} bytes are shown: send more into a file on the host.", err=True)
        return answer.exit_code or 1
    return answer.exit_code


def server_of(client: FleetClient, child: str) -> Server:
    servers = {name: server for name, server in client.servers().items() if server is not None}
    if child in servers:
        return servers[child]
    near = difflib.get_close_matches(child, servers)
    there = f"did you mean {near[0]}?" if near else f"children with a server: {', '.join(sorted(servers)) or 'none'}"
    raise UsageProblem(f"there is no server of a child named {child}", there)
