"""`fleet sandbox`: real machines and a cloud API on this computer, without any account."""

from __future__ import annotations

import importlib.util
import shlex
import textwrap
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Commands
from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.faults import RULES, checked

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from reconciler.sandbox.client import SandboxClient
    from reconciler.sandbox.emulator.faults import Fault
    from reconciler.sandbox.info import SandboxInfo
    from reconciler.sandbox.lifecycle import Status

KINDS = [kind.value for kind in RULES]
EXTRA = ("asyncssh", "httpx", "starlette", "uvicorn")  # pyproject's extra "sandbox"


def _explain_kinds() -> str:
    """The table of faults as click shows a text that it must not wrap."""
    lines = ["\b", "Kinds:"]
    for kind, rule in RULES.items():
        value = " VALUE" if rule.value[0] else ""
        lines.append(f"  {kind} ON{value}")
        lines += textwrap.wrap(rule.does, 76, initial_indent="      ", subsequent_indent="      ")
        lines += _wrapped("ON", rule.on[0]) + _wrapped("VALUE", rule.value[0])
    examples = [
        "set refuse 'POST /servers' resource_unavailable --times 3",
        "set drop 'POST /servers'",
        "set stock 'cx23@*' sold-out",
        "set slow change_server_type 20",
        "set limit servers 5",
    ]
    return "\n".join([*lines, "\n\b", "Examples:", *(f"  fleet sandbox fault {example}" for example in examples)])


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, 76, initial_indent=f"      {name}: ", subsequent_indent="        ") if text else []


@click.group(cls=Commands)
def sandbox() -> None:
    """A cloud on this computer, without any account: its API, and machines, real or simulated (Linux, root)."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise SandboxError(
            f"the sandbox needs Python packages that are not installed: {', '.join(missing)}",
            "Install them, in the directory of OpenClaw Deploy: pip install '.[sandbox]'",
        )


@sandbox.command()
@click.option("--subnet", metavar="A.B.C.0/24", help="The machines' network; a free private one is chosen otherwise.")
@click.option("--simulated", is_flag=True, help="Simulated machines: hundreds, and nothing real runs on them.")
def up(subnet: str | None, simulated: bool) -> None:
    """Build what is missing and start the sandbox. The first time takes a minute or two."""
    from reconciler.sandbox import lifecycle
    from reconciler.sandbox.paths import Paths

    info, started = lifecycle.up(Paths.default(), _say, _network(subnet), simulated)
    state = "is up" if started else "is up already"
    click.echo(f"The sandbox {state}: cloud API {info.endpoint}, machines in {info.subnet}.")
    _announce(info)
    click.echo(
        'Use it with `cloud: {provider: sandbox}` in fleet.yaml, or `eval "$(fleet sandbox status --env)"` for hcloud.'
    )


@sandbox.command()
@click.option("--env", "as_environment", is_flag=True, help="Print shell lines for hcloud; they contain the token.")
def status(as_environment: bool) -> None:
    """How the sandbox is and which machines it has."""
    from reconciler.sandbox import lifecycle
    from reconciler.sandbox.paths import Paths

    paths = Paths.default()
    found = lifecycle.status(paths)
    if not as_environment:
        _show(found)
    elif found.info is None:
        raise SandboxError("no sandbox is up on this machine", "Start one: `fleet sandbox up`.")
    else:
        click.echo(f"export HCLOUD_ENDPOINT={shlex.quote(found.info.endpoint)}")
        click.echo(f"export HCLOUD_TOKEN={shlex.quote(paths.token.read_text().strip())}")


@sandbox.command(short_help="The end of the daemon's log, or of a machine's.")
@click.argument("of", metavar="[MACHINE|daemon]", default="daemon")
@click.option("-n", "lines", default=50, show_default=True, type=click.IntRange(min=1), help="How many lines.")
def logs(of: str, lines: int) -> None:
    """The end of a log: the daemon's, or a machine's own journal (by name or id)."""
    from reconciler.sandbox import logs as sandbox_logs
    from reconciler.sandbox.paths import Paths

    for line in sandbox_logs.tail(Paths.default(), of, lines):
        click.echo(line)


@sandbox.group(cls=Commands, short_help="Make the sandbox's cloud misbehave.")
def fault() -> None:
    """Make the sandbox's cloud misbehave: refuse, cut connections, sell out, fail, be slow."""


@fault.command("set", epilog=_explain_kinds())
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("on")
@click.argument("value", default="")
@click.option("--times", type=click.IntRange(min=1), help="How often it strikes.")
def set_fault(kind: str, on: str, value: str, times: int | None) -> None:
    """Set a fault. It lasts until it has struck, is cleared, or the sandbox goes down."""
    try:
        checked(kind, on, value, times)
    except ValueError as error:
        raise click.UsageError(f"{error}. See `fleet sandbox fault set --help`.") from error
    with _control() as client:
        click.echo(_fault_line(client.set_fault(kind, on, value, times)))


@fault.command("list")
def list_faults() -> None:
    """What is set, oldest first."""
    with _control() as client:
        lines = [_fault_line(found) for found in client.faults()]
    click.echo("\n".join(lines) or "No faults are set.")


@fault.command("clear")
@click.argument("kind", required=False, type=click.Choice(KINDS), metavar="[KIND]")
@click.argument("on", required=False)
def clear_faults(kind: str | None, on: str | None) -> None:
    """Take faults away: all, those of a KIND, or that on one thing."""
    with _control() as client:
        click.echo(f"{client.clear_faults(kind, on)} fault(s) cleared.")


@sandbox.command()
def down() -> None:
    """Take everything away: machines, network, processes. Only the cache of images and packages stays."""
    from reconciler.sandbox import lifecycle
    from reconciler.sandbox.paths import Paths

    was_there = lifecycle.down(Paths.default())
    click.echo("The sandbox is down." if was_there else "There was no sandbox to take down.")


def _control() -> SandboxClient:
    from reconciler.sandbox.client import SandboxClient
    from reconciler.sandbox.paths import Paths

    return SandboxClient(Paths.default().control)


def _fault_line(found: Fault) -> str:
    often = "until cleared" if found.times is None else f"{found.times} time(s)"
    return f"{found.kind:<12} {shlex.quote(found.on)} {found.value}".rstrip() + f"  ({often})"


def _say(what: str, seconds: float) -> None:
    click.echo(f"  {seconds:6.1f} s  {what}")


def _network(text: str | None) -> IPv4Network | None:
    from reconciler.sandbox.subnet import parse_subnet

    return parse_subnet(text) if text else None


def _announce(info: SandboxInfo) -> None:
    if info.simulated:
        click.echo("The machines are SIMULATED: no kernel, no systemd and no OpenClaw runs on them.")


def _show(found: Status) -> None:
    if found.info is None:
        click.echo("No sandbox is up. Start one: `fleet sandbox up`.")
        return
    daemon = "answers" if found.daemon else "is dead (`fleet sandbox up` starts it again)"
    click.echo(f"cloud API {found.info.endpoint} {daemon}; machines in {found.info.subnet}")
    _announce(found.info)
    for machine in found.machines:
        state = "running" if machine.running else "off"
        click.echo(f"{machine.id:>8}  {state:<8} {machine.address:<15} {machine.memory_mb:>6} MB  {machine.hostname}")
