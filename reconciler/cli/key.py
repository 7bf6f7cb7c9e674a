"""`fleet key`: which fleet key this is, the one that can only look, and the way back when it was lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Commands, Settings, with_settings
from reconciler.errors import Refused, StateError, UsageProblem

if TYPE_CHECKING:
    from reconciler.model import Fleet, Secret
    from reconciler.recovery import Recognition

_LOST = """\
If the key is really lost, two ways are left for each server: put a key of your own into its file
/home/fleet/.ssh/authorized_keys by the cloud's rescue system and bring it under a new fleet key with
`fleet import NAME --as CHILD --user fleet --identity FILE --host-key "ssh-ed25519 AAAA..." --take-over`;
or delete it at the cloud and let `fleet apply` make another."""


@click.group(cls=Commands)
def key() -> None:
    """The fleet key: the one secret from which every key of the fleet derives."""


@key.command(short_help="Fingerprint, fleet-id, and where it was found.")
@with_settings
def show(settings: Settings) -> int:
    """The key's fingerprint, the id that it gives the fleet, and where it was found. Never the key."""
    from reconciler import keys
    from reconciler.fleet import load_fleet
    from reconciler.wiring import find_key

    fleet = load_fleet(settings.file)
    found, place = find_key(fleet, settings.allow_sources, settings.allow_cmd)
    click.echo(f"fleet        {fleet.name}")
    click.echo(f"fleet-id     {keys.fleet_id(found)}")
    click.echo(f"fingerprint  {keys.fingerprint(found)}")
    click.echo(f"found in     {place}")
    return 0


@key.command(short_help="The probe key, for a machine that only monitors.")
@click.option("--read-only", is_flag=True, help="The key that can look at hosts and do nothing else there.")
@with_settings
def export(settings: Settings, read_only: bool) -> int:
    """Print the probe key, for a machine that monitors and shall do nothing else: fleet key export --read-only

    It derives from the fleet key, and nothing leads back. Put it there as FLEET_KEY, beside an API token that may only
    read. Hosts know it once `keys: {probe: 1}` in the fleet file was applied; a higher number ends the one before.
    """
    from reconciler import keys
    from reconciler.fleet import load_fleet
    from reconciler.wiring import find_key

    fleet = load_fleet(settings.file)
    found, place = find_key(fleet, settings.allow_sources, settings.allow_cmd)
    if not read_only:
        raise UsageProblem(
            "the fleet key itself is not printed", f"it is in {place}; the key of who only looks: --read-only"
        )
    if fleet.probe_generation is None:
        raise Refused(
            "the fleet file has no probe key yet, so no host would know it",
            "write `keys: {probe: 1}` into it, then: fleet apply && fleet key export --read-only",
        )
    click.echo(keys.probe_key(found, fleet.probe_generation).reveal())
    return 0


@key.command(short_help="Check a copy against the servers and put it in place.")
@click.option("--force", is_flag=True, help="Write it also where another key is, which is kept beside it.")
@with_settings
def recover(settings: Settings, force: bool) -> int:
    """Check a copy of the fleet key against the live servers, and put it where it belongs.

    The key is read from standard input, or asked for. It must be the one whose id the servers carry, and it is tried at
    a server's door. Where the fleet file names a place for it (`key`), you put it there, and this says whether it is.
    """
    from reconciler import keys
    from reconciler.fleet import load_fleet
    from reconciler.secrets import fleet_key

    wanted = load_fleet(settings.file)
    candidate = keys.parse_key(_asked())
    recognised = open_client(settings, candidate).recognise()
    _judge(recognised, candidate, force)
    if fleet_key.reference(wanted) is not None:
        click.echo(f"It is in {_found_by_reference(wanted, candidate, settings)} already.")
        return 0
    path = fleet_key.default_path(wanted.name, os.environ)
    if _is_there(path, candidate):
        click.echo(f"It is in {path} already.")
    else:
        _make_room(path, force)
        fleet_key.write(path, candidate)
        click.echo(f"The fleet key is in {path} now ({keys.fingerprint(candidate)}).")
    if os.environ.get(fleet_key.VARIABLE):
        click.echo(f"{fleet_key.VARIABLE} is set and goes before that file: unset it.", err=True)
    return 0


def _asked() -> Secret:
    from reconciler.model import Secret

    if sys.stdin.isatty():
        return Secret(click.prompt("Fleet key", hide_input=True, err=True))
    return Secret(sys.stdin.readline(1000))


def _judge(found: Recognition, candidate: Secret, force: bool) -> None:
    """Says what the key opens; Refused when it is not this fleet's."""
    from reconciler import keys
    from reconciler.render.text import harmless

    which = f"the key {keys.fingerprint(candidate)} makes the fleet-id {found.fleet_id}"
    if found.children:
        click.echo(f"It is the key of {', '.join(found.children)}.")
        if found.login is not None:
            click.echo(f"Logged in to {found.login} with it.")
        for refusal in found.refusals:
            click.echo(f"  no login: {harmless(refusal)}", err=True)
        return
    if found.others:
        carried = "\n".join(f"{name}: fleet-id {theirs or 'none'}" for name, theirs in sorted(found.others.items()))
        raise Refused(f"this is not the key of this fleet: {which}", f"the servers say:\n{carried}\n{_LOST}")
    if not force:
        raise Refused(
            f"{which}, and there is no server that could tell whether it is this fleet's",
            "if you are sure, --force writes it unchecked; without any server a new key is as good: fleet init",
        )


def _found_by_reference(wanted: Fleet, candidate: Secret, settings: Settings) -> str:
    """Where the key is looked for, if it is there; a place that the file names is written by its owner alone."""
    from reconciler.errors import SecretError
    from reconciler.secrets import fleet_key
    from reconciler.wiring import find_key

    where = fleet_key.place(wanted, os.environ)
    try:
        is_found = find_key(wanted, settings.allow_sources, settings.allow_cmd)[0] == candidate
        why = f"{where} has another one"
    except SecretError as error:
        is_found, why = False, error.summary
    if not is_found:
        raise Refused(
            f"this key is not where it is looked for: {why}",
            "put it there yourself; or take `key` out of the fleet file, and recover it then",
        )
    return where


def _is_there(path: Path, candidate: Secret) -> bool:
    from reconciler import keys
    from reconciler.errors import SecretError
    from reconciler.secrets import file

    if not path.exists():
        return False
    try:
        return keys.parse_key(file.only_line(path)) == candidate
    except SecretError:
        return False


def _make_room(path: Path, force: bool) -> None:
    """The other key moves aside, for it may be the only one of another fleet."""
    if not path.exists():
        return
    if not force:
        raise Refused(f"another key is in {path}", "move it away, or give --force, which keeps it beside")
    aside = next(place for number in range(1, 1000) if not (place := path.with_name(f"{path.name}.{number}")).exists())
    try:
        path.rename(aside)
    except OSError as error:
        raise StateError(f"cannot move {path} to {aside}: {error.strerror}", "mend that path") from error
    click.echo(f"The key that was there is in {aside} now.")
