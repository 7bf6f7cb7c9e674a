"""`fleet tunnel`: the control UI of a child's gateway in a browser of this machine."""

from __future__ import annotations

import socket
from typing import Final

import click

from reconciler.cli.client import open_client
from reconciler.cli.look import server_of
from reconciler.cli.options import Settings, with_settings
from reconciler.errors import HostTimedOut, UsageProblem

LOOPBACK: Final = "127.0.0.1"
LOOK: Final = 1.0  # seconds


@click.command()
@click.argument("child")
@click.option("--port", type=click.IntRange(1, 65535), help="The port here; else one that is free.")
@with_settings
def tunnel(settings: Settings, child: str, port: int | None) -> int:
    """Reach the control UI of a child's gateway through SSH, until Ctrl-C.

    Its token is handed to your browser by a link that works once, and is shown nowhere.
    """
    from reconciler.handing import handed_over
    from reconciler.managed.files import PORT

    client = open_client(settings)
    server = server_of(client, child)
    here = _free(port)
    host = client.connect(server)
    try:
        address = f"http://{LOOPBACK}:{here}/"
        with (
            host.forwarding(here, PORT),
            handed_over(address, client.gateway_token(server), client.clock.token() + client.clock.token()) as link,
        ):
            client.note("tunnel-opened", child=child)
            click.echo(f"{child}: {address}\nOpen this, once: {link}\nCtrl-C closes the tunnel.")
            while host.is_open:
                client.clock.sleep(LOOK)
    finally:
        host.close()
    raise HostTimedOut(f"{child}: the connection broke off", f"open it again: fleet tunnel {child}")


def _free(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port or 0))
        except OSError as error:
            raise UsageProblem(f"--port {port}: {error.strerror}", "name another, or none at all") from error
        return int(probe.getsockname()[1])
