"""`fleet status`, `fleet list`, `fleet ssh`: looking at what is there."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_table
from reconciler.errors import FleetError

if TYPE_CHECKING:
    from reconciler.api import FleetClient


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def status(settings: Settings, as_json: bool) -> int:
    """Health and sync of every child: does its user get an answer, and is it as the file says?"""
    from reconciler.render.status import status_json, status_table

    planned = _client(settings).plan()
    if as_json:
        click.echo(json.dumps(status_json(planned.children, planned.plan.sync), indent=2))
    else:
        show_table(status_table(planned.children, planned.plan.sync), settings)
    return 0


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def list_children(settings: Settings, as_json: bool) -> int:
    """Every child and its server as the cloud lists it: one request, no SSH."""
    from reconciler.render.status import server_json, server_table

    servers = _client(settings).servers()
    if as_json:
        click.echo(json.dumps(server_json(servers), indent=2))
    else:
        show_table(server_table(servers), settings)
    return 0


@click.command()
@click.argument("child")
@click.argument("command", nargs=-1)
@with_settings
def ssh(settings: Settings, child: str, command: tuple[str, ...]) -> int:
    """A shell on a child's host, or one command there: fleet ssh alice -- sudo journalctl -n 20"""
    client = _client(settings)
    servers = client.servers()
    server = servers.get(child)
    if server is None:
        there = ", ".join(sorted(name for name, found in servers.items() if found)) or "none"
        raise FleetError(f"there is no server of a child named {child}", f"children with a server: {there}")
    host = client.connect(server)
    try:
        if not command:
            return host.interact()
        from reconciler.model import Command
        from reconciler.wire import OUTPUT_LIMIT

        answer = host.run(Command("your command", shlex.join(command), timeout=600.0, as_root=False, check=False))
    finally:
        host.close()
    sys.stdout.buffer.write(answer.stdout)
    sys.stderr.buffer.write(answer.stderr)
    if len(answer.stdout) >= OUTPUT_LIMIT:
        click.echo(f"\nOnly the first {OUTPUT_LIMIT} bytes are shown: send more into a file on the host.", err=True)
        return answer.exit_code or 1
    return answer.exit_code


def _client(settings: Settings) -> FleetClient:
    from reconciler.api import FleetClient

    return FleetClient.load(settings.file, settings.state_dir)
