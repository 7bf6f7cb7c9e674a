"""`fleet dashboard`: the fleet in a browser of this machine."""

from __future__ import annotations

import importlib.util
import secrets
import socket

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.passes import open_history
from reconciler.errors import UsageProblem

LOOPBACK = "127.0.0.1"
EXTRA = ("starlette", "uvicorn")  # pyproject's extra "dashboard"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="The port here; else one that is free.")
@with_settings
def dashboard(settings: Settings, port: int | None) -> int:
    """Look again and again, and show the fleet to a browser of this machine, until Ctrl-C.

    Every child with what is wrong and what mends it, how it was, its log and what was done. It changes nothing, tells
    nobody and brings nobody back. Nobody gets in without the link that it prints; from elsewhere: ssh -L.
    """
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageProblem(
            f"the dashboard needs Python packages that are not installed: {', '.join(missing)}",
            "install them, in the directory of OpenClaw Deploy: pip install '.[dashboard]'",
        )
    import uvicorn

    from reconciler.dashboard import Watch, build_app, interval_of
    from reconciler.model import Secret

    client = open_client(settings, only_looks=True)
    with _listening(port) as listener:
        here = listener.getsockname()[1]
        token = Secret(secrets.token_urlsafe(24))
        watch = Watch(client, open_history(settings), interval_of(client).total_seconds())
        hosts = frozenset(f"{name}:{here}" for name in (LOOPBACK, "localhost"))
        config = uvicorn.Config(build_app(watch, token, hosts), log_level="error", access_log=False, lifespan="off")
        watch.start()
        click.echo(f"Open this: http://{LOOPBACK}:{here}/?token={token.reveal()}\nCtrl-C ends it.")
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            watch.stop()
    return 0


def _listening(port: int | None) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port or 0))
    except OSError as error:
        listener.close()
        raise UsageProblem(f"--port {port}: {error.strerror}", "name another, or none at all") from error
    return listener
