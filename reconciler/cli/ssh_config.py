"""`fleet ssh-config`: keys, known hosts and Host blocks for the plain ssh client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.private import write_private
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import HostError, StateError, UsageProblem
from reconciler.render.ssh_config import MARK, can_be_written, entry, include, known_hosts
from reconciler.render.text import harmless
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import HostAddress, Server

_SUFFIXES = (".conf", ".known_hosts", ".key", ".key-before")


@click.command("ssh-config")
@with_selection(NONE_IS_ALL)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the files go.  [default: ~/.ssh/openclaw-deploy/<fleet>]",
)
@with_settings
def ssh_config(settings: Settings, selection: Selection, out: Path | None) -> int:
    """Write what plain ssh, scp and rsync need to reach the children, as <fleet>-<child>.

    Login keys and pinned host keys are written with mode 0600; run it again after `fleet apply`. Files of children that
    are gone are removed.
    """
    from reconciler.selection import resolve

    client = open_client(settings)
    there = client.servers()
    fleet = client.fleet.name
    directory = _directory(out or Path("~/.ssh/openclaw-deploy", fleet))
    _make(directory)
    chosen = [name for name in resolve(selection, client.fleet.children, there) if there.get(name) is not None]
    problems = [_try_child(directory, f"{fleet}-{child}", client, there[child]) for child in chosen]
    removed = _remove_gone(directory, {f"{fleet}-{child}" for child, server in there.items() if server is not None})
    for child, problem in zip(chosen, problems, strict=True):
        click.echo(f"{fleet}-{child}" + (f": left out: {harmless(problem)}" if problem else ""))
    for name in removed:
        click.echo(f"{name}: removed, it has no server")
    click.echo("Put this at the top of ~/.ssh/config, once:")
    click.echo(f"  {include(str(directory))}")
    return 0 if not any(problems) else 1 if all(problems) else 3


def write_child(directory: Path, name: str, address: HostAddress) -> None:
    """Keys, known hosts and the Host block of one child. The block comes last: it never names a missing file."""
    key_files = [directory / f"{name}{suffix}" for suffix in (".key", ".key-before")[: len(address.login_keys)]]
    for path, key in zip(key_files, address.login_keys, strict=True):
        write_private(path, key.reveal().encode())
    hosts = directory / f"{name}.known_hosts"
    write_private(hosts, known_hosts(name, address).encode())
    block = entry(name, address, [str(path) for path in key_files], str(hosts))
    write_private(directory / f"{name}.conf", block.encode())
    if len(key_files) == 1:
        (directory / f"{name}.key-before").unlink(missing_ok=True)


def _try_child(directory: Path, name: str, client: FleetClient, server: Server | None) -> str:
    """What kept this child out, empty when nothing did: the others get their files all the same."""
    assert server is not None, "chosen because it has one"
    try:
        address = client.address(server)
    except HostError as error:
        return error.summary
    write_child(directory, name, address)
    return ""


def _directory(named: Path) -> Path:
    """Absolute, and without `~`, which ssh would not read as the shell does. Raises UsageProblem."""
    try:
        directory = named.expanduser().absolute()
    except RuntimeError as error:
        raise UsageProblem(f"{named.parts[0]} is nobody's home directory here", "name another: --out DIR") from error
    if not can_be_written(str(directory)):
        summary = f"ssh would not find the files: its configuration cannot name {directory}"
        raise UsageProblem(summary, 'name another, without " \\ * ? [ ${ and control characters: --out DIR')
    return directory


def _make(directory: Path) -> None:
    try:
        for missing in reversed([place for place in (directory, *directory.parents) if not place.exists()]):
            missing.mkdir(mode=0o700)  # mkdir's own `parents` would leave ~/.ssh open for others to list
    except OSError as error:
        raise StateError(f"cannot make {directory}: {error.strerror}", "name another directory: --out DIR") from error


def _remove_gone(directory: Path, present: set[str]) -> list[str]:
    """Only what a file of ours stands for; the configuration first."""
    ours = [path for path in sorted(directory.glob("*.conf")) if _is_ours(path)]
    gone = [path.stem for path in ours if path.stem not in present]
    for name in gone:
        for suffix in _SUFFIXES:
            (directory / f"{name}{suffix}").unlink(missing_ok=True)
    return gone


def _is_ours(path: Path) -> bool:
    """By its first words; what is no file is not even opened: it may wait for somebody."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False  # we write none that we cannot read
